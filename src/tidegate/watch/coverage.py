"""What was read, over which time, and what was not: without it "no hit" means nothing.

Complete is a reading without gaps: some text, every member to its end, no budget used up, no fragment or rotation
missing. Only then may a report say *clear*; with a gap and no hit it is *unknown*. Some troubles leave no gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from tidegate.harmless import harmless_line
from tidegate.watch.places import missing_rotations

__all__ = ["MEMBERS_SHOWN", "coverage", "iso", "whole"]

MEMBERS_SHOWN = 500
"""Members that are told; the others are counted."""
_TOLD_ONLY = frozenset({"bundle", "same", "escape", "trailing", "link", "dump"})
"""Troubles that leave no gap: what a bundle is, a file named twice, a name not followed, bytes behind an end, a
link whose target is read where it lies, a table that is no dump of connections after all."""


def iso(time: int | None, timespec: Literal["seconds", "milliseconds"] = "milliseconds") -> str | None:
    """Return a time in nanoseconds since 1970 as ISO 8601 in UTC; None, or what no calendar has, is None."""
    if time is None:
        return None
    try:
        moment = datetime.fromtimestamp(time // 10**6 / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def coverage(result: Mapping[str, Any], logs: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """Return what a scan has read, as JSON with stable keys.

    Parameters
    ----------
    result
        What the scanner returned.
    logs
        Glob of a log -> ids of the rules that look into it: those that no member fits are told as not read.

    Returns
    -------
    dict
        ``members`` (at most 500; ``members_total`` has their number), ``bytes``, ``lines``, ``from`` and ``to``,
        ``missing`` and ``troubles`` in sentences, ``not_read``, ``cut`` and ``complete``.
    """
    members = [member for member in result["members"] if not member.get("capture")]
    paths = [member["path"] for member in members]
    cut_short = [
        f"{member['path']}: {member['why'] or member['ended']}" for member in members if member["ended"] != "whole"
    ]
    missing = [harmless_line(sentence) for sentence in cut_short + missing_rotations(paths)]
    if members and not (result.get("hits") or any(member["text"] and member["bytes"] for member in members)):
        missing.append("There was no text in what was read.")
    left_out = {what: count for what, count in result["cut"].items() if count}
    troubles = sorted(
        ({key: harmless_line(each[key]) for key in ("path", "what", "detail")} for each in result["troubles"]),
        key=lambda each: (each["path"], each["what"], each["detail"]),
    )
    times = [time for member in members for time in (member["first"], member["last"]) if time is not None]
    covered = {
        "members": [_member(member) for member in members[:MEMBERS_SHOWN]],
        "members_total": len(members),
        "bytes": sum(member["bytes"] for member in members),
        "lines": sum(member["lines"] for member in members),
        "from": iso(min(times, default=None)),
        "to": iso(max(times, default=None)),
        "missing": missing,
        "troubles": troubles,
        "not_read": _not_read(paths, logs),
        "cut": left_out,
    }
    return {**covered, "complete": whole(covered)}


def whole(covered: Mapping[str, Any]) -> bool:
    """Tell whether something was read, and nothing is missing from it."""
    gaps = any(trouble["what"] not in _TOLD_ONLY for trouble in covered["troubles"])
    return covered["members_total"] > 0 and not (gaps or covered["missing"] or covered["cut"])


def _member(member: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: harmless_line(member[key]) for key in ("path", "ended", "why")}
    numbers = {key: member[key] for key in ("bytes", "lines")}
    return {**texts, **numbers, "first": iso(member["first"]), "last": iso(member["last"])}


def _not_read(paths: list[str], logs: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    plain = ["/" + path.replace("!", "/") for path in paths]
    return [
        {"log": glob, "rules": sorted(rules)}
        for glob, rules in sorted(logs.items())
        if not any(fnmatchcase(path, glob) for path in plain)
    ]
