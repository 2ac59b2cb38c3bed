"""One scope of a group: its windows, and the episode that they share.

The scope's *frontier* is the watermark less the lateness. A scope that hears live records has a clock of its own
besides: as long as it was heard within ``over``, its frontier is not ahead of its own newest event less the lateness.
A host whose clock is slow is late for all others, but not for itself, and its episode does not end while it goes on.

While a log is still being read that is far behind, an episode is held back as long as an earlier one may still be found
that it does not touch. Else two would be told of as one. What comes live is told at once.
"""

from __future__ import annotations

import json

from tidegate.watch.live.episodes import Open
from tidegate.watch.live.groups import Group
from tidegate.watch.live.kept import BEFORE, NOTHING, Run
from tidegate.watch.live.model import Hit, Json, Notice
from tidegate.watch.live.windows import kept

__all__ = ["Scope"]

_HOSTS = 2000
"""Hosts that are remembered until it is known whether they belong to an episode."""


class Scope:
    """What is known of one scope.

    Parameters
    ----------
    values
        Of the group's ``by``, in that order.
    """

    __slots__ = (
        "group",
        "heard",
        "held",
        "hits",
        "hosts",
        "key",
        "late",
        "live",
        "newest",
        "open",
        "refused",
        "settled",
        "source",
        "touched",
        "values",
        "weight",
        "windows",
    )

    def __init__(self, group: Group, values: tuple[str, ...]) -> None:
        self.group, self.values = group, values
        self.key = json.dumps([group.rule, list(group.by), list(values)], ensure_ascii=False, separators=(",", ":"))
        self.windows = [kept(judged.window) for judged in group.windows]
        self.source = group.source(values)
        self.open: Open | None = None
        self.hits: list[tuple[int, Hit]] = NOTHING
        """What came since it was settled last."""
        self.hosts: dict[str, int] = {}
        self.settled = self.newest = self.heard = self.touched = BEFORE
        self.live = False
        self.weight = 0
        """Events that are kept."""
        self.held: int | None = None
        """How far logs must have come, less the lateness, for what is held back to be opened."""
        self.refused = False
        """Something was to be opened when it was settled last, and there was no room."""
        self.late = 0
        """Events that came after the frontier had passed them; to be read and set back."""

    def take(self, time: int, hit: Hit, indexes: tuple[int, ...]) -> None:
        """Take an event for the windows at ``indexes``, to be judged by :meth:`settle`."""
        if self.hits:
            self.hits.append((time, hit))
        else:
            self.hits = [(time, hit)]
        for index in indexes:
            field = self.group.windows[index].field
            self.windows[index].add(time, hit.signature, hit.values.get(field, "") if field else "")

    def frontier(self, watermark: int, now: int) -> int:
        """Return up to when no event is waited for any longer; it never moves back."""
        lateness = self.group.lateness
        reached = watermark - lateness
        if self.live and now - self.heard <= self.group.over:
            reached = min(reached, self.newest - lateness)
        return max(reached, self.settled)

    def heard_until(self) -> int:
        """Return until when (our time) it counts as heard without another event."""
        return self.heard + self.group.over

    def note(self) -> None:
        """Take note of when its newest events were, and came."""
        for time, hit in self.hits:
            if time > self.newest:
                self.newest = time
            elif time <= self.settled:
                self.late += 1
            if hit.arrival > self.heard:  # noqa: PLR1730 (this is run for every event)
                self.heard = hit.arrival
        self.live = hit.live
        if "host" not in self.group.by:
            self._note_hosts()

    def _note_hosts(self) -> None:
        for time, hit in self.hits:
            host = hit.values.get("host", "")
            if host and (host in self.hosts or len(self.hosts) < _HOSTS):
                self.hosts[host] = max(time, self.hosts.get(host, time))

    def settle(self, frontier: int, now: int, *, reach: int | None, room: bool) -> list[Notice]:
        """Judge what came, and up to the frontier; return what is to be said.

        Parameters
        ----------
        reach
            How far the slowest log that is still being read has come, less the lateness; ``None`` where there is none.
        room
            Without it nothing is opened.
        """
        lives: list[tuple[int, int, Run]] = []
        for index, window in enumerate(self.windows):
            lives.extend([(run.at, index, run) for run in window.judge(frontier)])
        self.settled = frontier
        notices: list[Notice] = []
        if lives or self.open is not None:
            lives.sort(key=lambda life: life[:2])
            self._live(lives, notices, now, reach if room else BEFORE)
        self.held = self._held(lives) if room else None
        self.refused = bool(lives) and not room
        self._forget(frontier)
        return notices

    def _live(self, lives: list[tuple[int, int, Run]], notices: list[Notice], now: int, reach: int | None) -> None:
        """Let the episode go on, end, and be followed by others."""
        over = BEFORE
        while True:
            if self.open is None:
                if not lives or reach == BEFORE:
                    break
                if reach is not None and not self.live and lives[0][0] - self.group.least > max(reach, self.settled):
                    break
                self.open = Open(self.group, self.values, lives[0][1], lives[0][2])
            one = self.open
            while lives and lives[0][0] <= one.end:
                _, index, run = lives.pop(0)
                one.join(index, run)
            self._show(one, over)
            notices += [notice for notice in (one.notice(now),) if notice]
            if one.end >= self.settled:
                break
            notices.append(one.clear(now))
            self.open, over = None, one.end

    def _held(self, lives: list[tuple[int, int, Run]]) -> int | None:
        return lives[0][0] - self.group.least if lives and self.open is None and not self.live else None

    def _show(self, one: Open, over: int) -> None:
        if not one.key:
            # What came up to the end of the one before may have named that.
            one.named(each for each in self.hits if each[0] > over)
        one.shows(self.hits)
        if "host" in self.group.by:
            one.met([self.values[self.group.by.index("host")]])
            return
        met = [host for host, time in self.hosts.items() if one.first <= time <= one.end]
        one.met(met)
        for host in met:
            del self.hosts[host]

    def _forget(self, frontier: int) -> None:
        self.hits = NOTHING
        self.weight = 0
        for window in self.windows:
            self.weight += window.size()
        if self.hosts and min(self.hosts.values()) <= frontier - self.group.over:
            self.hosts = {host: time for host, time in self.hosts.items() if time > frontier - self.group.over}

    def due(self) -> int | None:
        """Return the frontier at which it is to be settled though nothing came; ``None``: it may be forgotten now."""
        soon = None if self.open is None else self.open.end + 1
        last = self.settled
        for window in self.windows:
            due = window.due()
            if due > self.settled and window.waits and (soon is None or due < soon):
                soon = due
            if due > last:  # noqa: PLR1730
                last = due
        if soon is not None:
            return soon
        return last if last > self.settled else None

    def row(self) -> Json:
        """Return the state without the episode."""
        windows = {}
        for judged, window in zip(self.group.windows, self.windows, strict=True):
            windows[judged.id] = [judged.mark, window.to_json()]
        return {
            "windows": windows,
            "hosts": dict(self.hosts),
            "times": [self.settled, self.newest, self.heard, self.touched],
            "live": self.live,
        }

    def restore(self, row: Json, episode: Json | None) -> bool:
        """Take back what :meth:`row` gave, and an episode; tell whether the episode's window is still there.

        A window that is another one now begins anew.
        """
        for judged, window in zip(self.group.windows, self.windows, strict=True):
            mark, state = row["windows"].get(judged.id, ("", None))
            if state is not None and mark == judged.mark:
                window.from_json(state)
        self.hosts = dict(row["hosts"])
        self.settled, self.newest, self.heard, self.touched = row["times"]
        self.live = row["live"]
        self.weight = sum(window.size() for window in self.windows)
        if episode is None:
            return True
        index = next((i for i, judged in enumerate(self.group.windows) if judged.id == episode["window"]), None)
        if index is not None:
            self.open = Open.from_json(self.group, self.values, index, episode)
        return index is not None

    def hold(self) -> None:
        """Find out again what is held back."""
        lives = [(run.at, index, run) for index, window in enumerate(self.windows) for run in window.runs]
        self.held = self._held(sorted(lives, key=lambda life: life[:2]))
