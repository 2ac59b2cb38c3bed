"""What a watch says in one word (pure): storm, quiet, or unknown; and the answer of ``tidegate watch status``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tidegate.watch.live.model import Gap, Json

__all__ = ["gap_json", "verdict_of"]

RECENT = 300 * 10**9
"""A gap that ended less than so long ago (ns) keeps "nothing is open" from meaning quiet: most windows are as long."""


def verdict_of(
    episodes: Sequence[Json], gaps: Sequence[Gap], sources: Sequence[Json], now: int
) -> Literal["storm", "quiet", "unknown"]:
    """Return ``storm`` while an episode is open, ``unknown`` where one may have been missed, else ``quiet``."""
    if episodes:
        return "storm"
    blind = any(source["troubles"] for source in sources) or any(gap.until > now - RECENT for gap in gaps)
    return "unknown" if blind else "quiet"


def gap_json(gap: Gap) -> Json:
    """Return a gap as status shows it."""
    return {
        "source": gap.source,
        "kind": gap.kind,
        "detail": gap.detail,
        "since": gap.since,
        "until": gap.until,
        "count": gap.count,
    }
