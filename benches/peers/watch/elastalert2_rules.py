"""Feeds events to ElastAlert2's FrequencyRule or CardinalityRule, as ElastAlert2 does with the answer of a query.

It runs in a virtual environment of its own, with nothing of tidegate in it; see ``benches/watch_feed.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from benches.watch_feed import Event, main

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
Document = dict[str, Any]


class Rule:
    """One rule, and when each key was alerted first."""

    def __init__(self, kind: str, over_s: int, threshold: int) -> None:
        ruletypes = importlib.import_module("elastalert.ruletypes")
        options = {"timeframe": timedelta(seconds=over_s), "query_key": "key", "timestamp_field": "@timestamp"}
        self.first: dict[str, int] = {}
        self._counts = kind == "count"
        if self._counts:
            self._rule = ruletypes.FrequencyRule({**options, "num_events": threshold + 1})
        else:
            limit = {"cardinality_field": "value", "max_cardinality": threshold - 1}
            self._rule = ruletypes.CardinalityRule({**options, **limit})

    def made(self, events: Sequence[Event]) -> list[Document]:
        """Return documents as a query returns them."""
        return [
            {"@timestamp": BEGAN + timedelta(microseconds=us), "key": key, "value": value} for us, key, value in events
        ]

    def take(self, batch: list[Document]) -> None:
        """Take the answer of a query, and fetch the matches, as ElastAlert2's own loop does."""
        newest = batch[-1]["@timestamp"]  # which becomes a text in documents that match
        self._rule.add_data(batch)
        self._rule.garbage_collect(newest)
        while self._rule.matches:
            match = self._rule.matches.pop(0)
            if match["key"] not in self.first:
                at = datetime.fromisoformat(match["@timestamp"]) - BEGAN
                self.first[match["key"]] = at // timedelta(microseconds=1)

    def windows(self) -> int:
        """Return for how many keys it holds something."""
        return len(self._rule.occurrences if self._counts else self._rule.cardinality_cache)


if __name__ == "__main__":
    main(Rule)
