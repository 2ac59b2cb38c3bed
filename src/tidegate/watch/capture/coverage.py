"""What was read of captures, told beside what was read of logs: without it "nothing was found" means nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tidegate.harmless import harmless, harmless_line
from tidegate.watch.coverage import MEMBERS_SHOWN, iso, whole

__all__ = ["with_captures"]

Json = dict[str, Any]

_FINE = frozenset({"not-ip", "not-tcp"})
"""Records that are skipped because they are something else, not because something is wrong."""
_NO_ROOM = {
    "evicted": "connections were given up, as there were too many at a time",
    "refused": "packets are of connections that there was no room for",
    "unplaced": "packets are of more hosts than can be told apart",
}


def with_captures(covered: Json, reports: Sequence[Json]) -> Json:
    """Return what was read of logs and captures, in the form of :func:`tidegate.watch.coverage.coverage`.

    Captures are members with ``packets``, and without lines. Records that could not be read, connections that found no
    room and verdicts that are withheld are gaps.
    """
    if not reports:
        return covered
    members = [_member(file) for report in reports for file in report["files"]]
    logs = covered["members_total"]
    told = {
        **covered,
        "members": [*covered["members"], *members][:MEMBERS_SHOWN],
        "members_total": logs + len(members),
        "from": min((each for each in (covered["from"], *(one["first"] for one in members)) if each), default=None),
        "to": max((each for each in (covered["to"], *(one["last"] for one in members)) if each), default=None),
        "missing": [*covered["missing"], *(gap for report in reports for gap in _gaps(report))],
        "not_read": covered["not_read"] if logs else [],
    }
    return {**told, "complete": whole(told)}


def _member(file: Json) -> Json:
    return {
        "path": harmless_line(file["path"]),
        "ended": file["ended"],
        "why": harmless(file["detail"]),
        "bytes": 0,
        "lines": 0,
        "packets": file["packets"],
        "first": iso(file["from"] or None),
        "last": iso(file["to"] or None),
    }


def _gaps(report: Json) -> Iterator[str]:
    names = [harmless_line(file["path"]) for file in report["files"]]
    for name, file in zip(names, report["files"], strict=True):
        if file["ended"] != "whole":
            yield f"{name}: {harmless(file['detail']) or file['ended']}"
        bad = {word: count for word, count in sorted(file["skipped"].items()) if count and word not in _FINE}
        if bad:
            told = ", ".join(f"{count} {word}" for word, count in bad.items())
            yield f"{name}: records that could not be read: {told}"
        if not file["packets"]:
            yield f"{name}: there is no packet of TCP in it"
    where = names[0] if len(names) == 1 else f"{len(names)} captures"
    if any(found["finding"] == "drops" for found in report["found"]):
        yield f"{where}: the capture lost packets"
    for why in dict.fromkeys(each["why"] for each in report["withheld"]):
        words = ", ".join(each["finding"] for each in report["withheld"] if each["why"] == why)
        yield f"{where}: nothing is said about {words}: {harmless(why)}"
    for word, what in _NO_ROOM.items():
        if report[word]:
            yield f"{where}: {report[word]} {what}"
