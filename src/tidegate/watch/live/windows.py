"""The windows of :mod:`tidegate.watch.windows`, kept up as events come, whatever the order in which they come.

A window's condition holds at *moments*; moments no more than ``over`` apart are one *run*, what is called an episode
there. The *frontier* is the time up to which no event is waited for any longer.

- A run is final when the frontier is more than ``over`` past its end. It is handed out once more, and then forgotten.
- What is not final is provisional: it may begin earlier, last longer or become one with its neighbour, but it is
  never taken back. So it does not matter in which order events come. Only an absence waits for the frontier.
- An event before the frontier is late. It counts where its neighbours are still kept: it may raise, never take back.

Events that come in order cost O(1); one out of order has what is not settled judged again. Memory is bounded. Beyond
4096 events those are left out which change nothing:

- ``count``: an event with ``more_than`` + 1 kept ones on either side, all within ``over``. ``first``, ``at`` and
  ``until`` stay exact; ``count`` is then a least number.
- ``distinct``: an event whose value came within ``over`` around it. ``at`` and ``count`` stay exact, ``first`` and
  ``until`` are within the distance of events that are kept.

Where that is not enough, the oldest are given up, and ``given_up`` says how many.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tidegate.watch.live.kept import BEFORE, Kept, Run, Sorted, joined
from tidegate.watch.windows import Window

__all__ = ["Absent", "Counted", "Distinguished", "InOrder", "kept"]


class Counted(Sorted):
    """More than ``more_than`` events within ``over``."""

    __slots__ = ("_low", "_more_than")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.events = array("q")
        self._more_than = window.more_than
        self._low = 0

    def add(self, time: int, _signature: str, _value: str) -> None:
        """Take an event, to be judged later."""
        self.fresh.append(time)

    def fill(self, at: int) -> int:
        """Return how many events are in the window at ``at``."""
        return self._after(at) - self._after(at - self.over)

    def _time(self, index: int) -> int:
        return int(self.events[index])

    def _after(self, time: int) -> int:
        return bisect_right(self.events, time)

    def _sort(self) -> None:
        self.events = array("q", sorted(self.events))

    def _moved(self) -> None:
        self._low = 0

    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        events, over, need = self.events, self.over, self._more_than
        low = self._low
        for index in range(max(start, need), end):
            at = events[index]
            since = at - over
            if events[index - need] > since:
                if events[low] <= since:
                    low = bisect_right(events, since, low, index)
                yield events[low], at, index - low + 1
        self._low = low

    def _room(self) -> int:
        return max(self.ROOM, 4 * (self._more_than + 1))

    def _thin(self) -> None:
        events, over, side = self.events, self.over, self._more_than + 1
        out = events[:side]
        for index in range(side, len(events) - side):
            if events[index + side] - out[-side] >= over:
                out.append(events[index])
        out.extend(events[max(side, len(events) - side) :])
        self.events = out

    def _events(self) -> list[Any]:
        return [later - time for time, later in zip([0, *self.events], self.events, strict=False)]

    def _restore(self, events: list[Any]) -> None:
        time = 0
        for step in events:
            time += step
            self.events.append(time)


class Distinguished(Sorted):
    """At least ``at_least`` different values within ``over``."""

    __slots__ = ("_at_least", "_inside", "_low", "_next")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.events: list[tuple[int, str]] = []
        self._at_least = window.at_least
        self._inside: dict[str, int] = {}
        self._low, self._next = 0, -1

    def add(self, time: int, _signature: str, value: str) -> None:
        """Take an event, to be judged later."""
        self.fresh.append((time, value))

    def fill(self, at: int) -> int:
        """Return how many values are in the window at ``at``."""
        return len(self.values(at))

    def values(self, at: int) -> set[str]:
        """Return the values that are in the window at ``at``."""
        return {value for _, value in self.events[self._after(at - self.over) : self._after(at)]}

    def _time(self, index: int) -> int:
        return self.events[index][0]

    def _after(self, time: int) -> int:
        return bisect_right(self.events, time, key=_first)

    def _moved(self) -> None:
        self._next = -1

    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        if start >= end:
            return
        events, over, need = self.events, self.over, self._at_least
        if start != self._next:
            self._low = self._after(events[start][0] - over)
            self._inside = dict(Counter(value for _, value in events[self._low : start]))
        inside, low = self._inside, self._low
        for index in range(start, end):
            at, value = events[index]
            inside[value] = inside.get(value, 0) + 1
            since = at - over
            while events[low][0] <= since:
                gone = events[low][1]
                low += 1
                if inside[gone] == 1:
                    del inside[gone]
                else:
                    inside[gone] -= 1
            if len(inside) >= need:
                yield events[low][0], at, len(inside)
        self._low, self._next = low, end

    def _room(self) -> int:
        return max(self.ROOM, 4 * self._at_least)

    def _thin(self) -> None:
        following: list[int | None] = []
        seen: dict[str, int] = {}
        for time, value in reversed(self.events):
            following.append(seen.get(value))
            seen[value] = time
        before: dict[str, int] = {}
        out = []
        for event, later in zip(self.events, reversed(following), strict=True):
            earlier = before.get(event[1])
            if earlier is None or later is None or later - earlier > self.over:
                out.append(event)
                before[event[1]] = event[0]
        self.events = out

    def _events(self) -> list[Any]:
        return [list(event) for event in self.events]

    def _restore(self, events: list[Any]) -> None:
        self.events = [(time, value) for time, value in events]


class InOrder(Sorted):
    """An event of each of ``of``, in this order, within ``over``; see :func:`tidegate.watch.windows.episodes`."""

    __slots__ = ("_begun", "_next", "_order", "_steps")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.events: list[tuple[int, int]] = []
        self._order = {signature: step for step, signature in enumerate(window.of)}
        steps = range(len(window.of))
        self._steps = [[step for step in reversed(steps) if window.of[step] == name] for name in window.of]
        self._begun: list[int] = []
        self._next = -1

    def add(self, time: int, signature: str, _value: str) -> None:
        """Take an event, to be judged later."""
        self.fresh.append((time, self._order[signature]))

    def fill(self, at: int) -> int:
        """Return how many steps of the sequence have come."""
        begun = self._replayed(self._after(at - self.over), self._after(at))
        return max((step + 1 for step, start in enumerate(begun) if start > at - self.over), default=0)

    def _time(self, index: int) -> int:
        return self.events[index][0]

    def _after(self, time: int) -> int:
        return bisect_right(self.events, time, key=_first)

    def _moved(self) -> None:
        self._next = -1

    def _replayed(self, start: int, end: int) -> list[int]:
        begun = [BEFORE] * len(self._steps)
        for time, order in self.events[start:end]:
            self._step(begun, time, order)
        return begun

    def _step(self, begun: list[int], time: int, order: int) -> int | None:
        """Let a sequence go on; return where it began if it is complete."""
        complete = None
        for step in self._steps[order]:
            start = time if step == 0 else begun[step - 1]
            if start > time - self.over:
                begun[step] = start
                if step == len(begun) - 1:
                    complete = start
        return complete

    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        if start != self._next:
            self._begun = self._replayed(0, start)
        for time, order in self.events[start:end]:
            first = self._step(self._begun, time, order)
            if first is not None:
                yield first, time, len(self._begun)
        self._next = end

    def _room(self) -> int:
        return self.ROOM

    def _thin(self) -> None:
        """Nothing can be left out: the oldest are given up."""

    def _events(self) -> list[Any]:
        return [list(event) for event in self.events]

    def _restore(self, events: list[Any]) -> None:
        self.events = [(time, order) for time, order in events]


class Absent(Kept):
    """An event of ``after`` and none of ``of`` within ``over`` after it, judged when the frontier is there."""

    __slots__ = ("_after", "_of", "answers", "asked")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._after, self._of = window.after, frozenset(window.of)
        self.asked: list[int] = []
        """Events that no answer is known to, nor known to be missing."""
        self.answers: list[int] = []

    def add(self, time: int, signature: str, _value: str) -> None:
        """Take an event, to be judged later."""
        self.fresh.append((time, signature))

    def judge(self, frontier: int) -> list[Run]:
        """Judge what has waited long enough; see :meth:`Kept.judge`."""
        if self.fresh:
            self._take()
        waited = bisect_right(self.asked, frontier - self.over)
        over, done = self.over, self.done
        moments = [(time, time + over, 1) for time in self.asked[:waited] if time + over > done]
        joined(self.runs, (moment for moment in moments if not self._answered(moment[0])), over)
        del self.asked[:waited]
        del self.answers[: bisect_right(self.answers, frontier - over)]
        return super().judge(frontier)

    def size(self) -> int:
        """Return how many events are kept."""
        return len(self.asked) + len(self.answers)

    def due(self) -> int:
        """Return when the first that waits has waited long enough."""
        if self.asked:
            return self.asked[0] + self.over
        return self.answers[-1] if self.answers else BEFORE

    def fill(self, at: int) -> int:
        """Return for how long (ns) the first that has no answer waits."""
        waits = next((time for time in self.asked if not self._answered(time)), at)
        return min(max(at - waits, 0), self.over)

    def _answered(self, time: int) -> bool:
        found = bisect_right(self.answers, time)
        return found < len(self.answers) and self.answers[found] <= time + self.over

    def _take(self) -> None:
        self.asked = sorted([*self.asked, *(time for time, name in self.fresh if name == self._after)])
        self.answers = sorted([*self.answers, *(time for time, name in self.fresh if name in self._of)])
        self.fresh.clear()

    def _tidy(self, _frontier: int) -> None:
        for events in (self.asked, self.answers):
            if len(events) > self.ROOM:
                self.given_up += len(events) - self.ROOM
                del events[: -self.ROOM]
        self._limit = max(self.LEAST, 2 * self.size())

    def _events(self) -> list[Any]:
        return [self.asked, self.answers]

    def _restore(self, events: list[Any]) -> None:
        self.asked, self.answers = list(events[0]), list(events[1])


def kept(window: Window) -> Kept:
    """Return what keeps ``window`` up, with nothing in it."""
    kinds: dict[str, type[Kept]] = {
        "count": Counted,
        "distinct": Distinguished,
        "sequence": InOrder,
        "absence": Absent,
    }
    return kinds[window.kind](window)


def _first(event: Sequence[Any]) -> int:
    return int(event[0])
