"""What must be alerted, from everything that was written: offline, all at once, in no hurry.

The records of every file are read as ``tidegate diagnose`` reads a log, and :func:`tidegate.watch.windows.episodes`
judges them. Windows of one rule that are told apart by the same fields share an episode; a rule about logs without
windows is met by one record, and is over when none has come for five minutes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidegate.watch.findings import article_members
from tidegate.watch.places import host_of_path
from tidegate.watch.plan import to_plan, to_window
from tidegate.watch.rule import Distinct, Rule, RuleSet
from tidegate.watch.scan import Json, Scanner
from tidegate.watch.windows import Event, Window, episodes

__all__ = ["Expected", "Filling", "Written", "expected_alerts", "filling"]

_ANY = 300 * 10**9
"""How long a rule without windows is met by a record, in nanoseconds."""
_STEP = 250 * 10**6
Scope = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Written:
    """All that was written into one file: its records in order, and when each was there (ns since 1970)."""

    path: str
    text: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def add(self, record: bytes, at: int) -> None:
        """Note that ``record`` was written at ``at``."""
        self.text += record
        self.ends.append(len(self.text))
        self.times.append(at)

    def written_at(self, offset: int) -> int:
        """Return when the record that holds the byte ``offset`` was written."""
        return self.times[bisect_left(self.ends, offset + 1)]


@dataclass(frozen=True, slots=True)
class Expected:
    """One episode that must be told, times in nanoseconds since 1970.

    ``known`` is when the record was written by which it could first be known.
    """

    rule: str
    scope: Scope
    at: int
    until: int
    count: int
    known: int


@dataclass(frozen=True, slots=True)
class Filling:
    """How full one window was: at these times (ns since 1970) so many counted, and from ``threshold`` on it held."""

    threshold: int
    times: list[int]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One hit: what windows need, and when it was written."""

    time: int
    signature: str
    values: Mapping[str, str]
    written: int


def expected_alerts(rules: RuleSet, files: Iterable[Written]) -> list[Expected]:
    """Return every episode of what was written, in order of time."""
    seen = _read(rules, files)
    found = [one for rule in rules.rules for one in _of_rule(rule, seen.get(rule.id, []))]
    return sorted(found, key=lambda one: (one.at, one.rule, one.scope))


def filling(rules: RuleSet, files: Iterable[Written], rule: str, scope: Scope) -> Filling:
    """Return how the distinct window of a rule filled up for one scope, in steps of :data:`_STEP`."""
    found = rules.get(rule)
    window = next(one for one in found.windows if isinstance(one, Distinct)) if found else None
    if window is None:
        return Filling(0, [], [])
    over = window.over.count
    mine = [
        (hit.time, hit.values.get(window.field, ""))
        for hit in _read(rules, files).get(rule, [])
        if tuple((name, hit.values.get(name, "")) for name in window.by) == scope
    ]
    ends = [time for time, _ in mine] or [0]
    times = list(range(min(ends), max(ends) + over + _STEP, _STEP))
    counts = [len({value for at, value in mine if time - over < at <= time}) for time in times]
    return Filling(window.at_least, times, counts)


def _read(rules: RuleSet, files: Iterable[Written]) -> dict[str, list[_Seen]]:
    """Return the hits of every rule; a file that holds the text of an article has none."""
    scanner = Scanner(to_plan(rules.rules))
    seen: dict[str, list[_Seen]] = {}
    for written in files:
        result = scanner.scan_text(written.path, bytes(written.text))
        if result["hits"] and article_members(result):
            continue
        for hit in result["hits"]:
            rule, _, signature = hit["signature"].partition("/")
            one = _Seen(hit["time"], signature, _values(hit, written.path), written.written_at(hit["offset"]))
            seen.setdefault(rule, []).append(one)
    return seen


def _values(hit: Json, path: str) -> dict[str, str]:
    fields = hit["fields"]
    return {
        **fields,
        "host": hit["host"] or host_of_path(path) or fields.get("host", ""),
        "provider": fields.get("vp", ""),
    }


def _of_rule(rule: Rule, seen: Sequence[_Seen]) -> list[Expected]:
    """Return the episodes of one rule, those of windows with the same fields joined."""
    windows: dict[tuple[str, ...], list[tuple[Window, str]]] = {}
    for one in rule.windows:
        value = one.field if isinstance(one, Distinct) else ""
        windows.setdefault(one.by, []).append((to_window(one), value))
    if not rule.windows and rule.kind == "log":
        telling = tuple(one.id for one in rule.signatures if one.role == "incident" and one.from_ == "record")
        windows["host",] = [(Window("count", telling, _ANY, more_than=0), "")]
    found = []
    for by, members in windows.items():
        scopes: dict[Scope, list[_Seen]] = {}
        for hit in seen:
            scopes.setdefault(tuple((name, hit.values.get(name, "")) for name in by), []).append(hit)
        for scope, hits in scopes.items():
            found += _of_scope(rule.id, scope, members, hits)
    return found


def _of_scope(rule: str, scope: Scope, windows: Sequence[tuple[Window, str]], hits: Sequence[_Seen]) -> list[Expected]:
    parts: list[tuple[int, Expected]] = []
    for window, value in windows:
        for episode in episodes(window, [_event(hit, value) for hit in hits]):
            known = _known(window, value, hits, episode.first, episode.until)
            parts.append((window.over, Expected(rule, scope, episode.at, episode.until, episode.count, known)))
    joined: list[Expected] = []
    for over, part in sorted(parts, key=lambda each: each[1].at):
        if joined and part.at - joined[-1].until <= over:
            last = joined[-1]
            most, until = max(last.count, part.count), max(last.until, part.until)
            joined[-1] = replace(last, until=until, count=most, known=min(last.known, part.known))
        else:
            joined.append(part)
    return joined


def _event(hit: _Seen, value: str) -> Event:
    return Event(hit.time, hit.signature, (), hit.values.get(value, "") if value else "")


def _known(window: Window, value: str, hits: Sequence[_Seen], first: int, until: int) -> int:
    """Return when the first record was written with which the window held; more records never make it hold less."""
    mine = sorted((hit for hit in hits if first <= hit.time <= until), key=lambda hit: hit.written)

    def holds(count: int) -> bool:
        return bool(episodes(window, [_event(hit, value) for hit in mine[:count]]))

    return mine[bisect_left(range(1, len(mine) + 1), True, key=holds)].written
