"""From what a capture shows to findings: the rule says what it means and what to do, the packets say where and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.harmless import harmless, harmless_line
from tidegate.watch.capture.says import says
from tidegate.watch.coverage import iso
from tidegate.watch.findings import rule_part
from tidegate.watch.rule import Rule, RuleSet

__all__ = ["capture_findings"]

Json = dict[str, Any]

_EVIDENCE = 10
"""Frames that are shown per finding; the ladder has all that were kept."""
_OF_THE_CAPTURE = frozenset({"one-sided", "drops"})
"""What is wrong with the capture itself: never an incident of those who talk in it."""


def capture_findings(rules: RuleSet, result: Mapping[str, Any], reports: Sequence[Json]) -> Iterator[Json]:
    """Yield one finding for everything that a report found and a rule is about.

    Parameters
    ----------
    result
        What the scanner returned: it has the versions.
    reports
        What was read of captures (its format is in ``_core.pyi``).
    """
    by_word: dict[str, list[Rule]] = {}
    for rule in rules.rules:
        if rule.capture is not None:
            by_word.setdefault(rule.capture.finding, []).append(rule)
    for report in reports:
        for found in report["found"]:
            for rule in by_word.get(found["finding"], ()):
                yield _finding(rule, result, report, found)


def _finding(rule: Rule, result: Mapping[str, Any], report: Json, found: Json) -> Json:
    files = [harmless_line(each["path"]) for each in report["files"]]
    first = found["frames"][0]["file"] if found["frames"] else 0
    groups = [{**group, "who": harmless(group["who"])} for group in found["groups"]]
    finding = {
        **rule_part(rule, result),
        "kind": "notice" if found["severity"] == "notice" or found["finding"] in _OF_THE_CAPTURE else "incident",
        "severity": found["severity"],
        "confidence": found["confidence"],
        "signatures": [],
        "windows": [],
        "hits": found["count"],
        "without_time": 0,
        "first": iso(found["first"]),
        "last": iso(found["last"]),
        "scope": {"hosts": [], "providers": [], "vcenters": [], "buckets": [group["who"] for group in groups]},
        "timeline": found["timeline"],
        "evidence": _evidence(files, found),
        "outcome": found["outcome"],
        "file": files[first] if first < len(files) else None,
        "files": files,
        "frames": [each["frame"] for each in found["frames"] if each["file"] == first],
        "facts": found["facts"],
        "groups": groups,
        "ladder": found["ladder"],
    }
    return {**finding, "says": says(found["finding"], finding)}


def _evidence(files: Sequence[str], found: Json) -> list[Json]:
    """Return the frames of the example as records; without one, what the groups say."""
    ladder = found["ladder"]
    rows = ladder["rows"][:_EVIDENCE] if ladder else []
    return [
        {
            "path": files[row["file"]] if row["file"] < len(files) else "",
            "line": None,
            "time": iso(row["at"]),
            "time_source": "record",
            "signature": None,
            "record": _frame(ladder, row),
            "fields": {"frame": str(row["frame"]), "flags": row["flags"], "note": row["note"]},
        }
        for row in rows
    ]


def _frame(ladder: Json, row: Json) -> str:
    ends = (ladder["left"], ladder["right"])
    source, target = ends if row["from_left"] else ends[::-1]
    numbers = f"seq {row['seq']}" + ("" if row["ack"] is None else f" ack {row['ack']}")
    length = f" {row['length']} bytes" if row["length"] else ""
    note = f"  ({row['note']})" if row["note"] else ""
    return harmless(f"frame {row['frame']}: {source} > {target} {row['flags']} {numbers}{length}{note}")
