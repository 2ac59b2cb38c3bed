"""When a probe is asked next: every so often, not all at once, and less often while it fails. Pure.

A probe is *due* at one moment. It is asked then, and when it has answered or failed the next moment is told:

- answered: ``every`` after the moment at which it was due, moved by up to a tenth of ``every`` either way;
- failed for the n-th time in a row: ``every`` · 2ⁿ⁻¹, at most the larger of ``every`` and 10 minutes, moved likewise;
- a moment that has passed meanwhile is not made up for: the next one is then counted from now, so a slow device is
  never asked twice at once, nor in a burst after a pause.

The first moments of many probes are spread over ``every``, over 30 s at the most, by their names. The movements come
from the name and the number of the try: two runs of one history ask at the same moments.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

__all__ = ["Turn", "after", "first"]

_SPREAD_NS = 30 * 10**9
"""Longest wait for the first try."""
_BACKOFF_NS = 600 * 10**9
"""Longest wait after failures, unless ``every`` is longer."""
_JITTER = 0.1
_DOUBLINGS = 20
"""More of them reach the longest wait for any ``every``."""


@dataclass(frozen=True, slots=True)
class Turn:
    """When a probe is due, and how it fared.

    ``due`` is in nanoseconds of any clock that does not go back; ``tries`` counts all, ``failures`` those in a row.
    """

    due: int
    tries: int = 0
    failures: int = 0


def first(name: str, every: int, now: int) -> Turn:
    """Return the first turn of the probe ``name``, which is asked each ``every`` nanoseconds."""
    return Turn(now + int(_part(name, 0) * min(every, _SPREAD_NS)))


def after(turn: Turn, name: str, every: int, now: int, *, answered: bool) -> Turn:
    """Return the turn after ``turn``, which has ended ``now``."""
    tries, failures = turn.tries + 1, 0 if answered else turn.failures + 1
    wait = min(every << min(max(0, failures - 1), _DOUBLINGS), max(every, _BACKOFF_NS))
    wait += int((2 * _part(name, tries) - 1) * _JITTER * wait)
    begun = turn.due if turn.due + wait > now else now
    return replace(turn, due=begun + wait, tries=tries, failures=failures)


def _part(name: str, number: int) -> float:
    """Return a part of one, 0 ≤ x < 1, that depends on nothing but its arguments."""
    return int.from_bytes(hashlib.sha256(f"{name}\0{number}".encode()).digest()[:6]) / 2**48
