"""When a record happened, and how far the time of the records has come.

Two clocks are told apart everywhere: the *time* of an event is what its record says, *now* and *arrival* are ours.
All are nanoseconds since 1970.

- A record that claims to be from more than 5 min after its arrival, or (where records arrive as they are sent) from
  more than 1 h before it, has a clock that is not to be believed: its arrival is used instead. It never moves the
  watermark.
- The offset of a host's clock is the median of its last 21 differences between arrival and time, of live records
  only. From 20 records and 60 s on it is told, and windows that do not keep hosts apart use the corrected time.
- A stream's watermark is the greatest time that it has shown and that had come by then. The watermark of all is the
  least of those that are not idle, so that a stream that is still being read holds it up, and a dead one does not:
  what was not heard for 60 s is idle. Where all are idle it follows now - 60 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidegate.watch.live.model import Hit, Json

__all__ = ["Clock", "Clocks", "StreamMoved", "Watermark"]

_SECOND = 10**9
_IDLE = 60 * _SECOND
"""A stream that was not heard for so long holds nothing up."""
_FUTURE = 300 * _SECOND
_PAST = 3600 * _SECOND
_DIFFERENCES = 21
_KNOWN = 20
"""From so many records on an offset is believed."""
_OFF = 60
"""From so many seconds on an offset is told and used."""
_HOSTS = 10_000
"""Clocks that are kept; the one not heard from for longest goes first."""


@dataclass(frozen=True, slots=True)
class StreamMoved:
    """A stream was read, or is about to be.

    Parameters
    ----------
    idle
        It has no more for now: it holds up nothing until it moves again.
    time
        The newest time among its records, with or without hits. ``None``: not known, the hits alone tell. A stream of
        which nothing is known yet holds the watermark where it is: so a source names the streams that it will read,
        before it reads the first of them.
    live
        Its records arrive as they are sent: without a time it follows now - 60 s.
    """

    stream: str
    idle: bool = False
    time: int | None = None
    live: bool = False


class Watermark:
    """How far each stream has come, and all of them."""

    __slots__ = ("_changed", "_streams")

    def __init__(self) -> None:
        self._streams: dict[str, tuple[int, int, bool]] = {}
        self._changed: dict[str, None] = {}

    def moved(self, moved: StreamMoved, now: int) -> None:
        """Take note of a stream's move; a time after ``now`` has not come yet."""
        name = moved.stream
        self._changed[name] = None
        if moved.idle:
            self._streams.pop(name, None)
            return
        time = self._streams.get(name, (0, 0, False))[0]
        if moved.time is not None and time < moved.time <= now:
            time = moved.time
        self._streams[name] = (max(time, now - _IDLE) if moved.live else time, now, moved.live)

    def pass_to(self, now: int) -> int:
        """Let go of streams that were not heard for too long; return the watermark."""
        for name in [name for name, (_, heard, _) in self._streams.items() if now - heard > _IDLE]:
            del self._streams[name]
            self._changed[name] = None
        return self.at(now)

    def at(self, now: int) -> int:
        """Return the watermark; 0 while a stream that is to be read is still unknown."""
        return min((time for time, heard, _ in self._streams.values() if now - heard <= _IDLE), default=now - _IDLE)

    def behind(self) -> int | None:
        """Return how far the slowest log has come that is still being read; ``None``: all that is there was read."""
        return min((time for time, _, live in self._streams.values() if not live), default=None)

    def next_idle(self) -> int | None:
        """Return when the next stream becomes idle if nothing is heard from it, or ``None``."""
        heard = min((heard for _, heard, _ in self._streams.values()), default=None)
        return None if heard is None else heard + _IDLE + 1

    def reaches(self, time: int) -> int | None:
        """Return when it will be at ``time`` by itself; ``None`` where streams say."""
        return None if self._streams else time + _IDLE

    def rows(self) -> dict[tuple[str, str], Json | None]:
        """Return the rows that changed since this was asked last; ``None`` for a stream that is idle."""
        found = {name: self._streams.get(name) for name in self._changed}
        self._changed.clear()
        return {
            ("stream", name): None if stream is None else {"time": stream[0], "heard": stream[1], "live": stream[2]}
            for name, stream in found.items()
        }

    def restore(self, rows: Mapping[str, Json]) -> None:
        """Take back what :meth:`rows` gave, by stream."""
        self._streams.update({name: (row["time"], row["heard"], row["live"]) for name, row in rows.items()})


class Clock:
    """The clock of one host, by the seconds that its last records were older than their arrival."""

    __slots__ = ("_far", "differences", "offset", "records")

    def __init__(self, differences: Sequence[int] = (), records: int = 0) -> None:
        self.differences = list(differences)
        self.records = records
        self._far = sum(abs(seconds) > _OFF for seconds in differences)
        self.offset = 0
        """Nanoseconds to be added to its times; 0 while it is not known to be more than 60 s off."""
        self._judge()

    def heard(self, seconds: int) -> None:
        """Take one more difference."""
        self.records += 1
        self.differences.append(seconds)
        self._far += abs(seconds) > _OFF
        if len(self.differences) > _DIFFERENCES:
            self._far -= abs(self.differences.pop(0)) > _OFF
        self._judge()

    def _judge(self) -> None:
        # The median cannot be far off while fewer than half of the differences are.
        self.offset = 0
        if self.records < _KNOWN or 2 * self._far <= len(self.differences):
            return
        median = sorted(self.differences)[len(self.differences) // 2]
        if abs(median) > _OFF:
            self.offset = median * _SECOND


class Clocks:
    """The clocks of hosts, and what time an event is taken to be of."""

    __slots__ = ("_changed", "_hosts")

    def __init__(self) -> None:
        self._hosts: dict[str, Clock] = {}
        self._changed: dict[str, None] = {}

    def time_of(self, hit: Hit) -> tuple[int | None, int, bool]:
        """Return the time of a hit, what is to be added where hosts are not kept apart, and whether it is believed.

        The time is ``None`` where neither the record nor its arrival says when it was.
        """
        arrival, time = hit.arrival, hit.time
        if time is None:
            return (arrival if hit.live else None), 0, False
        if time > arrival + _FUTURE or (hit.live and time < arrival - _PAST):
            self._heard(hit, arrival - time)
            return arrival, 0, False
        return time, self._heard(hit, arrival - time), True

    def _heard(self, hit: Hit, difference: int) -> int:
        host = hit.values.get("host", "")
        if not hit.live or not host:
            return 0
        clock = self._hosts.pop(host, None) or Clock()
        self._hosts[host] = clock
        self._changed[host] = None
        clock.heard(round(difference / _SECOND))
        if len(self._hosts) > _HOSTS:
            oldest = next(iter(self._hosts))
            del self._hosts[oldest]
            self._changed[oldest] = None
        return clock.offset

    def off(self) -> Iterator[tuple[str, Clock]]:
        """Yield the hosts whose clock is more than 60 s off, by name."""
        return ((host, clock) for host, clock in sorted(self._hosts.items()) if clock.offset)

    def rows(self) -> dict[tuple[str, str], Json | None]:
        """Return the rows that changed since this was asked last; ``None`` for a host that was forgotten."""
        found = {host: self._hosts.get(host) for host in self._changed}
        self._changed.clear()
        return {
            ("clock", host): None
            if clock is None
            else {"differences": list(clock.differences), "records": clock.records}
            for host, clock in found.items()
        }

    def restore(self, rows: Mapping[str, Json]) -> None:
        """Take back what :meth:`rows` gave, by host."""
        self._hosts.update({host: Clock(row["differences"], row["records"]) for host, row in rows.items()})
