"""Where another judge differs from tidegate, beside the list of where it is known to, with reasons."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Comparison", "Where", "known"]

_FILE = Path(__file__).parents[1] / "data" / "captures" / "divergences.json"
Where = tuple[str, str]
"""Capture, and connection or frame."""


@dataclass(frozen=True)
class Comparison:
    """What two judges say of the same things."""

    ours: dict[Where, Any]
    theirs: dict[Where, Any]

    def differences(self) -> dict[Where, tuple[Any, Any]]:
        """Return what both say where they differ; None of one that says nothing."""
        pairs = {
            where: (self.ours.get(where), self.theirs.get(where)) for where in self.ours.keys() | self.theirs.keys()
        }
        return {where: pair for where, pair in sorted(pairs.items()) if pair[0] != pair[1]}

    def agreement(self) -> str:
        """Return how many of how many they agree on."""
        every = len(self.ours.keys() | self.theirs.keys())
        return f"{every - len(self.differences())} of {every}"


def known(judge: str) -> dict[Where, tuple[Any, Any]]:
    """Return the differences with a judge that are known. Each has a reason that is told, and each reason is used."""
    told = json.loads(_FILE.read_text())[judge]
    rows: Iterable[dict[str, Any]] = told["differences"]
    assert {row["reason"] for row in rows} == set(told["reasons"])
    return {(row["capture"], row["where"]): (row["tidegate"], row[judge]) for row in rows}
