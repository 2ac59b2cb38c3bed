"""A rule that a file breaks, and the rule that every table has: no time at all is not a time to wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.units import Duration

__all__ = ["Broken", "positive"]

Path = tuple[str | int, ...]

_MAY_BE_ZERO = frozenset({"margin", "quarantine", "settle_after", "seniority", "drain"})


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken rule: the key that is to be changed, what is wrong, what to write."""

    path: Path
    message: str
    hint: str = ""


def positive(at: Path, table: dict[str, object]) -> Iterator[Broken]:
    """Yield every key of ``table``, which stands at ``at``, whose time is none but has to be one."""
    for name, value in table.items():
        if isinstance(value, Duration) and value.count == 0 and name not in _MAY_BE_ZERO:
            yield Broken((*at, name), "no time at all is not a time to wait", "write the time that you mean")
