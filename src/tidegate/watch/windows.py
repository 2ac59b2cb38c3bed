"""When hits become a storm: exact windows over event time.

A window looks at (t - over, t]: an event exactly ``over`` older than another one does not stand beside it. So "more
than 10 in 5 minutes" (KB 440879) is met by 11 events in 299.999 s and not by 11 that span 300 s.

- ``count``: more than ``more_than`` events within ``over``.
- ``distinct``: events with at least ``at_least`` different values within ``over``.
- ``sequence``: one event of every signature of ``of``, in that order, within ``over``.
- ``absence``: an event of ``after`` and none of ``of`` within ``over`` after it; judged only where the log goes on so
  long.

Where the condition holds again within ``over`` of when it held last, that is one *episode*, not two. The answer depends
on the times alone, never on the order of arrival: events are sorted, those of one moment in the order of
``of``. Events without a time belong to no window.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Episode", "Event", "Window", "episodes"]


@dataclass(frozen=True, slots=True)
class Event:
    """One hit, as windows see it.

    ``time`` is in nanoseconds since 1970, ``scope`` what the window is kept apart by, ``value`` what ``distinct``
    counts.
    """

    time: int
    signature: str
    scope: tuple[str, ...] = ()
    value: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """What makes a storm; ``over`` is in nanoseconds, > 0."""

    kind: Literal["count", "distinct", "sequence", "absence"]
    of: tuple[str, ...]
    over: int
    more_than: int = 0
    at_least: int = 1
    after: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """The condition of a window held, from ``at`` to ``until``; ``first`` is the oldest event that counted for ``at``.

    ``count`` is the most events (``distinct``: values) at a time. All times are in nanoseconds since 1970.
    """

    scope: tuple[str, ...]
    first: int
    at: int
    until: int
    count: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A moment at which the condition held."""

    first: int
    at: int
    count: int


def episodes(window: Window, events: Iterable[Event], *, until: int | None = None) -> list[Episode]:
    """Return when the window's condition held, by scope, in order of time.

    Parameters
    ----------
    until
        How far the log is known to go (ns since 1970): what is absent until then is absent.
    """
    wanted = {*window.of, window.after} if window.kind == "absence" else set(window.of)
    order = {signature: step for step, signature in enumerate(window.of)}
    scopes: dict[tuple[str, ...], list[Event]] = {}
    for event in events:
        if event.signature in wanted:
            scopes.setdefault(event.scope, []).append(event)
    found: list[Episode] = []
    for scope, members in scopes.items():
        members.sort(key=lambda event: (event.time, order.get(event.signature, 0)))
        found += _joined(scope, _held(window, members, until), window.over)
    return sorted(found, key=lambda episode: (episode.at, episode.scope))


def _held(window: Window, events: Sequence[Event], until: int | None) -> Iterator[_Held]:
    match window.kind:
        case "count":
            return _counted(window, events)
        case "distinct":
            return _distinct(window, events)
        case "sequence":
            return _in_order(window, events)
        case "absence":
            return _absent(window, events, until)


def _counted(window: Window, events: Iterable[Event]) -> Iterator[_Held]:
    inside: deque[int] = deque()
    for event in events:
        inside.append(event.time)
        while inside[0] <= event.time - window.over:
            inside.popleft()
        if len(inside) > window.more_than:
            yield _Held(inside[0], event.time, len(inside))


def _distinct(window: Window, events: Iterable[Event]) -> Iterator[_Held]:
    inside: deque[Event] = deque()
    values: Counter[str] = Counter()
    for event in events:
        inside.append(event)
        values[event.value] += 1
        while inside[0].time <= event.time - window.over:
            gone = inside.popleft()
            values[gone.value] -= 1
            if not values[gone.value]:
                del values[gone.value]
        if len(values) >= window.at_least:
            yield _Held(inside[0].time, event.time, len(values))


def _in_order(window: Window, events: Iterable[Event]) -> Iterator[_Held]:
    """Keep, for every step, the latest beginning of a sequence that has come so far: later is better, it ends later."""
    begun: list[int | None] = [None] * len(window.of)
    for event in events:
        for step in reversed(range(len(window.of))):
            if window.of[step] != event.signature:
                continue
            start = event.time if step == 0 else begun[step - 1]
            if start is None or start <= event.time - window.over:
                continue
            begun[step] = start
            if step == len(window.of) - 1:
                yield _Held(start, event.time, len(window.of))


def _absent(window: Window, events: Sequence[Event], until: int | None) -> Iterator[_Held]:
    answers = deque(event.time for event in events if event.signature in window.of)
    for event in events:
        if event.signature != window.after:
            continue
        end = event.time + window.over
        while answers and answers[0] <= event.time:
            answers.popleft()
        answered = bool(answers) and answers[0] <= end
        if not answered and until is not None and until >= end:
            yield _Held(event.time, end, 1)


def _joined(scope: tuple[str, ...], held: Iterable[_Held], over: int) -> Iterator[Episode]:
    now: Episode | None = None
    for moment in held:
        if now is not None and moment.at - now.until <= over:
            now = replace(now, until=moment.at, count=max(now.count, moment.count))
            continue
        if now is not None:
            yield now
        now = Episode(scope, moment.first, moment.at, moment.at, moment.count)
    if now is not None:
        yield now
