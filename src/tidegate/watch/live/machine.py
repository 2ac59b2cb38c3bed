"""The machine: hits in, notices out, and rows from which the same machine can be made again. No I/O, no clock.

Every hit goes to the scopes whose windows wait for its signature. After each batch the scopes that were touched are
settled up to their frontier, and so are those for which the time has come. What is said depends on nothing but what
was taken and when: the same input gives the same output, and a machine that is made of another one's rows goes on as
that one would.

What is quoted in an article, or is merely prose, reaches no window. A record without a time reaches none either,
unless it came as it was sent, or its rule is met by any single record: then it is of its arrival.

While a probe fails, quiet means nothing: what it had found stays open until it answers again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from tidegate.watch.live.agenda import Agenda
from tidegate.watch.live.episodes import ended
from tidegate.watch.live.groups import Group, groups
from tidegate.watch.live.machine_view import view
from tidegate.watch.live.model import Change, Episode, Gap, Hit, Json
from tidegate.watch.live.moments import Clocks, StreamMoved, Watermark
from tidegate.watch.live.scopes import Scope
from tidegate.watch.rule import RuleSet

__all__ = ["LATENESS", "Machine"]

_SECOND = 10**9
LATENESS = 30 * _SECOND
"""How much later than others an event may come and still count as if it had come in order."""
_SCOPES = 100_000
"""Scopes of one group; the one that was touched longest ago is forgotten first."""
_EVENTS = 4_000_000
"""Events in all windows together; beyond that scopes are forgotten in the same order."""
_OPEN = 10_000
"""Episodes that are open at a time."""
_COUNTERS = ("late", "skewed", "timeless", "forgotten", "refused")


class Machine:
    """All that a watch knows of its rules' windows.

    Parameters
    ----------
    lateness
        Nanoseconds, ≥ 0.
    rows
        What the changes of an earlier machine put into the store: (kind, key, row). Of rules that are gone the rows
        go, and their episodes end.
    every
        How often each probe rule is asked about (rule → ns); 60 s where it does not say.
    probes
        The probes that are asked (``probe.NAME``); ``None``: any may be. One that is asked no more, and failed last,
        keeps nothing open.
    """

    def __init__(
        self,
        rules: RuleSet,
        *,
        lateness: int = LATENESS,
        rows: Iterable[tuple[str, str, Json]] = (),
        every: Mapping[str, int] | None = None,
        probes: Collection[str] | None = None,
    ) -> None:
        self._watermark, self._clocks = Watermark(), Clocks()
        self._scopes: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], Scope]] = {}
        self._groups: dict[tuple[str, tuple[str, ...]], Group] = {}
        self._waits: dict[tuple[str, str], list[tuple[Group, tuple[int, ...], dict[tuple[str, ...], Scope]]]] = {}
        for rule in rules.rules:
            for group in groups(rule, lateness, (every or {}).get(rule.id, 60 * _SECOND)):
                self._wait(group)
        self._by_key: dict[str, Scope] = {}
        self._due, self._silent = Agenda(), Agenda()
        self._open: dict[str, Scope] = {}
        self._behind: int | None = None
        """How far the slowest log has come that is still being read, in this step."""
        self._held: dict[str, int] = {}
        """Scopes that hold something back, and how far the slowest log must have come for it."""
        self._episodes: list[Episode] | None = None
        self._blind: set[str] = set()
        """Probes that fail."""
        self._full: tuple[int, int] | None = None
        """Since when there has been no room for episodes, and how many had none."""
        self._events = 0
        self.counters = dict.fromkeys(_COUNTERS, 0)
        """Events that came late, whose time is not believed, without one; scopes forgotten, episodes not opened."""
        self._counted = dict(self.counters)
        self._stale: list[tuple[str, str, Json]] = []
        self._restore(rows, probes)

    def _wait(self, group: Group) -> None:
        scopes = self._scopes.setdefault((group.rule, group.by), {})
        self._groups[(group.rule, group.by)] = group
        for signature, indexes in group.waits.items():
            self._waits.setdefault((group.rule, signature), []).append((group, indexes, scopes))

    def take(
        self, hits: Sequence[Hit], now: int, *, streams: Sequence[StreamMoved] = (), gaps: Sequence[Gap] = ()
    ) -> Change:
        """Take hits, which streams they came from, and what could not be seen; return what that changed.

        Parameters
        ----------
        now
            Nanoseconds since 1970, not before that of an earlier call.
        """
        change = self._begun(now)
        newest: dict[str, int] = {}
        touched: dict[str, Scope] = {}
        self._see(streams, gaps, now, change)
        for hit in hits:
            self._hit(hit, now, newest, touched)
        for moved in streams:
            seen = newest.pop(moved.stream, 0)
            time = max(seen, moved.time or 0)
            self._watermark.moved(StreamMoved(moved.stream, moved.idle, time or None, moved.live), now)
        for stream, time in newest.items():
            self._watermark.moved(StreamMoved(stream, time=time), now)
        watermark = self._pass_to(now)
        for key in sorted(touched):
            self._touched(touched[key], watermark, now, change)
        return self._ended(change, watermark, now)

    def tick(self, now: int) -> Change:
        """Let time pass; return what that changed."""
        return self._ended(self._begun(now), self._pass_to(now), now)

    def next_tick(self, now: int) -> int | None:
        """Return when :meth:`tick` is due if nothing is taken before, not earlier than ``now``; ``None``: never."""
        due = self._due.first()
        times = [
            self._watermark.next_idle(),
            self._silent.first(),
            None if due is None else self._watermark.reaches(due),
        ]
        soon = min((time for time in times if time is not None), default=None)
        return None if soon is None else max(soon, now)

    def open_episodes(self) -> list[Episode]:
        """Return the episodes that are open, oldest first: to be said again."""
        if self._episodes is None:
            found = [scope.open.episode() for scope in self._open.values() if scope.open is not None]
            self._episodes = sorted(found, key=lambda episode: (episode.at, episode.key))
        return list(self._episodes)

    def view(self, now: int) -> Json:
        """Return what a person may see; see :func:`tidegate.watch.live.machine_view.view`."""
        return {
            **view(self._by_key.values(), self._watermark.at(now), self.open_episodes(), self._clocks),
            **self.counters,
        }

    def _pass_to(self, now: int) -> int:
        watermark = self._watermark.pass_to(now)
        self._behind = self._watermark.behind()
        return watermark

    def _see(self, streams: Sequence[StreamMoved], gaps: Sequence[Gap], now: int, change: Change) -> None:
        """Take note of probes that fail, and of those that answer again: their episodes last at least until then."""
        failed = {gap.source for gap in gaps if gap.kind == "probe_failed"}
        for source in sorted(failed - self._blind):
            self._blind.add(source)
            change.rows[("blind", source)] = {"since": now}
        for source in sorted(self._blind.intersection(moved.stream for moved in streams) - failed):
            self._blind.discard(source)
            change.rows[("blind", source)] = None
            for scope in self._open.values():
                if scope.source == source and scope.open is not None:
                    scope.open.end = max(scope.open.end, now)
                    change.rows[("episode", scope.key)] = scope.open.to_json()
                    self._due.put(scope.key, scope.open.end + 1 + scope.group.lateness)

    def _hit(self, hit: Hit, now: int, newest: dict[str, int], touched: dict[str, Scope]) -> None:
        waits = self._waits.get((hit.rule, hit.signature)) or self._waits.get((hit.rule, ""))
        if waits is None or hit.quoted:
            return
        time, offset, believed = self._clocks.time_of(hit)
        if believed and time is not None and newest.get(hit.stream, 0) < time <= now:
            newest[hit.stream] = time
        self.counters["skewed"] += not believed and hit.time is not None
        values = hit.values
        for group, indexes, scopes in waits:
            at = time
            if at is None:
                if not group.implied:
                    self.counters["timeless"] += 1
                    continue
                at = hit.arrival
            if offset and "host" not in group.by:
                at += offset
            named = tuple([values.get(name, "") for name in group.by])
            scope = scopes.get(named)
            if scope is None:
                scope = self._new(group, named)
            if not scope.hits:
                touched[scope.key] = scope
            scope.take(at, hit, indexes)

    def _new(self, group: Group, named: tuple[str, ...]) -> Scope:
        scope = Scope(group, named)
        self._scopes[(group.rule, group.by)][named] = scope
        self._by_key[scope.key] = scope
        return scope

    def _touched(self, scope: Scope, watermark: int, now: int, change: Change) -> None:
        scopes = self._scopes[(scope.group.rule, scope.group.by)]
        scopes[scope.values] = scopes.pop(scope.values)
        scope.touched = now
        scope.note()
        self.counters["late"] += scope.late
        scope.late = 0
        self._settle(scope, watermark, now, change)

    def _settle(self, scope: Scope, watermark: int, now: int, change: Change) -> None:
        room = scope.open is not None or len(self._open) < _OPEN
        had = scope.key in self._open
        before, missed = scope.weight, scope.refused
        reach = None if self._behind is None else self._behind - scope.group.lateness
        change.notices += scope.settle(scope.frontier(watermark, now), now, reach=reach, room=room)
        self._hold(scope)
        self.counters["refused"] += scope.refused and not missed
        self._events += scope.weight - before
        if scope.open is not None or had:
            self._episodes = None
        if scope.open is not None:
            self._open[scope.key] = scope
            change.rows[("episode", scope.key)] = scope.open.to_json()
        elif had:
            del self._open[scope.key]
            change.rows[("episode", scope.key)] = None
        due = scope.due()
        if due is None:
            self._drop(scope, change)
            return
        change.rows[("window", scope.key)] = scope.row()
        self._due.put(scope.key, due + scope.group.lateness)

    def _hold(self, scope: Scope) -> None:
        if scope.held is not None:
            self._held[scope.key] = scope.held + scope.group.lateness
        else:
            self._held.pop(scope.key, None)

    def _drop(self, scope: Scope, change: Change) -> None:
        del self._scopes[(scope.group.rule, scope.group.by)][scope.values]
        del self._by_key[scope.key]
        self._held.pop(scope.key, None)
        self._events -= scope.weight
        change.rows[("window", scope.key)] = None

    def _ended(self, change: Change, watermark: int, now: int) -> Change:
        """Do what is due, keep within bounds, and add the rows of clocks and counters."""
        behind = self._behind
        for held in sorted(key for key, needed in self._held.items() if behind is None or needed <= behind):
            self._settle(self._by_key[held], watermark, now, change)
        while (key := self._silent.pop(now)) is not None:
            self._look(key, watermark, now, change)
        while (key := self._due.pop(watermark)) is not None:
            self._look(key, watermark, now, change)
        self._bound(change)
        change.rows.update(self._watermark.rows())
        change.rows.update(self._clocks.rows())
        refused = self.counters["refused"] - self._counted["refused"]
        if refused:
            since, count = self._full or (now, 0)
            self._full = since, count + refused
            change.gaps.append(Gap("machine", "queue_full", f"{_OPEN} episodes are open", since, now, count + refused))
        elif len(self._open) < _OPEN:
            self._full = None
        if self.counters != self._counted:
            self._counted = dict(self.counters)
            change.rows[("counters", "")] = dict(self.counters)
        return change

    def _look(self, key: str, watermark: int, now: int, change: Change) -> None:
        scope = self._by_key.get(key)
        if scope is None or (scope.open is not None and scope.source in self._blind):
            return
        due = scope.due()
        if due is None:
            self._drop(scope, change)
        elif due + scope.group.lateness > watermark:
            self._due.put(key, due + scope.group.lateness)
        elif scope.frontier(watermark, now) < due:
            self._silent.put(key, scope.heard_until() + 1)
        else:
            self._settle(scope, watermark, now, change)

    def _bound(self, change: Change) -> None:
        for scopes in self._scopes.values():
            while len(scopes) > _SCOPES and self._forget(scopes, change):
                pass
        while self._events > _EVENTS:
            full = [scopes for scopes in self._scopes.values() if scopes]
            oldest = min(full, key=lambda scopes: next(iter(scopes.values())).touched)
            if not self._forget(oldest, change):
                break

    def _forget(self, scopes: dict[tuple[str, ...], Scope], change: Change) -> bool:
        oldest = next((scope for scope in scopes.values() if scope.open is None), None)
        if oldest is None:
            return False
        self._drop(oldest, change)
        self.counters["forgotten"] += 1
        return True

    def _begun(self, now: int) -> Change:
        """Begin a change; the first one ends what belongs to rules that are gone."""
        change = Change()
        for kind, key, row in self._stale:
            change.rows[(kind, key)] = None
            if kind == "episode":
                rule, by, values = json.loads(key)
                change.notices.append(ended(rule, tuple(zip(by, values, strict=True)), row, now))
        self._stale.clear()
        return change

    def _restore(self, rows: Iterable[tuple[str, str, Json]], probes: Collection[str] | None) -> None:
        kept: dict[str, dict[str, Json]] = {"window": {}, "episode": {}, "stream": {}, "clock": {}}
        for kind, key, row in rows:
            if kind == "counters":
                self.counters.update({name: row[name] for name in _COUNTERS})
                self._counted = dict(self.counters)
            elif kind == "blind" and (probes is None or key in probes):
                self._blind.add(key)
            elif kind == "blind":
                self._stale.append((kind, key, row))
            elif kind in kept:
                kept[kind][key] = row
        self._watermark.restore(kept["stream"])
        self._clocks.restore(kept["clock"])
        for key, row in sorted(kept["window"].items(), key=lambda pair: (pair[1]["times"][-1], pair[0])):
            self._restore_scope(key, row, kept["episode"].pop(key, None))
        self._stale += [("episode", key, row) for key, row in sorted(kept["episode"].items())]

    def _restore_scope(self, key: str, row: Json, episode: Json | None) -> None:
        rule, by, values = json.loads(key)
        group = self._groups.get((rule, tuple(by)))
        if group is None:
            self._stale += [("window", key, row)] + ([("episode", key, episode)] if episode else [])
            return
        scope = self._new(group, tuple(values))
        if not scope.restore(row, episode) and episode is not None:
            self._stale.append(("episode", key, episode))
        self._events += scope.weight
        if scope.open is not None:
            self._open[key] = scope
        scope.hold()
        self._hold(scope)
        due = scope.due()
        self._due.put(key, scope.settled if due is None else due + group.lateness)
