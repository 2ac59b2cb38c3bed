"""When a call that failed may be made again, and after how long. Pure: randomness is given, and nothing waits here.

Two rules keep retries from making a bad hour worse. *Full jitter*: a wait is anything between nothing and a bound that
doubles, so that clients that failed together do not come back together. *A budget*: every answered call earns a tenth
of a retry, and ten are there at the start; when most calls fail, most failures stay failures.
"""

from __future__ import annotations

import random
import threading

__all__ = ["Budget", "full_jitter"]

_BASE_S = 0.5
_MOST_S = 30.0


def full_jitter(attempt: int, rng: random.Random, asked_s: float | None = None) -> float:
    """Return how long to wait, in seconds, before a call is made again.

    Parameters
    ----------
    attempt
        How often it was made: 1 and more.
    asked_s
        What the server asked for (``Retry-After``): the wait is never shorter than that.
    """
    bound = min(_MOST_S, _BASE_S * 2.0 ** min(attempt, 16))
    return max(0.0, asked_s or 0.0) + rng.uniform(0.0, bound)


class Budget:
    """How many retries there may be; for many threads.

    Parameters
    ----------
    most
        Retries at the start, and the most that are ever saved up.
    earned
        What one answered call adds.
    """

    def __init__(self, most: float = 10.0, earned: float = 0.1) -> None:
        self.most, self.earned = most, earned
        self._left = most
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Retries that may be made now."""
        return self._left

    def earn(self) -> None:
        """Note that a call was answered."""
        with self._lock:
            self._left = min(self.most, self._left + self.earned)

    def spend(self) -> bool:
        """Take one retry, if one is left."""
        with self._lock:
            if self._left < 1.0:
                return False
            self._left -= 1.0
            return True
