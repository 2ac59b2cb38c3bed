"""The drill of KB 433412: half-open flows where the fast path expects none, and what becomes of them.

The machine that it drills is the one that reads captures, and the one that a datapath would carry out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tidegate.compiled import load_core

__all__ = ["FLOWS_MAX", "HalfOpenResult", "play_half_open"]

FLOWS_MAX = 100_000
"""The most flows that a drill plays with."""


@dataclass(frozen=True, slots=True)
class HalfOpenResult:
    """What a drill counted: flows, states forced on them, and packets.

    The slow path told ``revalidated`` flows anew and recreated ``recreated`` ones; ``anomalies`` are flows whose state
    and numbers did not go together. Of established flows, ``dropped`` packets were not forwarded, and
    ``established_lost`` flows were not established, or not on the fast path, in the end.
    """

    established: int
    forced: int
    forced_half_open_under_fast_entry: int
    revalidated: int
    recreated: int
    anomalies: int
    flood: int
    crashes: int
    dropped: int
    established_lost: int

    def broken(self) -> list[str]:
        """Return what was promised and not kept, in sentences."""
        sentences = []
        if self.crashes:
            sentences.append(f"the decision crashed at {self.crashes} packets")
        if self.established_lost:
            sentences.append(f"{self.established_lost} of {self.established} established flows were lost")
        if self.dropped:
            sentences.append(f"of established flows, {self.dropped} packets were not forwarded")
        if not (self.forced_half_open_under_fast_entry and self.revalidated and self.recreated):
            sentences.append("no half-open flow was forced under the fast path and mended, so the drill shows nothing")
        return sentences


def play_half_open(*, flows: int, seed: int) -> HalfOpenResult:
    """Play the drill with ``flows`` flows, 1 to :data:`FLOWS_MAX`; the same seed plays the same.

    Raises
    ------
    GateError
        When the compiled part is missing.
    """
    return HalfOpenResult(**json.loads(load_core().drill(seed, flows)))
