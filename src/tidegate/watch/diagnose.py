"""One look at anything: scan it once, and tell what was found, who storms, which ports run out, and what was not read.

The report is JSON with ``"format": 1`` and stable keys::

    verdict    incident   something known is in the records, or a number is past what a rule allows
               article    only the text of an article was recognised
               clear      nothing was found, and nothing is missing from what was read
               unknown    nothing was found, but there are gaps: coverage says which
    findings   worst first (tidegate.watch.findings, tidegate.watch.probes, tidegate.watch.capture.findings)
    callers    who calls a vCenter most, or null (tidegate.watch.callers)
    ports      what dumps of connections say (tidegate.watch.ports)
    captures   what was read of captures, as the reader reports it (tidegate.watch.capture)
    coverage   what was read (tidegate.watch.coverage)

Captures that are named are read together, as one; those in folders, archives and standard input each by itself. A
notice of a capture (kind ``notice``) is no incident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.errors import UsageError
from tidegate.harmless import harmless, harmless_line
from tidegate.watch.caller_finding import caller_finding
from tidegate.watch.callers import TALLIES, callers
from tidegate.watch.capture.coverage import with_captures
from tidegate.watch.capture.engine import is_capture, named_captures
from tidegate.watch.capture.findings import capture_findings
from tidegate.watch.coverage import coverage
from tidegate.watch.findings import SEVERITIES, findings
from tidegate.watch.plan import to_plan
from tidegate.watch.ports import KINDS, PortReading, as_json, read_dump
from tidegate.watch.probes import probe_findings
from tidegate.watch.rule import RuleSet
from tidegate.watch.scan import Json, Scanner

__all__ = ["diagnose"]

_KINDS = ("incident", "notice", "article")
"""In the order in which they are told."""
_LTM, _LTM_RULE = "f5-ltm", "f5.ltm.port-exhaustion/"
"""A log among which such lines stand is no dump by its beginning: the records that the rule met are read as one."""


def diagnose(
    rules: RuleSet,
    paths: Sequence[Path],
    *,
    now: int,
    stdin: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Json:
    """Read files, folders, archives and perhaps stdin in one pass, and return the report.

    Parameters
    ----------
    now
        Nanoseconds since 1970: gives years to times that have none.
    progress
        Is told the bytes read and all bytes (0: not known); what it raises ends the reading.

    Raises
    ------
    UsageError
        When not one byte could be read.
    GateError
        When the compiled part is missing.
    """
    dumps = [{"id": kind.id, "sniff": kind.sniff} for kind in KINDS]
    scanner = Scanner(to_plan(rules.rules, now=now, tallies=TALLIES, dumps=dumps))
    named = [path for path in paths if is_capture(path)]
    others = [str(path) for path in paths if path not in named]
    result = scanner.scan(others, stdin=stdin, progress=progress)
    captures, troubles = named_captures(named, progress)
    captures += [each["report"] for each in result["captures"]]
    result["troubles"] += troubles
    if not (result["members"] or captures):
        why = "; ".join(f"{each['path']}: {each['detail']}" for each in result["troubles"][:3])
        raise UsageError(f"nothing could be read: {harmless(why) or 'there is no file in what was given'}")
    return _report(rules, result, captures)


def _report(rules: RuleSet, result: Mapping[str, Any], captures: Sequence[Json]) -> Json:
    readings, unread = _readings(result)
    covered = coverage(result, _logs(rules))
    covered["troubles"] += unread  # their text was searched all the same
    covered = with_captures(covered, captures)
    called = callers(result["tallies"], cut=result["cut"]["keys"])
    found = [*findings(rules, result), *probe_findings(rules, result, readings)]
    found += capture_findings(rules, result, captures)
    found += [each for each in (caller_finding(called),) if each]
    found.sort(key=lambda each: (_KINDS.index(each["kind"]), SEVERITIES.index(each["severity"]), each["rule"]))
    return {
        "format": 1,
        "verdict": _verdict(found, covered),
        "findings": found,
        "callers": called,
        "ports": [{"path": path, **as_json(reading)} for path, reading in readings],
        "captures": captures,
        "coverage": covered,
    }


def _verdict(found: Sequence[Json], covered: Json) -> str:
    for kind in ("incident", "article"):
        if any(each["kind"] == kind for each in found):
            return kind
    return "clear" if covered["complete"] else "unknown"


def _logs(rules: RuleSet) -> dict[str, list[str]]:
    logs: dict[str, list[str]] = {}
    for rule in rules.rules:
        for hint in rule.logs:
            if hint.path is not None:
                logs.setdefault(hint.path, []).append(rule.id)
    return logs


def _readings(result: Mapping[str, Any]) -> tuple[list[tuple[str, PortReading]], list[Json]]:
    """Return what the dumps say, and the dumps of which nothing could be made."""
    paths = {member["index"]: harmless_line(member["path"]) for member in result["members"]}
    dumps = [(dump["member"], dump["dump"], dump["text"]) for dump in result["dumps"]]
    whole = {member for member, kind, _ in dumps if kind == _LTM}
    lines: dict[int, list[str]] = {}
    for hit in result["hits"]:
        if hit["signature"].startswith(_LTM_RULE) and hit["record"] is not None and hit["member"] not in whole:
            lines.setdefault(hit["member"], []).append(hit["record"])
    dumps += [(member, _LTM, "\n".join(records)) for member, records in sorted(lines.items())]
    readings, unread = [], []
    for member, kind, text in dumps:
        try:
            readings.append((paths[member], read_dump(kind, text)))
        except ValueError as error:
            unread.append({"path": paths[member], "what": "dump", "detail": harmless(str(error))})
    return readings, unread
