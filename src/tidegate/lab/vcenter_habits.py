"""What scripts before the lab's vCenter are told, and the habits that real ones are known for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

__all__ = ["Habits", "ScriptsSpec", "Waits", "own_machines"]

Machine = TypeVar("Machine")
Waits = Literal["poll", "filter"]
"""How a script waits for its tasks: it reads them again and again, or lets a filter of its own tell it."""


@dataclass(frozen=True, slots=True)
class ScriptsSpec:
    """What a process of scripts is told; lengths of time in seconds of the clock."""

    host: str
    port: int
    name: str
    ca: str
    user: str
    password: str
    scripts: int = 200
    machines: int = 20
    """How many each works through."""
    task_every: int = 3
    """One machine in so many gets a task."""
    spread_s: float = 3.0
    """All begin within so long."""
    pause_s: float = 1.0
    """Between two looks at tasks at the most, and before a login is tried again."""
    patience_s: float = 30.0
    window_s: float = 22.0
    """Who is not done by then is stopped."""
    seed: int = 1
    pyvmomi: int = 0
    """So many of them, the last ones, are written with pyVmomi."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How one script goes about it."""

    login_per_machine: bool
    forgets: bool
    waits: Waits

    @classmethod
    def of(cls, number: int) -> Habits:
        """Return the habits of a script; those who wait with a filter clean up."""
        forgets = number % 3 == 0
        waits: Waits = "filter" if number % 10 == 7 and not forgets else "poll"
        return cls(login_per_machine=number % 10 == 5, forgets=forgets, waits=waits)


def own_machines(found: Sequence[Machine], number: int, count: int) -> list[Machine]:
    """Return the machines that a script works through: so many from a place of its own on, round the list.

    Next to each other in number, scripts begin seven machines apart: together they work on all alike.
    """
    return [found[(7 * number + turn) % len(found)] for turn in range(count)]
