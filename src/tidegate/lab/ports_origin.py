"""A server of the lab whose answers can be kept back: what stands behind a proxy that runs out of ports.

Started as ``python -m tidegate.lab.ports_origin SPEC`` (JSON); it says one ready line, then hears commands on stdin,
one JSON object per line, and ends with it. ``/hold`` is answered when it is told to ``release``, ``/close`` is answered
and the connection closed, ``/health`` takes as long as the specification says, everything else is answered at once. A
POST carries its number in ``X-Id``: one that comes twice is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Counts", "Origin", "main"]

_HEAD_MAX = 16 << 10
_BACKLOG = 4096
_POSTS_MAX = 1_000_000
_ANSWER = b"x" * 127 + b"\n"


@dataclass(slots=True)
class Counts:
    """What it has seen: connections and requests in all, connections open now and at most, answers kept back."""

    connections: int = 0
    requests: int = 0
    open: int = 0
    peak: int = 0
    held: int = 0
    duplicate_posts: int = 0


@dataclass(slots=True)
class Origin:
    """One server.

    Parameters
    ----------
    listen
        Addresses, ``IP:PORT``.
    idle_s
        A connection without a request is closed after so many seconds, more or less ``jitter_s``; ``None``: never.
    close_lag_s
        Its word that it closes is on its way for so many seconds; a request that comes meanwhile is never read.
    health_s
        How long ``/health`` takes, in seconds.
    seed
        Of the jitter.
    """

    listen: list[str]
    idle_s: float | None = None
    jitter_s: float = 0.0
    close_lag_s: float = 0.0
    health_s: float = 0.0
    seed: int = 1
    counts: Counts = field(init=False, default_factory=Counts)
    _released: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _posts: set[str] = field(init=False, default_factory=set)
    _servers: list[asyncio.Server] = field(init=False, default_factory=list)
    _rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 (jitter is no secret)

    async def start(self) -> list[str]:
        """Listen at all addresses; return them, with the port that was free where the port is 0."""
        addresses = []
        for address in self.listen:
            host, _, port = address.rpartition(":")
            server = await asyncio.start_server(self._serve, host, int(port), limit=_HEAD_MAX, backlog=_BACKLOG)
            addresses.append(f"{host}:{server.sockets[0].getsockname()[1]}")
            self._servers.append(server)
        return addresses

    def close(self) -> None:
        """Listen no more."""
        for server in self._servers:
            server.close()

    def release(self) -> None:
        """Answer everything that is kept back."""
        self._released.set()
        self._released = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counts = self.counts
        counts.connections += 1
        counts.open += 1
        counts.peak = max(counts.peak, counts.open)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            while await self._exchange(reader, writer):
                pass
        counts.open -= 1
        with contextlib.suppress(OSError):
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; return whether the connection stays."""
        try:
            async with asyncio.timeout(self._idle()):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except TimeoutError:
            await asyncio.sleep(self.close_lag_s)
            return False
        first, *lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon
        }
        await reader.readexactly(int(headers.get("content-length", 0)))
        self.counts.requests += 1
        self._count_post(first, headers.get("x-id"))
        path = first.split(" ")[1]
        if path == "/hold":
            self.counts.held += 1
            try:
                await self._released.wait()
            finally:
                self.counts.held -= 1
        elif path == "/health":
            await asyncio.sleep(self.health_s)
        stays = path != "/close" and headers.get("connection", "").lower() != "close"
        # Without a length the end of the connection is the end of the answer: it is this side that closes first, and
        # keeps the tuple in TIME_WAIT; the proxy can use its port again at once.
        rest = f"Content-Length: {len(_ANSWER)}" if stays else "Connection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{rest}\r\n\r\n".encode() + _ANSWER)
        await writer.drain()
        return stays

    def _idle(self) -> float | None:
        if self.idle_s is None:
            return None
        return max(0.0, self.idle_s + self._rng.uniform(-self.jitter_s, self.jitter_s))

    def _count_post(self, first: str, number: str | None) -> None:
        if number is None or not first.startswith("POST "):
            return
        if number in self._posts:
            self.counts.duplicate_posts += 1
        elif len(self._posts) < _POSTS_MAX:
            self._posts.add(number)


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


async def _run(spec: dict[str, Any]) -> None:
    origin = Origin(**spec)
    addresses = await origin.start()
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    _say({"kind": "ready", "addresses": addresses})
    while line := await words.readline():
        match json.loads(line)["cmd"]:
            case "release":
                origin.release()
            case "counts":
                _say({"kind": "counts", **asdict(origin.counts)})
            case "stop":
                return


def main() -> None:
    """Run it until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_run(json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()
