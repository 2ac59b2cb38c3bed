"""The machine: hits in, notices out, and rows from which the same machine can be made again. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tidegate.watch.live.model import Change, Episode, Hit, Json
from tidegate.watch.live.moments import Clocks, StreamMoved, Watermark
from tidegate.watch.rule import RuleSet

__all__ = ["LATENESS", "Machine"]

_SECOND = 10**9
LATENESS = 30 * _SECOND
"""How much later than others an event may come and still be counted as if it had come in order."""


class Machine:
    """All that a watch knows of its rules' windows.

    Parameters
    ----------
    lateness
        Nanoseconds, ≥ 0.
    rows
        What the changes of an earlier machine put into the store: (kind, key, row). Rows of rules that are gone are
        left out.
    every
        How often each probe rule is asked about (rule → ns); 60 s where it does not say.
    """

    def __init__(
        self,
        rules: RuleSet,
        *,
        lateness: int = LATENESS,
        rows: Iterable[tuple[str, str, Json]] = (),
        every: Mapping[str, int] | None = None,
    ) -> None:
        self._rules, self._lateness, self._every = rules, lateness, dict(every or {})
        self._watermark, self._clocks = Watermark(), Clocks()
        for kind, key, row in rows:
            if kind == "stream":
                self._watermark.restore(key, row)
            elif kind == "clock":
                self._clocks.restore({key: row})

    def take(self, hits: Sequence[Hit], now: int, *, streams: Sequence[StreamMoved] = ()) -> Change:
        """Take hits, and which streams they came from; return what that changed."""
        newest: dict[str, int] = {}
        for hit in hits:
            time, _, believed = self._clocks.time_of(hit)
            if time is not None and believed and time > newest.get(hit.stream, 0):
                newest[hit.stream] = time
        for moved in streams:
            self._watermark.moved(moved, now)
        return self.tick(now)

    def tick(self, now: int) -> Change:
        """Let time pass; return what that changed."""
        change = Change()
        self._watermark.at(now)
        change.rows.update({("stream", name): self._watermark.row(name) for name in self._watermark.changed})
        change.rows.update({("clock", host): self._clocks.row(host) for host in self._clocks.changed})
        self._watermark.changed.clear()
        self._clocks.changed.clear()
        return change

    def next_tick(self, now: int) -> int | None:
        """Return when :meth:`tick` is due if nothing is taken before, not earlier than ``now``; ``None``: never."""
        due = self._watermark.next_idle()
        return None if due is None else max(due, now)

    def open_episodes(self) -> list[Episode]:
        """Return the episodes that are open, oldest first: to be said again."""
        return []

    def view(self, now: int) -> Json:
        """Return what a person may see: fullest windows first, open episodes, clocks that are off, counters."""
        return {
            "windows": [],
            "windows_total": 0,
            "episodes": [],
            "clocks": [
                {"host": host, "offset_s": clock.offset // _SECOND, "records": clock.records}
                for host, clock in self._clocks.off()
            ],
            "late": 0,
            "skewed": self._clocks.skewed,
            "forgotten": 0,
            "watermark": self._watermark.at(now),
        }
