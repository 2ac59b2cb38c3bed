"""Windows of time: ``days``, ``from``, ``to``, ``zone``. Pure: the time is passed in, as seconds since 1970.

The rules, in words:

- A window opens on each of its days at ``from`` and closes at the next ``to``. Where ``to`` is not after ``from`` it
  closes on the day after: ``days = ["fri"]``, 22:00 to 04:00 is open in the night to Saturday. ``24:00`` may close one.
- ``from`` equal to ``to`` is a window that never opens, and so is one without days: both are errors.
- Times are those of the wall clock in ``zone``. When clocks go forward, a time that does not exist is the moment of the
  change: 02:30 to 04:00 opens at 03:00 on that day, and 02:15 to 02:45 not at all. When they go back, a time that
  exists twice is its first one; a window around the change is an hour longer.
- Two windows overlap when there is a moment in which both are open; that one closes when the other opens is fine. In
  one zone a week decides it, since clock changes keep the order of times. In different zones the coming year is gone
  through, because they change their clocks on different days.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field

from tidegate.config.fields import Table

__all__ = ["DAYS", "DeclaredWindow", "Overlap", "Window", "local_zone", "open_between", "overlaps", "window_of"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY = 24 * 60
_WEEK = 7 * _DAY
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_YEAR_DAYS = 371
_LOCAL = "local time"
_AHEAD_DAYS = 22  # a window that opens once a week misses one week at the most, when clocks go forward


@dataclass(frozen=True, slots=True)
class Window:
    """One window.

    Parameters
    ----------
    name
        The name of its table.
    days
        On which it opens; Monday is 0.
    opens, closes
        Minutes since midnight; ``closes`` counts from the same midnight, so it may be more than a day.
    zone
        The time zone; ``zone_name`` is what people call it.
    """

    name: str
    days: frozenset[int]
    opens: int
    closes: int
    zone: tzinfo
    zone_name: str

    def is_open(self, now: float) -> bool:
        """Return whether it is open."""
        return any(start <= now < end for start, end in self.openings(now, 2))

    def closes_at(self, now: float) -> float | None:
        """Return when it closes; ``None`` while it is closed. Openings that meet count as one."""
        closes = None
        for start, end in self.openings(now, _AHEAD_DAYS):
            if start <= now < end or (closes is not None and start <= closes):
                closes = end
            elif start > now:
                break
        return closes

    def next_open(self, now: float) -> float:
        """Return ``now`` while it is open, else when it opens next."""
        for start, end in self.openings(now, _AHEAD_DAYS):
            if end > now:
                return max(start, now)
        raise ValueError(f'the window "{self.name}" never opens')  # window_of has refused such a one

    def openings(self, since: float, days: int) -> Iterator[tuple[float, float]]:
        """Give every opening of so many days from ``since`` on, and of the two days before, in order."""
        first = datetime.fromtimestamp(since, self.zone).date() - timedelta(days=2)
        for ahead in range(days + 3):
            day = first + timedelta(days=ahead)
            if day.weekday() in self.days:
                start, end = self._instant(day, self.opens), self._instant(day, self.closes)
                if start < end:
                    yield start, end

    def __str__(self) -> str:
        days = " ".join(DAYS[day] for day in sorted(self.days)) if len(self.days) < 7 else "daily"
        return f"{days} {_clock(self.opens)}–{_clock(self.closes % _DAY or _DAY)} {self.zone_name}"

    def _instant(self, day: date, minutes: int) -> float:
        """Return when the wall clock shows ``minutes`` after the midnight with which ``day`` begins."""
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 (arithmetic of the wall clock)
        wall = midnight + timedelta(minutes=minutes)
        first = wall.replace(tzinfo=self.zone, fold=0)
        then = first.timestamp()
        if datetime.fromtimestamp(then, self.zone).replace(tzinfo=None) == wall:
            return then
        return self._change(wall.replace(tzinfo=self.zone, fold=1).timestamp(), then)

    def _change(self, low: float, high: float) -> float:
        """Return the moment between the two at which the clock goes forward."""
        before = datetime.fromtimestamp(low, self.zone).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            if datetime.fromtimestamp(middle, self.zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return high


class DeclaredWindow(Table):
    """``[window.NAME]``."""

    days: tuple[str, ...] = DAYS
    opens: str = Field(alias="from")
    closes: str = Field(alias="to")
    zone: str | None = None
    """``Europe/Berlin``; left out: the zone of this machine."""

    def window(self, name: str) -> Window:
        """Return it.

        Raises
        ------
        ValueError
            With one sentence and a hint behind a semicolon, as :func:`window_of` does.
        """
        return window_of(name, self.days, self.opens, self.closes, self.zone)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two windows that are open at the same time, and when."""

    first: str
    second: str
    says: str


