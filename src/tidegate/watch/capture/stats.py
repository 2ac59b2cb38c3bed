"""What is in captures, one line per file: how many packets and connections, how those went, and what was skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tidegate.harmless import harmless, harmless_line
from tidegate.watch.capture.engine import analysed
from tidegate.watch.coverage import iso

__all__ = ["flow_stats"]

Json = dict[str, Any]


def flow_stats(
    paths: Sequence[Path], *, stdin: bool = False, progress: Callable[[int, int], None] | None = None
) -> Json:
    """Read captures, those in folders and archives too; return ``files``, ``not_captures`` and ``troubles``.

    There are 1000 files at most; ``unreported`` counts the others. A file that cannot be read, or is no capture, is
    told and counted; it never ends the reading.

    Raises
    ------
    GateError
        When the compiled part is missing.
    """
    told = analysed(paths, stdin=stdin, together=False, progress=progress)
    return {
        "format": 1,
        "files": [_file(file, report) for report in told["reports"] for file in report["files"]],
        "unreported": told["unreported"],
        "not_captures": {
            "count": told["not_captures"]["count"],
            "paths": [harmless_line(path) for path in told["not_captures"]["paths"]],
        },
        "troubles": [{name: harmless_line(value) for name, value in each.items()} for each in told["troubles"]],
    }


def _file(file: Mapping[str, Any], report: Mapping[str, Any]) -> Json:
    return {
        **file,
        "path": harmless_line(file["path"]),
        "detail": harmless(file["detail"]),
        "from": iso(file["from"] or None),
        "to": iso(file["to"] or None),
        "conn_states": report["conn_states"],
        "found": sorted({found["finding"] for found in report["found"]}),
        "withheld": report["withheld"],
        "evicted": report["evicted"],
        "refused": report["refused"],
    }
