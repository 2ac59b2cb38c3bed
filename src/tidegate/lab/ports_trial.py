"""A trial of a proxy before servers that are well: something else goes wrong for a while, then one of them really dies.

What is measured is the same for every proxy and every trouble: how often a healthy server was taken out, how many
requests failed, how soon all was well again, and how soon the death was known.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tidegate.lab.ports_clients import Client, Newcomers, Tally
from tidegate.lab.ports_verdicts import Look, Watch

__all__ = ["Moment", "Outcome", "Terms", "Trial", "run_to_end", "until"]

Result = TypeVar("Result")

_TELL_S = 0.25
"""Seconds between two moments for who watches."""
_AGAIN_S = 0.1
"""After so many seconds a client whose request for a connection failed tries again."""
_FIRST, _FIRST_AFTER = 1_000, 60_000
"""Numbers of the first newcomers during the trouble, and after it; those who hold connections have lower ones."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things take, in seconds, and how many newcomers come per second."""

    target: tuple[str, int]
    patience_s: float
    rate: float = 20.0
    lull_s: float = 1.5
    up_within_s: float = 15.0
    down_within_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stand, for who watches; ``t`` in seconds since the trial began."""

    t: float
    stage: str
    sent: int
    fine: int
    failed: int
    times_down: int
    down: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    ``recovered_s`` is from the end of the trouble until the proxy held no server to be down and answered a newcomer
    with 200; ``detect_down_s`` from the death of a server until the proxy said so. ``None``: not in time.
    """

    false_down: int
    sent: int
    fine: int
    failed: int
    recovered_s: float | None
    detect_down_s: float | None


@dataclass(slots=True)
class Trial:
    """One trial.

    Parameters
    ----------
    terms
        The times.
    look
        How the proxy is asked which servers are down.
    release
        Lets the servers answer everything that they keep back.
    kill
        Kills one server.
    tells_up
        Whether the proxy tells when a server is back; where it does not, only the newcomer's answer counts.
    tell
        Called a few times a second with how things stand.
    """

    terms: Terms
    look: Look
    release: Callable[[], None]
    kill: Callable[[], None]
    tells_up: bool = True
    tell: Callable[[Moment], None] | None = None
    _stage: str = "all is well"
    _tally: Tally = field(default_factory=Tally)
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.look)

    async def play(self, name: str, trouble: Callable[[Tally], Awaitable[None]]) -> Outcome:
        """Let newcomers come, cause the ``trouble``, and see what is made of it."""
        over, calm = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.until(over))
            group.create_task(self._narrate(over))
            newcomers = Newcomers(self.terms.target, self.terms.rate, self.terms.patience_s, _FIRST)
            load = group.create_task(newcomers.keep_coming(self._tally, calm))
            await asyncio.sleep(self.terms.lull_s)
            self._stage = name
            await trouble(self._tally)
            calm.set()
            self._stage = "the trouble is over"
            recovered = await until(self._well_again, self.terms.up_within_s)
            await self.let_go({load})
            blamed, tally = self._watch.times, self._tally
            self._tally = Tally(tally.sent, tally.fine, dict(tally.statuses))
            detected = None if recovered is None else await self._death()
            over.set()
        return Outcome(blamed, tally.sent, tally.fine, tally.failed, recovered, detected)

    async def _well_again(self) -> bool:
        newcomer = Client(_FIRST_AFTER - 1, self.terms.target)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                answered = await newcomer.ask() == 200
                newcomer.close()
                return answered and not (self._watch.down and self.tells_up)
        return False

    async def _death(self) -> float | None:
        """Kill a server; return after how many seconds the proxy says that it is down."""
        self._stage, before, over = "a server dies", self._watch.times, asyncio.Event()
        newcomers = Newcomers(self.terms.target, self.terms.rate, self.terms.patience_s, _FIRST_AFTER)

        async def said() -> bool:
            return self._watch.times > before

        async with asyncio.TaskGroup() as group:
            load = group.create_task(newcomers.keep_coming(Tally(), over))
            self.kill()
            seconds = await until(said, self.terms.down_within_s)
            over.set()
            await asyncio.wait([load], timeout=2)
            load.cancel()
        return seconds

    async def _narrate(self, over: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.tell and not over.is_set():
            tally, watch = self._tally, self._watch
            t = round(loop.time() - began, 2)
            self.tell(Moment(t, self._stage, tally.sent, tally.fine, tally.failed, watch.times, len(watch.down)))
            await asyncio.sleep(_TELL_S)

    async def hold(self, tally: Tally, clients: int, for_s: float, then: Callable[[], None] | None = None) -> None:
        """Let so many clients hold a connection to a server each, by requests that are not answered, for a while.

        One whose request fails tries again. In the end ``then`` is called, and all of them are answered.
        """
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            held = {group.create_task(self._hold(number, tally, enough)) for number in range(clients)}
            await asyncio.sleep(for_s)
            enough.set()
            if then:
                then()
            await self.let_go(held)

    async def let_go(self, waiting: set[asyncio.Task[None]]) -> None:
        """Release until all are answered: those who waited at the proxy come to the servers now, and are kept back."""
        while waiting:
            self.release()
            _, waiting = await asyncio.wait(waiting, timeout=0.1)

    async def _hold(self, number: int, tally: Tally, enough: asyncio.Event) -> None:
        client = Client(number, self.terms.target)
        while not enough.is_set():
            tally.sent += 1
            status = 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.terms.patience_s):
                    status = await client.ask("/hold")
            tally.count(status)
            if status != 200:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_S):
                        await enough.wait()
        client.close()


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> float | None:
    """Wait until ``condition()`` holds; return after how many seconds it did, or ``None`` if it did not in time."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await condition():
        if loop.time() - began > within_s:
            return None
        await asyncio.sleep(0.02)
    return loop.time() - began


def run_to_end(what: Coroutine[Any, Any, Result]) -> Result:
    """Run what is asynchronous to its end; of several errors at once the first is raised, by itself."""
    try:
        return asyncio.run(what)
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
