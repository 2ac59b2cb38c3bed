"""What is kept of a window: runs of moments at which its condition held; see :mod:`tidegate.watch.live.windows`."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from array import array
from binascii import a2b_base64, b2a_base64
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from tidegate.watch.windows import Window

__all__ = ["Json", "Kept", "Run", "Sorted", "joined", "text_times", "times_text"]

Json = dict[str, Any]
_RUNS = 64
"""Runs that are not final yet; more than two only where a stream holds the frontier back by hours."""
BEFORE = -(1 << 62)
"""Before all times."""


class Run:
    """The condition held from ``at`` to ``until``; ``first`` is the oldest event that counted for ``at``."""

    __slots__ = ("at", "count", "first", "until")

    def __init__(self, first: int, at: int, until: int, count: int) -> None:
        self.first, self.at, self.until, self.count = first, at, until, count

    def parts(self) -> list[int]:
        """Return first, at, until and count."""
        return [self.first, self.at, self.until, self.count]


NOTHING: list[Any] = []
"""Stands for every list in which there is nothing: thousands of windows have such. It is replaced, never changed."""


def joined(runs: list[Run], moments: Iterable[tuple[int, int, int]], over: int) -> list[Run]:
    """Add moments (first event, when it held, how many counted) to runs, in order of time; return the runs."""
    now = runs[-1] if runs else None
    for first, at, count in moments:
        if now is None or at - now.until > over:
            now = Run(first, at, at, count)
            if runs:
                runs.append(now)
            else:
                runs = [now]
            continue
        if at > now.until:  # noqa: PLR1730 (this is run for every event of a storm)
            now.until = at
        if count > now.count:  # noqa: PLR1730
            now.count = count
    return runs


class Kept(ABC):
    """What is kept of one window in one scope.

    Parameters
    ----------
    window
        What is judged.
    """

    ROOM: ClassVar[int] = 4096
    """Events that are kept, unless the window's own threshold needs more."""
    LEAST: ClassVar[int] = 64
    """With fewer events nothing is tidied up."""

    waits: ClassVar[bool] = False
    """Whether it has to be judged at :meth:`due`, though nothing came."""

    __slots__ = ("_limit", "base", "done", "fresh", "given_up", "over", "past", "runs")

    def __init__(self, window: Window) -> None:
        self.over = window.over
        self.fresh = NOTHING
        """Events that were not judged yet, in any order."""
        self.runs: list[Run] = NOTHING
        """What holds or held, and is not final."""
        self.past: list[Run] = NOTHING
        """The same, as it stood at ``base``: what is judged again starts from there."""
        self.base = BEFORE
        """Up to here moments are in ``past``, and no longer among what is judged again."""
        self.done = BEFORE
        """The end of the last run that was final."""
        self.given_up = 0
        self._limit = self.LEAST

    def judge(self, frontier: int) -> list[Run]:
        """Return the runs that are not final, and those that have become so; the frontier never moves back."""
        if self.fresh:
            self._take()
        runs = self.runs
        if runs and runs[0].until + self.over < frontier:
            self.done = max(run.until for run in runs if run.until + self.over < frontier)
            self.runs = [run for run in runs if run.at > self.done] or NOTHING
            self.past = [run for run in self.past if run.at > self.done] or NOTHING
        size = self.size()
        if size > self.LEAST and (size > self._limit or self._stale(frontier)):
            self._tidy(frontier)
        return runs

    def come(self, event: Any) -> None:
        """Put an event with those that are still to be judged."""
        if self.fresh:
            self.fresh.append(event)
        else:
            self.fresh = [event]

    @abstractmethod
    def add(self, time: int, signature: str, value: str) -> None:
        """Take an event, to be judged later."""

    @abstractmethod
    def size(self) -> int:
        """Return how many events are kept."""

    @abstractmethod
    def due(self) -> int:
        """Return up to which frontier what is kept may still matter, or something is to be judged."""

    @abstractmethod
    def fill(self, at: int) -> int:
        """Return how much of what the window asks for has come at ``at``."""

    @abstractmethod
    def _take(self) -> None:
        """Move ``fresh`` to what is kept, and bring ``runs`` up to date."""

    def _stale(self, _frontier: int) -> bool:
        """Tell whether half of what is kept is of no use any more."""
        return False

    @abstractmethod
    def _tidy(self, frontier: int) -> None:
        """Keep less."""

    @abstractmethod
    def _events(self) -> list[Any]:
        """Return what is kept, for JSON."""

    @abstractmethod
    def _restore(self, events: list[Any]) -> None:
        """Take back what :meth:`_events` gave."""

    def to_json(self) -> Json:
        """Return the state; there must be nothing ``fresh``."""
        return {
            "events": self._events(),
            "base": self.base,
            "done": self.done,
            "past": [run.parts() for run in self.past],
            "runs": [run.parts() for run in self.runs],
            "limit": self._limit,
            "given_up": self.given_up,
        }

    def from_json(self, state: Json) -> None:
        """Take back what :meth:`to_json` gave."""
        self._restore(state["events"])
        self.base, self.done = state["base"], state["done"]
        self.past = [Run(*parts) for parts in state["past"]] or NOTHING
        self.runs = [Run(*parts) for parts in state["runs"]] or NOTHING
        self._limit, self.given_up = state["limit"], state["given_up"]


