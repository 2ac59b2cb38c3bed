"""Feeds events to tidegate's machine, as a watch does with the hits of what it has read (``benches/watch_feed.py``)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benches.watch_feed import Event, main
from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Hit
from tidegate.watch.live.moments import StreamMoved
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

BEGAN = 1_767_225_600_000_000
"""Microseconds since 1970."""
_RULE = """schema: 1
id: bench.{kind}.hosts
rev: 1
title: bench
kind: log
source: {{title: bench, url: "https://example.com", retrieved: 2026-11-25}}
severity: critical
products: [esxi]
explains: bench
signatures:
  - {{id: hit, says: bench, literals: ["0123456789"]}}
windows:
  - {{id: window, kind: {kind}, of: [hit], by: [key], over: {over_s}s, {threshold}, says: bench}}
"""


def rules_of(kind: str, over_s: int, threshold: int) -> RuleSet:
    """Return the one rule that is measured."""
    limit = f"more_than: {threshold}" if kind == "count" else f"field: value, at_least: {threshold}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"bench.{kind}.hosts.yaml"
        file.write_text(_RULE.format(kind=kind, over_s=over_s, threshold=limit))
        return load_rules([file], shipped=False)


class Fed:
    """A machine, and when each key was alerted first."""

    def __init__(self, kind: str, over_s: int, threshold: int) -> None:
        self._rule = f"bench.{kind}.hosts"
        self._machine = Machine(rules_of(kind, over_s, threshold))
        self._place = 0
        self._now = BEGAN * 1000
        self.first: dict[str, int] = {}

    def made(self, events: Sequence[Event]) -> list[Hit]:
        """Return a batch of hits."""
        hits = []
        for us, key, value in events:
            self._place += 100
            time = (BEGAN + us) * 1000
            values = {"key": key, "value": value, "host": value, "provider": ""}
            hits.append(Hit(self._rule, "hit", time, time, "files.bench", "bench", self._place, False, values))
        return hits

    def take(self, hits: list[Hit]) -> None:
        """Take a batch; what has to be stored of it is thrown away."""
        self._now = hits[-1].arrival
        change = self._machine.take(hits, self._now, streams=[StreamMoved("bench")])
        for notice in change.notices:
            if notice.what == "opened":
                key = dict(notice.episode.scope)["key"]
                self.first.setdefault(key, notice.episode.at // 1000 - BEGAN)

    def windows(self) -> int:
        """Return how many windows it has."""
        return int(self._machine.view(self._now)["windows_total"])


if __name__ == "__main__":
    main(Fed)
