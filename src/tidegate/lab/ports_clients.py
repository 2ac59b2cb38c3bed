"""Clients of the lab with a loopback address each, so that it is never they who run out of ports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, field

__all__ = ["Client", "Newcomers", "Tally", "address_of", "connect_from"]

_IP_BIND_ADDRESS_NO_PORT = 24
"""linux/in.h: bind chooses the address only; the port is chosen by connect, and may be shared between destinations."""
_HEAD_MAX = 64 << 10


def address_of(number: int) -> str:
    """Return the address of a client, for numbers from 0 to about fifteen million."""
    return f"127.{2 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


def connect_from(source: str, target: tuple[str, int], timeout_s: float | None = 10.0) -> socket.socket:
    """Connect to ``target`` from the address ``source``; raises :class:`OSError`.

    A client that bound its port in the usual way would keep everybody else's ``connect()`` from using that port, even
    from another address: the proxies under test would run out of ports because of the clients.
    """
    plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        plain.settimeout(timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        plain.bind((source, 0))
        plain.connect(target)
    except BaseException:
        plain.close()
        raise
    return plain


@dataclass(slots=True)
class Client:
    """One client; its connection is kept alive between requests, and made anew when the proxy has closed it."""

    number: int
    target: tuple[str, int]
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str = "/", *, method: str = "GET", body: bytes = b"", post_id: str = "") -> int:
        """Send one request; return the status, or 0 when there was no answer."""
        try:
            if self._reader is None or self._reader.at_eof():
                self.close()
                plain = connect_from(address_of(self.number), self.target)
                self._reader, self._writer = await asyncio.open_connection(sock=plain)
            return await self._exchange(path, method, body, post_id)
        except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.close()
            return 0
        except BaseException:
            self.close()
            raise

    async def _exchange(self, path: str, method: str, body: bytes, post_id: str) -> int:
        reader, writer = self._reader, self._writer
        assert reader is not None  # noqa: S101 (ask has connected)
        assert writer is not None  # noqa: S101 (ask has connected)
        extra = f"X-Id: {post_id}\r\n" if post_id else ""
        if body:
            extra += f"Content-Length: {len(body)}\r\n"
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: lab.test\r\n{extra}\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon
        }
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        else:
            await reader.read()
        if headers.get("connection", "").lower() == "close" or "content-length" not in headers:
            self.close()
        return int(first.split(" ")[1])

    def close(self) -> None:
        """Close its connection."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self._reader = self._writer = None


@dataclass(slots=True)
class Tally:
    """How requests ended: how many were sent, and how many of them were answered with 200."""

    sent: int = 0
    fine: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that ended in any other way than with 200."""
        return sum(count for status, count in self.statuses.items() if status != 200)

    def count(self, status: int) -> None:
        """Count one end; 0 is no answer."""
        self.fine += status == 200
        self.statuses[status] = self.statuses.get(status, 0) + 1


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Clients that come at a fixed rate, each with an address that was never there before, and send one GET.

    Parameters
    ----------
    target
        The proxy.
    rate
        Clients per second.
    patience_s
        A request without an answer after so many seconds counts as failed.
    first
        Number of the first client.
    """

    target: tuple[str, int]
    rate: float
    patience_s: float
    first: int = 0

    async def keep_coming(self, tally: Tally, over: asyncio.Event) -> None:
        """Let them come until ``over`` is set, and wait for the last answer."""
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                group.create_task(self._one(self.first + number, tally))
                number += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, began + number / self.rate - time.monotonic())):
                        await over.wait()

    async def _one(self, number: int, tally: Tally) -> None:
        client = Client(number, self.target)
        tally.sent += 1
        try:
            async with asyncio.timeout(self.patience_s):
                tally.count(await client.ask())
        except TimeoutError:
            tally.count(0)
        client.close()
