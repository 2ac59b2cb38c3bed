"""How much the lab's vCenter does at once: so many calls are looked at, so many of those are worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tidegate.lab.vcenter_front_spec import Spec

__all__ = ["Work"]


class Work:
    """The room of a vCenter. Past ``requests_max`` calls wait, first come first served, and all take longer.

    Beyond the room a call's work takes ``1 + waiting / requests_max`` times as long: what waits costs memory and locks.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._requests = asyncio.Semaphore(spec.requests_max)
        self._workers = asyncio.Semaphore(spec.workers)
        self._waiting = 0
        self.latency_s = 0.0
        """What every call takes more, in seconds: a fault that a test asks for."""

    def units(self, user: str, operation: str) -> float:
        """Return what a call costs."""
        costs = self._spec.costs
        for name in (f"{user}/{operation}", f"{user}/*", operation):
            if name in costs:
                return costs[name]
        return 1.0

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait until there is room for one more call, and keep its place while it is looked at."""
        self._waiting += 1
        try:
            await self._requests.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._requests.release()

    async def do(self, units: float) -> None:
        """Work on a call, within its room. A wait for updates is not worked on."""
        await self.delay()
        if self._spec.unit_ms:
            async with self._workers:
                slower = 1 + self._waiting / self._spec.requests_max
                await asyncio.sleep(units * self._spec.unit_ms / 1000 * slower)

    async def delay(self) -> None:
        """Take what a test wants every call to take more."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
