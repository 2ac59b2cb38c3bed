"""What drives the admission machine from an event loop: events go in, decisions come out, one timer is armed.

There is no thread and no task. What waits is bounded by the machine's plan. Time is the loop's.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tidegate.compiled import load_core
from tidegate.errors import TurnedAway, UsageError
from tidegate.gate.core import translated

if TYPE_CHECKING:
    from tidegate import _core

__all__ = ["Driver", "Facts", "Held"]

# At least this long between two looks, so that a wake that stays due cannot spin.
_SHORTEST_S = 0.001

Facts = tuple[str | None, str, str | None, str | None, int]
"""Of a call: client, kind, operation, session, cost in thousandths of a unit."""
Decision = tuple[int, str | None, float]
"""The call, why it is turned away (``None``: it is admitted), and the seconds after which to come back."""


class Held:
    """A call that waits: what wakes its task, and what was decided, once it was."""

    __slots__ = ("decision", "future")

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future
        self.decision: Decision | None = None


class Driver:
    """Tells the machine what happens, hands out what it decides, and keeps its one timer."""

    def __init__(self, plan: bytes) -> None:
        self._plan = plan
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, Held] = {}
        self._timer: asyncio.TimerHandle | None = None
        with translated():
            # A plan is refused here, where it was written. The machine that is used begins with its loop's time.
            self._machine: _core.Limiter = load_core().Limiter(plan, 0.0)

    def arrive(self, facts: Facts, deadline: float | None) -> tuple[int, Held | None]:
        """Tell of a new call; return its number, and what it waits with when it is held.

        Raises
        ------
        TurnedAway
            It is neither admitted nor held.
        UsageError
            Another event loop was first.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._bind(loop)
        now = loop.time()
        end = None if deadline is None else now + deadline
        call, decisions, wake = self._machine.arrive(now, *facts, end)
        held = None
        if decisions and decisions[0][0] == call:  # what is decided of a new call comes first
            own = decisions.pop(0)
        else:
            own = None
            held = self._waiting[call] = Held(loop.create_future())
        self._hear(decisions, wake)
        if own is not None:
            _raise_if_turned_away(own)
        return call, held

    async def wait(self, call: int, held: Held) -> None:
        """Wait until a held call is admitted; a cancelled wait leaves the queue.

        Raises
        ------
        TurnedAway
            It was not.
        """
        try:
            await held.future
        except asyncio.CancelledError:
            self._leave(call, held)
            raise
        if held.decision is not None:
            _raise_if_turned_away(held.decision)

    def done(self, call: int, outcome: str, opened: str | None) -> None:
        """Tell that the work of an admitted call is over."""
        self._hear(*self._machine.done(self._now(), call, outcome, opened))

    def snapshot(self) -> dict[str, Any]:
        """Return the machine's counters and gauges."""
        snapshot: dict[str, Any] = json.loads(self._machine.snapshot(self._now()))
        return snapshot

    def _now(self) -> float:
        return self._loop.time() if self._loop else 0.0

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            hint = "make one limiter per event loop, inside the coroutine that runs there"
            raise UsageError("this limiter belongs to another event loop", hint=hint, slug="wrong-loop")
        with translated():
            self._machine = load_core().Limiter(self._plan, loop.time())
        self._loop = loop

    def _leave(self, call: int, held: Held) -> None:
        """Tell that the client left while its call was held. Admitted in that very moment, it has done nothing yet."""
        if held.decision is None:
            del self._waiting[call]
        elif held.decision[1] is not None:
            return
        self._hear(*self._machine.client_gone(self._now(), call))
        if held.decision is not None:
            self.done(call, "incomplete", None)

    def _hear(self, decisions: list[Decision], wake: float | None) -> None:
        for decision in decisions:
            held = self._waiting.pop(decision[0], None)
            if held is not None:
                held.decision = decision
                if not held.future.done():  # its task may be cancelled already, and not have run since
                    held.future.set_result(None)
        if wake is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None or wake < self._timer.when():
            self._arm(wake)

    def _arm(self, wake: float) -> None:
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(max(wake, self._loop.time() + _SHORTEST_S), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._hear(*self._machine.wake(self._now()))


def _raise_if_turned_away(decision: Decision) -> None:
    _, reason, retry_after = decision
    if reason is not None:
        raise TurnedAway(reason, retry_after)
