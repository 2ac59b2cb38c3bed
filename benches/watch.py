"""`make bench-watch`: what windows cost beside ElastAlert2's rule classes, and how soon an alert comes.

The figures go into results/watch.json.

Tests: `count` and `distinct` (the same events for every peer; a run whose alerts are not those of the offline windows
has no figures) and `latency` (a running watch, from the record in a file to the alert at a web hook). Run 1 of every
cell comes first, then run 2, and so on, with the peers forth and back. Interrupted, it goes on where it stopped;
`--fresh` begins anew. README.md beside this file has the method.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches import peers, watch_events, watch_latency
from benches.command import command
from benches.load import pin_to_client_cpu
from benches.peers.watch import PEERS, feed, versions
from benches.process import BenchError, chosen_from
from benches.record import Record, Row, digest
from benches.trust import refuse_debug_build, tell, wait_for_quiet
from benches.turns import Cell, measure_all, turns
from benches.watch_latency import Latency

RESULTS = Path(__file__).parent / "results"
TESTS = ("count", "distinct", "latency")
THEIRS = (
    *(f"benches/watch_{name}.py" for name in ("events", "feed")),
    *(f"benches/peers/watch/{name}" for name in ("elastalert2.txt", "elastalert2_rules.py")),
)
"""What ElastAlert2's figures depend on: with another commit of tidegate they stay as they are."""


@dataclass(frozen=True)
class Settings:
    """Which tests, how often, and how large each is."""

    runs: int = 5
    hosts: int = 2000
    seconds: int = 3600
    """Of event time, for `count` and `distinct`."""
    latency: Latency = field(default_factory=Latency)


QUICK = Settings(runs=1, seconds=1200, latency=Latency(hosts=50, seconds=8.0))


@dataclass(frozen=True)
class Bench:
    """One benchmark."""

    settings: Settings

    def measure(self, test: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one test of one peer, once. The run is the seed."""
        figures = self._latency(run) if test == "latency" else self._windows(test, peer, run)
        return [Row(test, peer, metric, value, unit, run) for metric, value, unit in figures]

    def _windows(self, test: str, peer: str, run: int) -> Iterator[tuple[str, float, str]]:
        events = watch_events.make(test, self.settings.hosts, self.settings.seconds, run)
        expected = watch_events.expected(test, events)
        with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder:
            file = Path(folder) / "events"
            watch_events.write(file, events)
            speed, memory = (feed(peer, mode, watch_events.RULES[test], file) for mode in ("speed", "memory"))
        for fed in (speed, memory):
            if fed.events != len(events) or fed.alerts != expected:
                wrong = {*fed.alerts.items()} ^ {*expected.items()}
                raise BenchError(f"{peer} alerts {len(wrong)} times other than the offline windows")
        yield "events_per_s", round(speed.events / speed.cost), "1/s"
        yield "bytes_per_window", round(memory.cost / memory.windows), "B"

    def _latency(self, run: int) -> Iterator[tuple[str, float, str]]:
        p50, p99, count = watch_latency.measure(self.settings.latency, run)
        yield "p50_ms", p50, "ms"
        yield "p99_ms", p99, "ms"
        yield "alerts", count, "1"


def cells(settings: Settings, chosen: tuple[str, ...], tests: tuple[str, ...]) -> Iterator[Cell]:
    """Yield what is measured, in turn; nobody but the watch has a latency."""

    def names(test: str) -> list[str]:
        return [peer for peer in PEERS if peer in chosen and (test != "latency" or peer == "tidegate")]

    return turns(settings.runs, tests, names)


def fixed(settings: Settings) -> dict[str, Any]:
    """Return what must be the same for a results file to be gone on with, as JSON has it."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return {**value, "theirs": digest(THEIRS)}


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet."""
    settings = QUICK if arguments.quick else Settings()
    chosen = chosen_from(arguments.peers, PEERS, "peer")
    tests = chosen_from(arguments.tests, TESTS, "test")
    if "tidegate" in chosen:
        refuse_debug_build()
    path = RESULTS / ("watch-quick.json" if arguments.quick else "watch.json")
    record = Record(
        path,
        peers.versions("tidegate") | versions(),
        fixed(settings),
        fresh=arguments.fresh or arguments.quick,
        any_commit=lambda row: row.peer != "tidegate",
    )
    pin_to_client_cpu()
    if not arguments.quick:
        wait_for_quiet()
    measure_all(record, cells(settings, chosen, tests), Bench(settings).measure, width=11)
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    sys.exit(command("watch", "Measure windows and alerts.", "each once, into watch-quick.json", run))
