"""Alerting rules for Loki's ruler, in LogQL.

The ruler sees lines and evaluates at *now*: it asks for the window that ended 30 s ago, as it never counts lines that
come later (grafana/loki#4909, #8765). ``|=`` is exact and fast, ``|~`` takes RE2, which knows all but a few signs of
Rust's regexes. Labels are the collector's: ``job`` names the program and ``host`` the host here; adapt the selector.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.watch.export.common import BETWEEN_LOOKS, Alert, Export, Json, Refusal, alerts_of, miscounted
from tidegate.watch.export.phrases import literal_of
from tidegate.watch.rule import Rule, Signature
from tidegate.watch.scan import finds

__all__ = ["OFFSET", "export"]

OFFSET = 30
"""How late a line may come, in seconds: the lateness of tidegate's own windows."""
_LABELS = {"host": "host", "program": "job", "path": "filename"}
"""Labels that every collector gives; all else is taken from the line."""
_PROVIDER = ("url", "vp")
_FOREIGN = re.compile(r"\(\?<[A-Za-z]|&&|~~|\\b\{|\(\?[a-zA-Z]*[xuR]")


def export(rules: Sequence[Rule]) -> Export:
    """Return one alerting rule per window that can be counted there; windows that ask the same become one."""
    alerts: dict[str, Json] = {}
    refusals = []
    for rule in rules:
        for alert in alerts_of(rule):
            made = alert if isinstance(alert, Refusal) else _alert(alert)
            if isinstance(made, Refusal):
                refusals.append(made)
            else:
                alerts.setdefault(f"{rule.id} {made['expr']}", made)
    return Export("loki", tuple(alerts.values()), tuple(refusals))


@dataclass(frozen=True, slots=True)
class _Filters:
    """Filters of lines, one after another: a line must match each of ``all``, and none of ``not``."""

    all_: tuple[str, ...]
    not_: tuple[str, ...] = ()

    def sees(self, text: str) -> bool:
        return all(finds(one, text) for one in self.all_) and not any(finds(one, text) for one in self.not_)

    def __str__(self) -> str:
        literals = [(one, literal_of(one)) for one in self.all_]
        wanted = [f"|~ {_quoted(one)}" if text is None else f"|= {_quoted(text)}" for one, text in literals]
        return " ".join([*wanted, *(f"!~ {_quoted(one)}" for one in self.not_)])


def _alert(alert: Alert) -> Json | Refusal:
    filters = _filters(alert)
    if filters is None:
        return Refusal(alert.name, "its signatures need more than one filter each, and filters have no `or`")
    if foreign := next((one for one in (*filters.all_, *filters.not_) if _FOREIGN.search(one)), None):
        return Refusal(alert.name, f"its regex {foreign} has what RE2 does not know")
    if reason := miscounted(alert, filters.sees):
        return Refusal(alert.name, reason)
    names = [*alert.by, *([alert.distinct] if alert.distinct else [])]
    found = _labels(alert, names, filters)
    return found if isinstance(found, Refusal) else _rule(alert, str(filters), *found)


def _filters(alert: Alert) -> _Filters | None:
    """Return the filters that see what the signatures see: their `line`, else all that they ask of a record."""
    each = list(dict.fromkeys(_of_signature(signature) for signature in alert.signatures))
    if len(each) == 1:
        return each[0]
    if any(len(one.all_) > 1 or one.not_ for one in each):
        return None
    return _Filters(("|".join(f"(?:{one.all_[0]})" for one in each),))


def _of_signature(signature: Signature) -> _Filters:
    def folded(text: str) -> str:
        return f"(?i:{text})" if signature.fold else text

    if signature.line is not None:
        return _Filters((folded(signature.line),))
    literals = "|".join(map(re.escape, signature.literals))
    return _Filters((folded(literals), *map(folded, signature.all_)), tuple(map(folded, signature.not_)))


def _labels(alert: Alert, names: list[str], filters: _Filters) -> tuple[str, list[str], list[str]] | Refusal:
    """Return the parser that gives the labels, and the labels of ``by`` and of what is to be distinct."""
    parsers: dict[str, None] = {}
    labels: dict[str, str] = {}
    for name in names:
        if name in _LABELS:
            labels[name] = _LABELS[name]
            continue
        found = _group(alert.signatures, _PROVIDER if name == "provider" else (name,))
        if found is None or _FOREIGN.search(found[1]):
            return Refusal(alert.name, f"it counts by {name}, which no regex takes from a single line")
        for test in alert.rule.tests.positive:
            if test.signature not in {one.id for one in alert.signatures}:
                continue
            counted = [line for line in test.text.split("\n") if filters.sees(line)]
            if not all(finds(found[1], line) for line in counted):
                where = f'in the line that is counted of the test "{test.name}"'
                return Refusal(alert.name, f"it counts by {name}, and that is not {where}")
        labels[name] = found[0]
        parsers[f" | regexp {_quoted(found[1])}"] = None
    by = [labels[name] for name in alert.by]
    return "".join(parsers), by, [labels[alert.distinct]] if alert.distinct else []


def _group(signatures: Sequence[Signature], names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return a field that all signatures take with the same regex, and that regex."""
    for name in names:
        holding = [{text for text in signature.all_ if f"(?P<{name}>" in text} for signature in signatures]
        if common := set.intersection(*holding):
            return name, min(common)
    return None


def _rule(alert: Alert, line: str, parser: str, by: list[str], distinct: list[str]) -> Json:
    rule = alert.rule
    programs = sorted(
        {name.lower() for one in alert.signatures for name in one.programs}
        or {hint.program.lower() for hint in rule.logs if hint.program}
    )
    programs = [re.sub(r"[^\w-]", ".", name) for name in programs]
    selector = f'job=~"(?i:{"|".join(programs)})"' if programs else 'job=~".+"'
    counted = f"count_over_time({{{selector}}} {line}{parser} [{alert.over}s] offset {OFFSET}s)"
    if distinct:
        each = f"sum by ({', '.join([*by, *distinct])}) ({counted}) > 0"
        expression = f"count{_by(by)} ({each}) >= {alert.more_than + 1}"
    else:
        expression = f"sum{_by(by)} ({counted}) > {alert.more_than}"
    return {
        "alert": alert.name,
        "expr": expression,
        "labels": {"severity": alert.severity, "rule": rule.id, **({"kb": rule.article} if rule.article else {})},
        "annotations": {
            "summary": rule.title,
            "description": f"{alert.says} {BETWEEN_LOOKS}",
            "runbook_url": rule.source.url,
        },
    }


def _by(labels: list[str]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _quoted(text: str) -> str:
    """Write a string as LogQL has it: between backticks, which escape nothing, or with escapes."""
    if "`" not in text:
        return f"`{text}`"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
