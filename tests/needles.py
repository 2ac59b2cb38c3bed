"""A scanner that looks for one word, so that tests see what it takes for a record."""

from __future__ import annotations

from datetime import UTC, datetime

from tidegate.watch.scan import Json, Scanner

__all__ = ["needles"]

_SCANNER = Scanner(
    {
        "format": 1,
        "now": int(datetime(2026, 11, 25, tzinfo=UTC).timestamp()) * 10**9,
        "signatures": [
            {"id": "r/s", "literals": ["NEEDLE"], "fold": False, "all": ["NEEDLE"], "not": [], "programs": []}
        ],
        "tallies": [],
        "marks": [],
        "dumps": [],
        "limits": {"hits": 1000, "evidence": 1000, "keys": 1},
    }
)


def needles(data: bytes) -> list[Json]:
    """Return the hits: one for each record that holds ``NEEDLE``, up to a thousand."""
    found: list[Json] = _SCANNER.scan_text("syslog", data)["hits"]
    return found
