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

import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tidegate.watch.live.kept import BEFORE, NOTHING, Kept, Run, Sorted, joined
from tidegate.watch.windows import Window

__all__ = ["Absent", "Counted", "Distinguished", "InOrder", "Tagged", "kept"]


class Counted(Sorted):
    """More than ``more_than`` events within ``over``."""

    __slots__ = ("_low", "_more_than")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._more_than = window.more_than
        self._low = 0

    def add(self, time: int, _signature: str, _value: str) -> None:
        """Take an event, to be judged later."""
        self.come(time)

    def fill(self, at: int) -> int:
        """Return how many events are in the window at ``at``."""
        return self._after(at) - self._after(at - self.over)

    def _moved(self) -> None:
        self._low = 0

    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        times, over, need = self.times, self.over, self._more_than
        low = self._low
        for index in range(max(start, need), end):
            at = times[index]
            since = at - over
            if times[index - need] > since:
                if times[low] <= since:
                    low = bisect_right(times, since, low, index)
                yield times[low], at, index - low + 1
        self._low = low

    def _room(self) -> int:
        return max(self.ROOM, 4 * (self._more_than + 1))

    def _needless(self) -> list[int]:
        times, over, side = self.times, self.over, self._more_than + 1
        kept = list(times[:side])
        needless = []
        for index in range(side, len(times) - side):
            if times[index + side] - kept[-side] < over:
                needless.append(index)
            else:
                kept.append(times[index])
        return needless


class Tagged(Sorted):
    """Events of which more is told than their times."""

    __slots__ = ("_next",)

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._next = -1
        """Up to which event what is known of the window was brought; -1: it is not known."""

    def _moved(self) -> None:
        self._next = -1

    def _last(self) -> Any:
        return self.times[-1], self.tags[-1]

    def _extend(self, fresh: list[Any]) -> None:
        self.times.extend(time for time, _ in fresh)
        self.tags = self.tags or []
        self.tags.extend(tag for _, tag in fresh)

    def _sort(self) -> None:
        pairs = sorted(zip(self.times, self.tags, strict=True))
        self.times = array("q", (time for time, _ in pairs))
        self.tags = [tag for _, tag in pairs]


class Distinguished(Tagged):
    """At least ``at_least`` different values within ``over``."""

    __slots__ = ("_at_least", "_inside", "_low")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._at_least = window.at_least
        self._inside: dict[str, int] = {}
        self._low = 0

    def add(self, time: int, _signature: str, value: str) -> None:
        """Take an event, to be judged later."""
        self.come((time, sys.intern(value)))

    def _moved(self) -> None:
        super()._moved()
        self._inside = {}

    def fill(self, at: int) -> int:
        """Return how many values are in the window at ``at``."""
        return len(set(self.tags[self._after(at - self.over) : self._after(at)]))

    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        if start >= end:
            return
        times, values, over, need = self.times, self.tags, self.over, self._at_least
        if start != self._next:
            self._low = self._after(times[start] - over)
            self._inside = dict(Counter(values[self._low : start]))
        inside, low = self._inside, self._low
        for index in range(start, end):
            at, value = times[index], values[index]
            inside[value] = inside.get(value, 0) + 1
            since = at - over
            while times[low] <= since:
                gone = values[low]
                low += 1
                if inside[gone] == 1:
                    del inside[gone]
                else:
                    inside[gone] -= 1
            if len(inside) >= need:
                yield times[low], at, len(inside)
        self._low, self._next = low, end

    def _room(self) -> int:
        return max(self.ROOM, 4 * self._at_least)

    def _needless(self) -> list[int]:
        following: list[int | None] = []
        seen: dict[str, int] = {}
        for time, value in zip(reversed(self.times), reversed(self.tags), strict=True):
            following.append(seen.get(value))
            seen[value] = time
        before: dict[str, int] = {}
        needless = []
        for index, (time, value, later) in enumerate(zip(self.times, self.tags, reversed(following), strict=True)):
            earlier = before.get(value)
            if earlier is None or later is None or later - earlier > self.over:
                before[value] = time
            else:
                needless.append(index)
        return needless


class InOrder(Tagged):
    """An event of each of ``of``, in this order, within ``over``; see :func:`tidegate.watch.windows.episodes`."""

    __slots__ = ("_begun", "_order", "_steps")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._order = {signature: step for step, signature in enumerate(window.of)}
        steps = range(len(window.of))
        self._steps = [[step for step in reversed(steps) if window.of[step] == name] for name in window.of]
        self._begun: list[int] = []

    def add(self, time: int, signature: str, _value: str) -> None:
        """Take an event, to be judged later."""
        self.come((time, self._order[signature]))

    def fill(self, at: int) -> int:
        """Return how many steps of the sequence have come."""
        begun = self._replayed(self._after(at - self.over), self._after(at))
        return max((step + 1 for step, start in enumerate(begun) if start > at - self.over), default=0)

    def _replayed(self, start: int, end: int) -> list[int]:
        begun = [BEFORE] * len(self._steps)
        for index in range(start, end):
            self._step(begun, self.times[index], self.tags[index])
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
        for index in range(start, end):
            first = self._step(self._begun, self.times[index], self.tags[index])
            if first is not None:
                yield first, self.times[index], len(self._begun)
        self._next = end

    def _room(self) -> int:
        return self.ROOM

    def _needless(self) -> list[int]:
        """Know of none: the oldest are given up."""
        return []


class Absent(Kept):
    """An event of ``after`` and none of ``of`` within ``over`` after it, judged when the frontier is there."""

    waits = True
    __slots__ = ("_after", "_of", "answers", "asked")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._after, self._of = window.after, frozenset(window.of)
        self.asked: list[int] = []
        """Events that no answer is known to, nor known to be missing."""
        self.answers: list[int] = []

    def add(self, time: int, signature: str, _value: str) -> None:
        """Take an event, to be judged later."""
        self.come((time, signature))

    def judge(self, frontier: int) -> list[Run]:
        """Judge what has waited long enough; see :meth:`Kept.judge`."""
        if self.fresh:
            self._take()
        waited = bisect_right(self.asked, frontier - self.over)
        over, done = self.over, self.done
        moments = [(time, time + over, 1) for time in self.asked[:waited] if time + over > done]
        silent = (moment for moment in moments if not self._answered(moment[0]))
        self.runs = joined(self.runs, silent, over)
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
        self.fresh = NOTHING

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
