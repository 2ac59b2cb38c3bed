"""Whether a measured value holds work back, without flapping (pure)."""

from __future__ import annotations

import math

__all__ = ["RELEASE", "held"]

RELEASE = 0.9
"""The part of a threshold below which what was held goes on again."""


def held(before: bool, value: float, threshold: float) -> bool:
    """Return whether work is held after this value.

    From ``threshold`` on it is, below nine tenths of it it is not, and between the two it stays as it was ``before``. A
    value that nobody can have measured (negative, not a number) changes nothing.
    """
    if not math.isfinite(value) or value < 0:
        return before
    if value >= threshold:
        return True
    return before and value >= threshold * RELEASE
