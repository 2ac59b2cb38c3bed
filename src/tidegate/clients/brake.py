"""Which datastores hold work back: from 20 ms on, until they are below 18 ms again. Pure.

KB 440879: "enforce datastore latency thresholds (e.g., 20ms to 25ms)".
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from tidegate.clients.hysteresis import RELEASE, held

__all__ = ["Brake"]

HOLD_MS = 20.0


class Brake:
    """What the newest samples of latency say, by datastore."""

    def __init__(self) -> None:
        self._newest: Mapping[str, float] = {}
        self._held: set[str] = set()

    def note(self, latencies: Mapping[str, float]) -> None:
        """Take new samples, in ms; not a number: there is none that is fresh."""
        self._newest = dict(latencies)
        for name, value in latencies.items():
            if held(name in self._held, value, HOLD_MS):
                self._held.add(name)
            else:
                self._held.discard(name)

    def why(self, datastores: Collection[str]) -> str:
        """Return why work on these must wait, in words; empty: it need not.

        No fresh sample is not 0 ms, so that holds too. A datastore that vCenter has no samples of at all (vSAN has
        none) holds nothing.
        """
        for name in sorted(datastores):
            value = self._newest.get(name, 0.0)
            if not math.isfinite(value) or value < 0:
                return f"the newest sample of {name} is old or no value; none is not zero"
            if name in self._held:
                if value >= HOLD_MS:
                    return f"the latency of {name} is {value:.0f} ms"
                return f"the latency of {name} was {HOLD_MS:.0f} ms or more; it must fall below {HOLD_MS * RELEASE:.0f}"
        return ""
