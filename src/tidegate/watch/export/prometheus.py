"""Alerting rules for Prometheus, over tidegate's own gauge of what each window holds.

The gauge is exact, so the rule compares and does no arithmetic: ``increase()`` extrapolates, and misses the first
sample of a series. ``tidegate_watch_window_count`` is shown by ``tidegate watch`` (``watch.metrics`` in its file); its
label ``scope`` is what the window is kept apart by.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.watch.export.common import Export, Json, Refusal
from tidegate.watch.plan import to_plan, to_window
from tidegate.watch.rule import Absence, AnyWindow, Counted, Distinct, Rule
from tidegate.watch.scan import Scanner
from tidegate.watch.windows import Event, episodes

__all__ = ["GAUGE", "export"]

GAUGE = "tidegate_watch_window_count"
"""How many records a window has now: ``distinct``: values; ``sequence``: steps; ``absence``: seconds without it."""


def export(rules: Sequence[Rule]) -> Export:
    """Return one alerting rule per window; rules without windows have nothing to count."""
    alerts, refusals = [], []
    for rule in rules:
        if rule.kind == "probe":
            refusals.append(Refusal(rule.id, "it is about the output of a command, and has no window"))
            continue
        if rule.kind == "capture":
            refusals.append(Refusal(rule.id, "it is about packets, and has no window"))
            continue
        if not rule.windows:
            refusals.append(
                Refusal(rule.id, "one record of it is enough, so it has no window that a gauge could count")
            )
            continue
        reason = _miscounted(rule)
        for window in rule.windows:
            why = reason or _fires_otherwise(rule, window)
            if why:
                refusals.append(Refusal(f"{rule.id}/{window.id}", why))
            else:
                alerts.append(_rule(rule, window))
    return Export("prometheus", tuple(alerts), tuple(refusals))


def _rule(rule: Rule, window: AnyWindow) -> Json:
    return {
        "alert": f"{rule.id}/{window.id}",
        "expr": f'{GAUGE}{{rule="{rule.id}", window="{window.id}"}} {_condition(window)}',
        "labels": {
            "severity": window.severity or rule.severity,
            "rule": rule.id,
            **({"kb": rule.article} if rule.article else {}),
        },
        "annotations": {"summary": rule.title, "description": window.says, "runbook_url": rule.source.url},
    }


def _condition(window: AnyWindow) -> str:
    if isinstance(window, Counted):
        return f"> {window.more_than}"
    if isinstance(window, Distinct):
        return f">= {window.at_least}"
    plain = to_window(window)
    return f">= {max(plain.over // 10**9, 1) if isinstance(window, Absence) else len(plain.of)}"


def _miscounted(rule: Rule) -> str:
    """Return why the gauge would be wrong: a sample that is not one hit, a negative that is one."""
    scanner = Scanner(to_plan([rule], marks=()))
    counted = {f"{rule.id}/{name}" for window in rule.windows for name in window.of}
    for test in rule.tests.positive:
        name = f"{rule.id}/{test.signature}"
        hits = [hit for hit in scanner.scan_text("text", test.text.encode())["hits"] if hit["signature"] == name]
        if name in counted and len(hits) != 1:
            return f'it would count the test "{test.name}" {len(hits)} times'
    for negative in rule.tests.negative:
        if any(hit["signature"] in counted for hit in scanner.scan_text("text", negative.text.encode())["hits"]):
            return f'it would count the test "{negative.name}", which is no failure'
    return ""


def _fires_otherwise(rule: Rule, window: AnyWindow) -> str:
    """Return which replay the comparison would judge otherwise than the rule's own window."""
    for test in rule.tests.replay:
        if test.window != window.id or isinstance(window, Absence):
            continue
        events = [
            Event(n * test.every.count, test.signature, (), str(n) if test.spread else "") for n in range(test.count)
        ]
        most = max((episode.count for episode in episodes(to_window(window), events)), default=0)
        limit = {"count": getattr(window, "more_than", 0), "distinct": getattr(window, "at_least", 1) - 1}
        if (most > limit.get(window.kind, 0)) != (test.fires > 0):
            return f'it would judge the replay "{test.name}" otherwise'
    return ""