class Sorted(Kept):
    """What is judged event by event, in order of time: the times of the events, and what is told of each beside it."""

    __slots__ = ("tags", "times")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.times = array("q")
        self.tags: list[Any] = NOTHING
        """As many as there are times, or none where events are alike."""

    @abstractmethod
    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the moments at the events from ``start`` up to ``end``."""

    @abstractmethod
    def _needless(self) -> list[int]:
        """Return the indexes of events that change nothing, in order."""

    @abstractmethod
    def _room(self) -> int:
        """Return how many events may be kept."""

    @abstractmethod
    def _moved(self) -> None:
        """Learn that events have another index than before."""

    def size(self) -> int:
        """Return how many events are kept."""
        return len(self.times)

    def due(self) -> int:
        """Return up to which frontier the newest event may still matter."""
        return self.times[-1] + self.over if self.times else BEFORE

    def _after(self, time: int) -> int:
        return bisect_right(self.times, time)

    def _take(self) -> None:
        fresh, kept, times = self.fresh, len(self.times), self.times
        self.fresh = NOTHING
        if len(fresh) > 1:
            fresh.sort()
        ordered = not kept or fresh[0] >= self._last()
        self._extend(fresh)
        if ordered and times[kept] > self.base and times[kept] > self.done:
            self.runs = joined(self.runs, self._moments(kept, len(times)), self.over)
        else:
            self._judge_again(fresh[0] if isinstance(fresh[0], int) else fresh[0][0])

    def _stale(self, frontier: int) -> bool:
        return self.times[len(self.times) // 2] <= frontier - self.over

    def _last(self) -> Any:
        return self.times[-1]

    def _extend(self, fresh: list[Any]) -> None:
        for time in fresh:
            self.times.append(time)

    def _sort(self) -> None:
        self.times = array("q", sorted(self.times))

    def _judge_again(self, earliest: int) -> None:
        self._sort()
        self._moved()
        if earliest <= self.base:
            self._into_past(earliest - 1, self.base)
        runs = [Run(*run.parts()) for run in self.past] or NOTHING
        start = self._after(max(self.base, self.done))
        self.runs = joined(runs, self._moments(start, len(self.times)), self.over)

    def _into_past(self, since: int, until: int) -> None:
        start, end = self._after(max(since, self.done)), self._after(until)
        self.past = joined(self.past, self._moments(start, end), self.over)[-_RUNS:] or NOTHING

    def _tidy(self, frontier: int) -> None:
        self._settle(frontier)
        room = self._room()
        if self.size() > room:
            self._thin()
        if self.size() > room:
            self._settle(self.times[self.size() // 2])
        if self.size() > room:
            self.given_up += self.size() - room
            self._cut(self.size() - room)
        self._limit = max(self.LEAST, 2 * self.size())

    def _settle(self, frontier: int) -> None:
        if frontier <= self.base:
            return
        self._moved()
        self._into_past(self.base, frontier)
        self.base = frontier
        self._cut(self._after(frontier - self.over))

    def _thin(self) -> None:
        needless = set(self._needless())
        self.times = array("q", (time for index, time in enumerate(self.times) if index not in needless))
        self.tags = [tag for index, tag in enumerate(self.tags) if index not in needless] or NOTHING
        self._moved()

    def _cut(self, count: int) -> None:
        """Let go of the first events."""
        del self.times[:count]
        del self.tags[:count]
        self._moved()

    def _events(self) -> list[Any]:
        return [times_text(self.times), list(self.tags)]

    def _restore(self, events: list[Any]) -> None:
        self.times, self.tags = text_times(events[0]), list(events[1]) or NOTHING


def times_text(times: array[int]) -> str:
    """Return times as base64 of 64 bits each, little end first."""
    if sys.byteorder == "big":
        times = array("q", times)
        times.byteswap()
    return b2a_base64(times.tobytes(), newline=False).decode()


def text_times(text: str) -> array[int]:
    """Return what :func:`times_text` was given."""
    times = array("q", a2b_base64(text))
    if sys.byteorder == "big":
        times.byteswap()
    return times
