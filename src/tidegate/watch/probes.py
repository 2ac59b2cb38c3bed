"""Findings of probe rules: a number that the output of a command holds is past what the rule allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.harmless import harmless
from tidegate.watch.findings import rule_part
from tidegate.watch.ports import MEASURES, Measured, PortReading, measure
from tidegate.watch.rule import Rule, RuleSet

__all__ = ["probe_findings"]

Json = dict[str, Any]

_EVIDENCE = 10
"""Measured values that are shown per finding."""


def probe_findings(
    rules: RuleSet, result: Mapping[str, Any], readings: Sequence[tuple[str, PortReading]]
) -> Iterator[Json]:
    """Yield one finding per probe rule that a reading meets.

    Parameters
    ----------
    result
        What the scanner returned: it has the versions.
    readings
        Path of a dump, and what it says.
    """
    for rule in rules.rules:
        if rule.probe is None or rule.probe.measure not in MEASURES:
            continue
        met = [
            (path, measured)
            for path, reading in readings
            for measured in measure(reading, rule.probe.measure)
            if measured.value >= rule.probe.at_least
        ]
        if met:
            yield _finding(rule, result, sorted(met, key=lambda each: -each[1].value))


def _finding(rule: Rule, result: Mapping[str, Any], met: Sequence[tuple[str, Measured]]) -> Json:
    return {
        **rule_part(rule, result),
        "kind": "incident",
        "severity": rule.severity,
        "confidence": "high",
        "signatures": [],
        "windows": [],
        "hits": len(met),
        "without_time": len(met),
        "first": None,
        "last": None,
        "scope": {"hosts": [], "providers": [], "vcenters": [], "buckets": [harmless(each.scope) for _, each in met]},
        "timeline": [],
        "evidence": [_evidence(path, measured) for path, measured in met[:_EVIDENCE]],
    }


def _evidence(path: str, measured: Measured) -> Json:
    return {
        "path": path,
        "line": None,
        "time": None,
        "time_source": "none",
        "signature": None,
        "record": harmless(measured.line),
        "fields": {"scope": harmless(measured.scope), "value": f"{measured.value:g}"},
    }
