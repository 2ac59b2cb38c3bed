"""The compiled reader of captures, as the rest of ``tidegate.watch`` uses it: reports are dictionaries here."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tidegate.compiled import load_core

__all__ = ["Json", "analysed", "analysed_bytes", "is_capture", "named_captures"]

Json = dict[str, Any]

_HEAD = 12
"""Bytes by which a capture is known."""
_SHARDS = 2


def analysed(
    paths: Sequence[Path],
    *,
    stdin: bool = False,
    together: bool,
    progress: Callable[[int, int], None] | None = None,
) -> Json:
    """Read captures; return ``reports`` and what else was there (``_core.pyi`` has the form).

    Parameters
    ----------
    together
        Whether the packets of all files are put in the order of time, as one capture; else each file is one.
    progress
        Is told the bytes read and all bytes (0: not known); what it raises ends the reading, and so does Ctrl-C.

    Raises
    ------
    GateError
        When the compiled part is missing.
    """
    told = load_core().analyse(
        [str(path) for path in paths], stdin=stdin, together=together, shards=_SHARDS, progress=progress
    )
    result: Json = json.loads(told)
    return result


def named_captures(
    paths: Sequence[Path], progress: Callable[[int, int], None] | None = None
) -> tuple[list[Json], list[Json]]:
    """Read captures that were named as one, each file once; return reports and troubles, both empty without any."""
    files = list({path.resolve(): path for path in paths}.values())
    if not files:
        return [], []
    told = analysed(files, together=True, progress=progress)
    return [report for report in told["reports"] if report["files"]], told["troubles"]


def analysed_bytes(name: str, data: bytes) -> Json:
    """Read one capture that is there already; return its report."""
    report: Json = json.loads(load_core().analyse_bytes(name, data))
    return report


def is_capture(path: Path) -> bool:
    """Tell whether a file is a capture, plain or in gzip, by its first bytes; False when it cannot be read."""
    if not path.is_file():  # opening a pipe waits for somebody who writes into it
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                head = packed.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return False
    known: bool = load_core().is_capture(head)
    return known