def window_of(name: str, days: Sequence[str], opens: str, closes: str, zone: str | None = None) -> Window:
    """Return the window that a table describes.

    Parameters
    ----------
    zone
        A name such as ``Europe/Berlin``; left out: the zone of this machine.

    Raises
    ------
    ValueError
        With one sentence, when it never opens or when something in it is no day, time or zone.
    """
    unknown = [day for day in days if day not in DAYS]
    if unknown:
        raise ValueError(f'"{unknown[0]}" is no day; write some of {", ".join(DAYS)}')
    if not days:
        raise ValueError(f'the window "{name}" never opens: it has no days')
    start, end = _minutes(opens), _minutes(closes)
    if start == end:
        raise ValueError(
            f'the window "{name}" never opens: it closes when it opens; write from = "00:00", to = "24:00" for all day'
        )
    if start == _DAY:
        raise ValueError(f'the window "{name}" opens at 24:00; write 00:00 of the day after')
    end = end if end > start else end + _DAY
    where, called = _zone(zone) if zone is not None else (local_zone(), _LOCAL)
    return Window(name, frozenset(DAYS.index(day) for day in days), start, end, where, called)


def open_between(window: Window, since: float, days: int) -> list[tuple[int, int]]:
    """Return when it is open from ``since`` on, for so many days, in whole seconds since 1970, in order.

    What has ended is left out, and openings that meet or overlap are one.
    """
    found: list[tuple[int, int]] = []
    for start, end in window.openings(since, days):
        first, last = math.floor(start), math.ceil(end)
        if last <= since:
            continue
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def overlaps(windows: Mapping[str, Window], since: float) -> list[Overlap]:
    """Return every pair of windows that are open at the same time at some moment; ``since`` is now."""
    found = []
    years: dict[str, list[tuple[float, float]]] = {}
    for one, other in combinations(windows.values(), 2):
        if one.zone_name == other.zone_name:
            says = _in_a_week(one, other)
        else:
            for window in (one, other):
                if window.name not in years:
                    years[window.name] = list(window.openings(since, _YEAR_DAYS))
            says = _in_a_year(one, years[one.name], years[other.name])
        if says:
            found.append(Overlap(one.name, other.name, says))
    return found


def local_zone() -> tzinfo:
    """Return the time zone of this machine, with its changes: ``$TZ``, else ``/etc/localtime``, else UTC."""
    name = os.environ.get("TZ", "").removeprefix(":")
    try:
        if name:
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key=_LOCAL)
    except (OSError, ValueError, KeyError):  # a name that is unknown is a KeyError
        return UTC


def _in_a_week(one: Window, other: Window) -> str:
    for day in sorted(one.days):
        for its_day in sorted(other.days):
            for turn in (-_WEEK, 0, _WEEK):
                start = max(day * _DAY + one.opens, its_day * _DAY + other.opens + turn)
                end = min(day * _DAY + one.closes, its_day * _DAY + other.closes + turn)
                if start < end:
                    weekday = DAYS[start // _DAY % 7]
                    return f"{weekday} {_clock(start % _DAY)}–{_clock(end % _DAY)} {one.zone_name}"
    return ""


def _in_a_year(one: Window, mine: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> str:
    place = 0
    for start, end in mine:
        while place < len(theirs) and theirs[place][1] <= start:
            place += 1
        if place < len(theirs) and theirs[place][0] < end:
            first, last = max(start, theirs[place][0]), min(end, theirs[place][1])
            begin, stop = (datetime.fromtimestamp(at, one.zone) for at in (first, last))
            return f"{begin:%a %Y-%m-%d %H:%M}–{stop:%H:%M} {one.zone_name}"
    return ""


def _minutes(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is no time of day; write for example 22:30')
    return _DAY if found[1] is None else int(found[1]) * 60 + int(found[2])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _zone(name: str) -> tuple[tzinfo, str]:
    try:
        return ZoneInfo(name), name
    except (OSError, ValueError, KeyError):
        known = available_timezones()
        if not known:
            raise ValueError("this machine has no time zones; install the package tzdata") from None
        close = difflib.get_close_matches(name, known, n=1)
        hint = f'did you mean "{close[0]}"?' if close else "write for example Europe/Berlin"
        raise ValueError(f'there is no time zone "{name}"; {hint}') from None
