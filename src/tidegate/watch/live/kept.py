"""What is kept of a window: runs of moments at which its condition held; see :mod:`tidegate.watch.live.windows`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from tidegate.watch.windows import Window

__all__ = ["BEFORE", "Json", "Kept", "Run", "Sorted", "joined"]

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


def joined(runs: list[Run], moments: Iterable[tuple[int, int, int]], over: int) -> None:
    """Add moments (first event, when it held, how many counted) to runs, in order of time."""
    now = runs[-1] if runs else None
    for first, at, count in moments:
        if now is None or at - now.until > over:
            now = Run(first, at, at, count)
            runs.append(now)
            continue
        now.until = max(now.until, at)
        now.count = max(now.count, count)


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

    __slots__ = ("_limit", "base", "done", "fresh", "given_up", "over", "past", "runs")

    def __init__(self, window: Window) -> None:
        self.over = window.over
        self.fresh: list[Any] = []
        """Events that were not judged yet, in any order."""
        self.runs: list[Run] = []
        """What holds or held, and is not final."""
        self.past: list[Run] = []
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
            self.runs = [run for run in runs if run.at > self.done]
            self.past = [run for run in self.past if run.at > self.done]
        if self.size() > self._limit:
            self._tidy(frontier)
        return runs

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
        self.past = [Run(*parts) for parts in state["past"]]
        self.runs = [Run(*parts) for parts in state["runs"]]
        self._limit, self.given_up = state["limit"], state["given_up"]


class Sorted(Kept):
    """What is judged event by event, over a sorted sequence of them."""

    __slots__ = ("events",)
    events: Any

    @abstractmethod
    def _time(self, index: int) -> int:
        """Return the time of an event."""

    @abstractmethod
    def _after(self, time: int) -> int:
        """Return the index of the first event after ``time``."""

    @abstractmethod
    def _moments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the moments at the events from ``start`` up to ``end``."""

    @abstractmethod
    def _thin(self) -> None:
        """Leave out what changes nothing."""

    @abstractmethod
    def _room(self) -> int:
        """Return how many events may be kept."""

    @abstractmethod
    def _moved(self) -> None:
        """Learn that events have another index than before."""

    def size(self) -> int:
        """Return how many events are kept."""
        return len(self.events)

    def due(self) -> int:
        """Return up to which frontier the newest event may still matter."""
        return self._time(-1) + self.over if self.events else BEFORE

    def _take(self) -> None:
        fresh, kept = self.fresh, len(self.events)
        if len(fresh) > 1:
            fresh.sort()
        ordered = not kept or fresh[0] >= self.events[-1]
        self.events.extend(fresh)
        if ordered and self._time(kept) > max(self.base, self.done):
            joined(self.runs, self._moments(kept, len(self.events)), self.over)
        else:
            self._merge(fresh[0])
        fresh.clear()

    def _merge(self, earliest: Any) -> None:
        self._sort()
        self._moved()
        time = earliest if isinstance(earliest, int) else earliest[0]
        if time <= self.base:
            self._into_past(time - 1, self.base)
        self.runs = [Run(*run.parts()) for run in self.past]
        start = self._after(max(self.base, self.done))
        joined(self.runs, self._moments(start, len(self.events)), self.over)

    def _sort(self) -> None:
        self.events.sort()

    def _into_past(self, since: int, until: int) -> None:
        start, end = self._after(max(since, self.done)), self._after(until)
        joined(self.past, self._moments(start, end), self.over)
        del self.past[:-_RUNS]

    def _tidy(self, frontier: int) -> None:
        self._settle(frontier)
        room = self._room()
        if len(self.events) > room:
            self._thin()
            self._moved()
        if len(self.events) > room:
            self._settle(self._time(len(self.events) // 2))
        if len(self.events) > room:
            self.given_up += len(self.events) - room
            del self.events[:-room]
            self._moved()
        self._limit = max(self.LEAST, 2 * len(self.events))

    def _settle(self, frontier: int) -> None:
        if frontier <= self.base:
            return
        self._moved()
        self._into_past(self.base, frontier)
        self.base = frontier
        gone = self._after(frontier - self.over)
        del self.events[:gone]
        self._moved()
