"""The pace as a library for asyncio: ``async with Pacer(…) as pacer: async with pacer.slot(vm): …``.

The shell around :mod:`tidegate.fleet.pace`: it reads the probes every 20 s, logs in once, and lets one more in when the
core says go. Who waits is let in in the order in which they came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Protocol, Self

from tidegate.errors import Stopped
from tidegate.fleet.act import Guard, Probe, Readings
from tidegate.fleet.pace import Go, Halt, Hold, Pace, Rules
from tidegate.fleet.sampling import sampled

__all__ = ["EVERY_S", "Login", "Pacer", "Session", "Slot"]

EVERY_S = 20.0
"""How often probes are read: vCenter's real-time counters have one sample in 20 s."""

_LOOK_AGAIN_S = 20.0


class Session(Protocol):
    """One login that everything shares."""

    @property
    def token(self) -> str:
        """What a client needs to go on with this session; a secret."""

    async def close(self) -> None:
        """Log out."""


Login = Callable[[], Awaitable[Session]]


class Slot:
    """One piece of work that may be under way."""

    def __init__(self, vm: str) -> None:
        self.vm = vm
        self.ok = True
        """Set it to ``False`` when the work failed; what leaves the block with an exception has failed anyway."""


class Pacer:
    """Lets work begin at the pace of :class:`~tidegate.fleet.pace.Rules`.

    Parameters
    ----------
    rules, guards
        What decides.
    probes
        What guards read; a probe that fails gives no sample, so that its guard trips, and its sentence is kept in
        ``troubles``.
    login
        Called once, when the block is entered; the session is closed when it is left.
    now
        The clock: seconds since 1970.
    says
        Told each time the reason changes for which work is held (``None``: it is not).
    """

    def __init__(  # noqa: PLR0913 (what most leave out has names)
        self,
        rules: Rules,
        guards: Sequence[Guard] = (),
        probes: Sequence[Probe] = (),
        *,
        login: Login | None = None,
        now: Callable[[], float] = time.time,
        says: Callable[[Hold | None], None] = lambda _: None,
        every_s: float = EVERY_S,
    ) -> None:
        self.pace = Pace(rules, guards)
        self.readings = Readings()
        self.troubles: dict[str, str] = {}
        self.session: Session | None = None
        self.stopped: Halt | None = None
        """Why nothing more begins."""
        self._probes = tuple(probes)
        self._login = login
        self._now = now
        self._says = says
        self._every_s = every_s
        self._hold: Hold | None = None
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._login is not None:
                self.session = await self._login()
                stack.push_async_callback(self.session.close)
            await self._read()
            if self._probes:
                # Not a TaskGroup: it would wrap what leaves the caller's block. The stack keeps the task.
                reader = asyncio.get_running_loop().create_task(self._keep_reading())
                stack.push_async_callback(_end, reader)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def slot(self, vm: str) -> AsyncIterator[Slot]:
        """Wait until one more may begin; while the block runs it is under way.

        Raises
        ------
        Stopped
            When a guard has halted the work, or :meth:`halt` was called.
        """
        async with self._turn:
            await self._admitted()
            self.pace.begin()
        slot = Slot(vm)
        try:
            yield slot
        except BaseException:
            slot.ok = False
            raise
        finally:
            self.pace.end(self._now(), ok=slot.ok)
            self._changed.set()

    def halt(self, guard: str, why: str) -> None:
        """Let nothing more begin."""
        self.stopped = self.stopped or Halt(guard, why)
        self._changed.set()

    def status(self) -> dict[str, Any]:
        """Return where it stands."""
        pace = self.pace
        newest = {name: sample.value for name in self.readings.names() if (sample := self.readings.last(name))}
        return {
            "batch": pace.batch,
            "in_flight": pace.in_flight,
            "concurrency": pace.concurrency,
            "failed": pace.failed,
            "held": self._hold.why if self._hold else "",
            "readings": newest,
            "troubles": dict(self.troubles),
        }

    async def _admitted(self) -> None:
        while True:
            if self.stopped is not None:
                raise Stopped(f"{self.stopped.guard}: {self.stopped.why}")
            self._changed.clear()
            now = self._now()
            match self.pace.ask(self.readings, now):
                case Go():
                    self._tell(None)
                    return
                case Halt() as halt:
                    self.stopped = Halt(halt.guard, self._with_trouble(halt.guard, halt.why))
                case Hold() as hold:
                    self._tell(hold)
                    # The wall clock may be set, and samples grow old: look again soon in any case.
                    for_s = _LOOK_AGAIN_S if hold.until is None else min(_LOOK_AGAIN_S, max(0.0, hold.until - now))
                    with suppress(TimeoutError):
                        async with asyncio.timeout(for_s):
                            await self._changed.wait()

    def _with_trouble(self, guard: str, why: str) -> str:
        trouble = self.troubles.get(guard)
        return f"{why} ({trouble})" if trouble else why

    def _tell(self, hold: Hold | None) -> None:
        if hold != self._hold:
            self._hold = hold
            self._says(hold)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self._read()

    async def _read(self) -> None:
        await asyncio.gather(*(self._read_one(probe) for probe in self._probes))
        self._changed.set()

    async def _read_one(self, probe: Probe) -> None:
        begun = self._now()  # a value is as old as its question
        value = await sampled(probe)
        if isinstance(value, str):
            self.troubles[probe.name] = value
        else:
            self.troubles.pop(probe.name, None)
            self.readings.add(probe.name, begun, value)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
