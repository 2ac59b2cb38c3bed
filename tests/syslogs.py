"""A syslog listener of a watch at work, and what it has handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tidegate.watch.live.model import Batch, Gap, Json
from tidegate.watch.live.syslog import Syslog
from tidegate.watch.live.syslog_options import SyslogOptions

__all__ = ["NAME", "Heard", "cut", "listening", "send_datagrams"]

NAME = "syslog.test"
_PATIENCE_S = 30.0


class Heard:
    """What a listener has handed over; ``gate`` closed: its desk takes nothing."""

    def __init__(self, source: Syslog) -> None:
        self.source = source
        self.batches: list[Batch] = []
        self.offered = 0
        """Batches that were handed over, or wait at the gate."""
        self.gate = asyncio.Event()
        self.gate.set()
        self._news = asyncio.Condition()

    async def put(self, batch: Batch) -> None:
        """Take a batch."""
        self.offered += 1
        await self._tell()
        await self.gate.wait()
        self.batches.append(batch)
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, done: Callable[[Heard], bool]) -> Heard:
        """Wait until what was handed over is as wanted."""
        async with asyncio.timeout(_PATIENCE_S), self._news:
            await self._news.wait_for(lambda: done(self))
        return self

    async def records(self, count: int) -> list[tuple[str, bytes]]:
        """Wait for so many lines; return all of them, each with its host."""
        await self.until(lambda heard: len(heard.said) >= count)
        return self.said

    async def gap(self, kind: str) -> Gap:
        """Wait for a gap of this kind."""
        await self.until(lambda heard: any(gap.kind == kind for gap in heard.gaps))
        return next(gap for gap in self.gaps if gap.kind == kind)

    @property
    def said(self) -> list[tuple[str, bytes]]:
        """The lines and their hosts."""
        return [pair for batch in self.batches for pair in cut(batch)]

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(batch.data for batch in self.batches)

    @property
    def gaps(self) -> list[Gap]:
        """The gaps."""
        return [gap for batch in self.batches for gap in batch.gaps]


def cut(batch: Batch) -> list[tuple[str, bytes]]:
    """Return the lines of a batch, each with the host that it is marked with."""
    if not batch.data:
        return []
    ends = [at for at, _ in batch.hosts[1:]] + [len(batch.data)]
    return [
        (host, line)
        for (begin, host), end in zip(batch.hosts, ends, strict=True)
        for line in batch.data[begin:end].rstrip(b"\0").splitlines()
    ]


@asynccontextmanager
async def listening(
    options: SyslogOptions, *, saved: dict[str, Json] | None = None, stopped: int | None = None
) -> AsyncIterator[Heard]:
    """Run a listener as long as the block."""
    source = Syslog(NAME, options, stopped=stopped)
    source.open()
    heard = Heard(source)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(source.run(heard.put, saved or {}))
        try:
            yield heard
        finally:
            task.cancel()


async def send_datagrams(port: int, *messages: bytes) -> None:
    """Send each message as a datagram to a loopback port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port))
    for message in messages:
        transport.sendto(message)
    transport.close()
