"""Which windows of a rule share an episode, and which signatures they wait for.

Windows of one rule that are kept apart by the same fields (``by``) are one *group*: a scope of it has one episode at
a time, as severe as the worst of its windows that fired.

- A log rule without windows gets one that any incident meets: more than 0 in 5 min, by host.
- A probe rule gets one by the scope of the value: more than 0 in 5 min, or in three times of its interval where that
  is more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidegate.watch.live.model import Severity
from tidegate.watch.plan import to_window
from tidegate.watch.rule import AnyWindow, Distinct, Rule
from tidegate.watch.windows import Window

__all__ = ["Group", "Judged", "groups"]

_SECOND = 10**9
_ANY = 300 * _SECOND
_INTERVALS = 3
"""A probe may fail twice before what it saw counts as over."""
_EVERY = 60 * _SECOND


@dataclass(frozen=True, slots=True)
class Judged:
    """A window as it is judged live.

    Parameters
    ----------
    field
        Which value of a hit ``distinct`` counts.
    limit
        From how many on it fires; nanoseconds of waiting for an absence.
    doubles
        Whether twice as many is worth a word. It is not where any single one fires.
    mark
        Tells this window from another of the same name, for stored state.
    """

    id: str
    window: Window
    severity: Severity
    field: str
    limit: int
    doubles: bool
    mark: str


@dataclass(frozen=True, slots=True)
class Group:
    """Windows of one rule that share their scopes.

    Parameters
    ----------
    lateness
        How much later than others an event may come, in ns: as configured, and no more than the longest ``over``.
    waits
        Which windows wait for a signature; "" stands for any.
    implied
        The rule has no windows of its own: a record without a time counts when it came.
    """

    rule: str
    by: tuple[str, ...]
    windows: tuple[Judged, ...]
    lateness: int
    over: int
    waits: Mapping[str, tuple[int, ...]]
    implied: bool = False

    def source(self, values: tuple[str, ...]) -> str | None:
        """Return the source that a scope of a probe rule is asked from; a probe's scopes begin with its name."""
        return f"probe.{values[0].partition(': ')[0]}" if self.by == ("scope",) and self.implied else None

    @property
    def least(self) -> int:
        """Return the shortest ``over`` of its windows."""
        return min(judged.window.over for judged in self.windows)

    @property
    def name(self) -> str:
        """Return the fields that scopes are told apart by, for keys."""
        return "+".join(self.by)


def groups(rule: Rule, lateness: int, every: int = _EVERY) -> Iterator[Group]:
    """Yield the groups of a rule; ``lateness`` and the interval of its probe are in nanoseconds."""
    if rule.kind == "probe":
        yield _implied(rule, ("scope",), max(_ANY, _INTERVALS * every), ("",), lateness)
        return
    told = tuple(each.id for each in rule.signatures if each.role == "incident" and each.from_ == "record")
    if not rule.windows:
        if told:
            yield _implied(rule, ("host",), _ANY, told, lateness)
        return
    prose = {each.id for each in rule.signatures if each.from_ == "prose"}
    by: dict[tuple[str, ...], list[AnyWindow]] = {}
    for window in rule.windows:
        by.setdefault(window.by, []).append(window)
    for fields, windows in by.items():
        yield _group(rule, fields, tuple(_judged(rule, window) for window in windows), lateness, prose)


def _implied(rule: Rule, by: tuple[str, ...], over: int, of: tuple[str, ...], lateness: int) -> Group:
    window = Window("count", of, over)
    judged = Judged("any", window, rule.severity, "", 1, False, _mark(window, ""))
    waits = dict.fromkeys(of, (0,))
    return Group(rule.id, by, (judged,), min(lateness, over), over, waits, implied=True)


def _judged(rule: Rule, window: AnyWindow) -> Judged:
    plain = to_window(window)
    limit = {
        "count": plain.more_than + 1,
        "distinct": plain.at_least,
        "sequence": len(plain.of),
        "absence": plain.over,
    }[plain.kind]
    field = window.field if isinstance(window, Distinct) else ""
    doubles = plain.kind in ("count", "distinct")
    return Judged(window.id, plain, window.severity or rule.severity, field, limit, doubles, _mark(plain, field))


def _mark(window: Window, field: str) -> str:
    return hashlib.sha256(repr((window, field)).encode()).hexdigest()[:8]


def _group(rule: Rule, by: tuple[str, ...], windows: tuple[Judged, ...], lateness: int, prose: set[str]) -> Group:
    waits: dict[str, tuple[int, ...]] = {}
    for index, judged in enumerate(windows):
        wanted = dict.fromkeys([*judged.window.of, judged.window.after])
        for signature in wanted:
            if signature and signature not in prose:
                waits[signature] = (*waits.get(signature, ()), index)
    over = max(judged.window.over for judged in windows)
    return Group(rule.id, by, windows, min(lateness, over), over, waits)
