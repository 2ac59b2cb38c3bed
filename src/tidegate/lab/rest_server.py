"""A small HTTPS server of the lab for REST managers (NSX, Avi): JSON in, JSON out, in the caller's event loop.

Written on asyncio alone: the lab is part of the wheel and demos use it, where no ASGI server is installed. It is strict
about what tidegate's own clients send (HTTP/1.1, ``Content-Length``), and honest about overload: above ``rate``
requests in a second it answers 429 with ``Retry-After``, and any answer can be put in front of the next ones.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["Reply", "Request", "RestServer"]

Json = Any

_HEAD_MAX = 16 << 10
_BODY_MAX = 4 << 20
_CONNECTIONS_MAX = 256
_SEEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent. Header names are in small letters."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The body as JSON; ``None`` where there is none or it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """What it gets. ``body`` is JSON, or bytes that are sent as they are."""

    status: int = 200
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def data(self) -> bytes:
        """Return the body as it is sent."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class RestServer(ABC):
    """An HTTPS server on a loopback port; ``async with`` starts and ends it.

    Parameters
    ----------
    tls
        Its certificate; ``None`` speaks plain HTTP.
    rate
        Requests that it answers in any second.
    now
        The clock that the rate is counted by.
    """

    def __init__(
        self, tls: ssl.SSLContext | None, *, rate: int = 100, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._tls = tls
        self.rate = rate
        self.now = now
        self.port = 0
        self.faults: deque[Reply] = deque(maxlen=_SEEN_MAX)
        """Answers that the next requests get instead of their own, one each."""
        self.seen: deque[Request] = deque(maxlen=_SEEN_MAX)
        """Requests that were answered for what they are."""
        self.turned_away = 0
        """How many got 429 for the rate."""
        self.heard: Callable[[Request, str], None] | None = None
        """Is told each request twice: ``before`` it is answered, and ``after``, before the answer leaves."""
        self.in_flight = 0
        self.most_in_flight = 0
        self.gate = asyncio.Event()
        """While it is clear, requests wait; set at the start."""
        self.gate.set()
        self._recent: deque[float] = deque()
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._server: asyncio.Server | None = None

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """Return the answer to one request."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=_HEAD_MAX)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        assert self._server is not None  # noqa: S101 (it was started)
        self._server.close()
        handlers = [task for task in self._open.values() if task is not None]
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._server.wait_closed()

    def sent(self, method: str, ending: str = "") -> list[Request]:
        """Return the answered requests of a method whose path ends so."""
        return [request for request in self.seen if request.method == method and request.path.endswith(ending)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _CONNECTIONS_MAX:
            writer.close()
            return
        self._open[writer] = asyncio.current_task()
        try:
            while (request := await _read(reader)) is not None:
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    await self.gate.wait()
                    reply = self._told(request)
                finally:
                    self.in_flight -= 1
                await _write(writer, reply)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # a client that leaves, or speaks something else
        finally:
            self._open.pop(writer, None)
            writer.close()

    def _told(self, request: Request) -> Reply:
        if self.heard:
            self.heard(request, "before")
        reply = self._reply(request)
        if self.heard:
            self.heard(request, "after")
        return reply

    def _reply(self, request: Request) -> Reply:
        if self.faults:
            return self.faults.popleft()
        now = self.now()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.rate:
            self.turned_away += 1
            return Reply(
                429, {"error_code": 98, "error_message": "Client exceeded request rate."}, {"Retry-After": "1"}
            )
        self._recent.append(now)
        self.seen.append(request)
        return self.answer(request)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _BODY_MAX:
        raise ValueError("a body of that length is not read")
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, headers, await reader.readexactly(length))


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    data = reply.data()
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Content-Length: {len(data)}", "Content-Type: application/json"]
    for name, value in reply.headers.items():
        # A header may come more than once (Set-Cookie): its values stand in lines.
        lines += [f"{name}: {one}" for one in value.split("\n")]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data)
    await writer.drain()
