"""How numbers of a file are written into a plan."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tidegate.units import Duration

__all__ = ["milli", "plain"]


def plain(table: BaseModel, *, leave_out: set[str]) -> dict[str, Any]:
    """Return numbers under their own names and durations, in nanoseconds, under ``NAME_ns``."""
    found: dict[str, Any] = {}
    for name, value in dict(table).items():
        if name in leave_out:
            continue
        if isinstance(value, Duration):
            found[f"{name}_ns"] = value.nanoseconds
        elif isinstance(value, int):
            found[name] = value
    return found


def milli(units: float) -> int:
    """Return thousandths; what is more than nothing is at least one."""
    return max(1, round(units * 1000)) if units else 0
