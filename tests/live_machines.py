"""Machines of `tidegate watch` for tests: rules with small windows, hits, and rows as a store would keep them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Change, Gap, Hit, Json, Notice
from tidegate.watch.live.moments import StreamMoved
from tidegate.watch.rule import Rule, RuleSet

__all__ = ["SECOND", "START", "Kept", "hit", "log_rule", "probe_rule", "rule_set"]

SECOND = 10**9
START = 1_700_000_000 * SECOND
_REMEDY = {"id": "wait", "title": "Wait", "steps": [{"do": "Wait."}]}
_SOURCE = {"title": "A page", "url": "https://example.org/page", "retrieved": "2026-11-25"}


def log_rule(
    *windows: Mapping[str, Any], name: str = "lab.pump.stuck", severity: str = "warning", supports: Sequence[str] = ()
) -> Rule:
    """Return a rule with the signatures a, b, c (records) and p (prose)."""
    return _rule(
        name,
        severity,
        kind="log",
        windows=[{"says": "So many.", **window} for window in windows],
        signatures=[
            {
                "id": each,
                "says": "It is so.",
                "literals": ["0123456789"],
                "from": "prose" if each == "p" else "record",
                "role": "supports" if each in supports else "incident",
            }
            for each in "abcp"
        ],
    )


def probe_rule(name: str = "lab.pump.pressure") -> Rule:
    """Return a rule that asks for a number."""
    return _rule(name, "critical", kind="probe", probe={"measure": "ports.used", "at_least": 0.9})


def _rule(name: str, severity: str, **more: Any) -> Rule:
    fixed = {"schema": 1, "id": name, "rev": 1, "title": "A pump is stuck", "source": _SOURCE, "severity": severity}
    about = {"products": ["vasa"], "explains": "It does not turn.", "remedies": [_REMEDY]}
    return Rule.model_validate_json(json.dumps({**fixed, **about, **more}))


class _NoLines:
    def of(self, path: tuple[str | int, ...]) -> int:
        """Know nothing."""
        return 0 * len(path)


def rule_set(*rules: Rule) -> RuleSet:
    """Return rules as if each stood in a file."""
    files = {Path(f"{rule.id}.yaml"): rule for rule in rules}
    return RuleSet(files, dict.fromkeys(files, _NoLines()))


def hit(
    seconds: float,
    signature: str = "a",
    *,
    rule: str = "lab.pump.stuck",
    place: int = 0,
    arrival: float | None = None,
    stream: str = "s",
    live: bool = False,
    record: str = "",
    quoted: bool = False,
    **values: str,
) -> Hit:
    """Return a hit at so many seconds after START; it arrives then, unless it says otherwise."""
    time = START + round(seconds * SECOND)
    came = time if arrival is None else START + round(arrival * SECOND)
    return Hit(rule, signature, time, came, "files.a", stream, place, live, values, record, quoted)


class Kept:
    """A machine and the store that keeps its rows; it can be made again from them."""

    def __init__(self, rules: RuleSet, **options: Any) -> None:
        self.rules, self.options = rules, options
        self.rows: dict[tuple[str, str], Json] = {}
        self.notices: list[Notice] = []
        self.machine = Machine(rules, **options)

    def take(self, hits: Sequence[Hit], now: float, *moved: StreamMoved, gaps: Sequence[Gap] = ()) -> Change:
        """Let the machine take hits at so many seconds after START."""
        return self._stored(self.machine.take(hits, START + round(now * SECOND), streams=moved, gaps=gaps))

    def tick(self, now: float) -> Change:
        """Let time pass."""
        return self._stored(self.machine.tick(START + round(now * SECOND)))

    def again(self, rules: RuleSet | None = None) -> None:
        """End the machine; make another one of what is in the store, in an order of its own."""
        rows: Iterable[tuple[str, str, Json]] = ((kind, key, row) for (kind, key), row in sorted(self.rows.items()))
        self.machine = Machine(rules or self.rules, rows=list(rows), **self.options)

    def said(self) -> list[str]:
        """Return what was said, in order."""
        return [notice.what for notice in self.notices]

    def _stored(self, change: Change) -> Change:
        for key, row in change.rows.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = json.loads(json.dumps(row))
        self.notices += change.notices
        return change
