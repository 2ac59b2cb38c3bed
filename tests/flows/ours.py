"""What tidegate makes of captures, one report for each, as it is compared with the truth and with other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from flows.replays import CAPTURES
from tidegate import _core

__all__ = ["Report", "analysed", "kept"]

Report = dict[str, Any]
"""A report, with all its flows under `each`."""


def analysed(files: Iterable[Path]) -> dict[str, Report]:
    """Return the report of each capture, by the name of its file."""
    return {file.name: json.loads(_core.analyse_bytes(file.name, file.read_bytes(), each=True)) for file in files}


@cache
def kept() -> dict[str, Report]:
    """Return the reports of the captures that are kept."""
    return analysed(CAPTURES)
