"""Alerting rules for Loki's ruler, in LogQL.

The ruler sees lines and evaluates at *now*: it asks for the window that ended 30 s ago, as it never counts lines that
come later (grafana/loki#4909, #8765). ``|=`` is exact and fast, ``|~`` takes RE2, which knows all but a few signs of
Rust's regexes. Labels are the collector's: ``job`` names the program and ``host`` the host here; adapt the selector.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    """Return one alerting rule per window that can be counted there."""
    made = [one if isinstance(one, Refusal) else _alert(one) for rule in rules for one in alerts_of(rule)]
    alerts = tuple(one for one in made if not isinstance(one, Refusal))
    return Export("loki", alerts, tuple(one for one in made if isinstance(one, Refusal)))


def _alert(alert: Alert) -> Json | Refusal:
    lines = [(signature.line, signature.fold) for signature in alert.signatures if signature.line is not None]
    if len(lines) != len(alert.signatures):
        return Refusal(alert.name, "a signature of it has no `line`, so each of its records would be counted per line")
    patterns = list(dict.fromkeys(f"(?i:{line})" if fold else line for line, fold in lines))
    if foreign := next((pattern for pattern in patterns if _FOREIGN.search(pattern)), None):
        return Refusal(alert.name, f"its `line` {foreign} has what RE2 does not know")
    if reason := miscounted(alert, lambda text: any(finds(pattern, text) for pattern in patterns)):
        return Refusal(alert.name, reason)
    names = [*alert.by, *([alert.distinct] if alert.distinct else [])]
    found = _labels(alert, names, patterns)
    return found if isinstance(found, Refusal) else _rule(alert, _filter(patterns), *found)


def _filter(patterns: list[str]) -> str:
    literal = literal_of(patterns[0]) if len(patterns) == 1 else None
    if literal is not None:
        return f"|= {_quoted(literal)}"
    return f"|~ {_quoted(patterns[0] if len(patterns) == 1 else '|'.join(f'(?:{one})' for one in patterns))}"


def _labels(alert: Alert, names: list[str], patterns: list[str]) -> tuple[str, list[str], list[str]] | Refusal:
    """Return the parser that gives the labels, and the labels of ``by`` and of what is to be distinct."""
    parsers: dict[str, None] = {}
    labels: dict[str, str] = {}
    for name in names:
        wanted = _PROVIDER if name == "provider" else (name,)
        if name in _LABELS:
            labels[name] = _LABELS[name]
            continue
        found = _group(alert.signatures, wanted)
        if found is None or _FOREIGN.search(found[1]):
            return Refusal(alert.name, f"it counts by {name}, which no regex takes from a single line")
        for test in alert.rule.tests.positive:
            if test.signature not in {one.id for one in alert.signatures}:
                continue
            counted = [line for line in test.text.split("\n") if any(finds(one, line) for one in patterns)]
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
