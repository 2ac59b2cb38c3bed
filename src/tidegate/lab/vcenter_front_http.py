"""HTTP of the lab's vCenter: calls of clients are read whole, answered whole, and passed on over kept connections."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

__all__ = ["Answer", "Call", "Upstream", "json_answer", "listen", "read_call", "write_answer", "xml_answer"]

_HEAD_MAX = 64 << 10
"""Longest head that is read, in bytes."""
_BACKLOG = 4096
_BODY_MAX = 64 << 20
_IDLE_MAX = 1024
_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "expect", "accept-encoding"))
_PHRASES = {status.value: status.phrase for status in HTTPStatus}

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Call:
    """What a client asks. Names of headers are in small letters; one that came twice is joined as HTTP says."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    closes: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True)
class Answer:
    """What it gets."""

    status: int = 200
    body: bytes = b""
    headers: Headers = field(default_factory=list)

    def header(self, name: str) -> str:
        """Return the first header of that name (small letters), or nothing."""
        return next((value for one, value in self.headers if one.lower() == name), "")


def xml_answer(body: bytes, status: int = 200) -> Answer:
    """Return an answer of XML."""
    return Answer(status, body, [("Content-Type", "text/xml; charset=utf-8")])


def json_answer(body: object, status: int = 200) -> Answer:
    """Return an answer of JSON."""
    return Answer(status, json.dumps(body).encode(), [("Content-Type", "application/json")])


async def listen(serve: Serve, address: str, tls: ssl.SSLContext | None) -> str:
    """Serve connections at ``IP:PORT``; return the address, with the port that was free where it is 0."""
    host, _, port = address.rpartition(":")
    server = await asyncio.start_server(serve, host, int(port), ssl=tls, limit=_HEAD_MAX, backlog=_BACKLOG)
    return f"{host}:{server.sockets[0].getsockname()[1]}"


async def read_call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Call | None:
    """Read one call; ``None`` when the client has closed. Raises :class:`ValueError` for what is no HTTP."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ValueError("the head ends in the middle") from None
        return None
    first, headers = _head(head)
    method, target, version = first.split(" ", 2)
    closes = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Call(method, target, headers, await _body(reader, headers), closes)


def write_answer(writer: asyncio.StreamWriter, answer: Answer, *, closes: bool = False, bare: bool = False) -> None:
    """Write an answer; ``bare`` without its body, as HEAD is answered."""
    lines = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status not in (204, 304):
        lines.append(f"Content-Length: {len(answer.body)}")
    if closes:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    writer.write(head if bare else head + answer.body)


class Upstream:
    """The simulator on a loopback port; its connections are kept, and those that have died are not used."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, call: Call) -> Answer:
        """Pass a call on and return the whole answer; raises :class:`OSError` or :class:`ValueError`."""
        lines = [f"{call.method} {call.target} HTTP/1.1", f"Content-Length: {len(call.body)}"]
        lines += [f"{name}: {value}" for name, value in call.headers.items() if name not in _HOP]
        data = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + call.body
        reader, writer = await self._connection()
        whole = False
        try:
            writer.write(data)
            first, headers = _head(await reader.readuntil(b"\r\n\r\n"))
            status = int(first.split(" ", 2)[1])
            bodiless = call.method == "HEAD" or status in (204, 304)
            body = b"" if bodiless else await _body(reader, dict(headers))
            whole = headers.get("connection", "").lower() != "close"
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionError(f"the simulator broke off: {error}") from None
        finally:
            if whole and len(self._idle) < _IDLE_MAX:
                self._idle.append((reader, writer))
            else:
                writer.close()
        kept = [(name, value) for name, value in headers.items() if name not in _HOP]
        return Answer(status, body, [(name, one) for name, value in kept for one in value.split("\n")])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port, limit=_HEAD_MAX)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[1].close()


def _head(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            continue
        name, value = name.lower(), value.strip()
        if name in headers:
            # Set-Cookie cannot be joined by a comma; its values stand in lines.
            value = headers[name] + ("\n" if name == "set-cookie" else "; " if name == "cookie" else ", ") + value
        headers[name] = value
    return first, headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= _BODY_MAX:
            raise ValueError("a body of that length is not read")
        return await reader.readexactly(length) if length else b""
    pieces: list[bytes] = []
    total = 0
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        total += size
        if total > _BODY_MAX:
            raise ValueError("a body of that length is not read")
        pieces.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(pieces)
