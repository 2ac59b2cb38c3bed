"""`make bench-flow`: how fast captures are analysed, beside tshark and argus, into results/flow.json.

Tests: `capture-96` (96 bytes kept of each packet), `capture-full` (all of them), `capture-real` (recorded ones, again
and again) and `scaling` (two threads of tidegate against one). Each run is a fresh process that reads a file from
the page cache on one core; what a capture without a packet takes is subtracted. The peers take turns, forth and
back; they are given the same kind of capture with fewer packets. README.md beside this file has the method.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benches.command import command
from benches.flow_corpus import FLOWS, MADE_BY, Corpora, Made, corpora
from benches.peers import flow as peers
from benches.peers.scan import compile_run
from benches.process import BenchError, chosen_from
from benches.record import Record, Row, digest
from benches.trust import refuse_debug_build, tell, wait_for_quiet
from benches.turns import Cell, measure_all, turns

RESULTS = Path(__file__).parent / "results"
TESTS = ("capture-96", "capture-full", "capture-real", "scaling")
SNAPS = {"capture-96": 96, "capture-full": 65_535, "capture-real": 0, "scaling": 96}
"""Bytes that are kept of a packet; 0: recorded captures."""


@dataclass(frozen=True)
class Settings:
    """How often, and how many packets: of made captures and of recorded ones, for tidegate and for the peers."""

    runs: int = 5
    packets: int = 5_000_000
    packets_full: int = 2_000_000
    packets_peers: int = 500_000
    packets_real: int = 3_000_000
    packets_real_peers: int = 300_000
    flows: int = FLOWS

    def made(self, test: str, peer: str) -> Made:
        """Return the capture that a peer is given."""
        ours = {"capture-full": self.packets_full, "capture-real": self.packets_real}.get(test, self.packets)
        theirs = self.packets_real_peers if test == "capture-real" else self.packets_peers
        return Made(ours if peer == "tidegate" else theirs, SNAPS[test])


QUICK = Settings(
    runs=1,
    packets=1_000_000,
    packets_full=400_000,
    packets_peers=200_000,
    packets_real=1_000_000,
    packets_real_peers=100_000,
)


@dataclass(frozen=True)
class Bench:
    """One benchmark: its captures, and the folder of what starts and measures a program."""

    settings: Settings
    captures: Corpora
    tools: Path

    def measure(self, test: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one test of one peer, once."""
        made = self.settings.made(test, peer)
        figures = self._scaling(made) if test == "scaling" else self._capture(peer, made)
        return [Row(test, peer, metric, value, unit, run) for metric, value, unit in figures]

    def _capture(self, peer: str, made: Made) -> Iterator[tuple[str, float, str]]:
        command, one = peers.PEERS[peer], {max(os.sched_getaffinity(0))}
        path = self.captures.path(made)
        idle = peers.take(command.command(self.captures.nothing()), one, self.tools)
        took = peers.take(command.command(path), one, self.tools)
        seen = command.packets(took.said)
        if made.snap and seen not in (None, made.packets):
            raise BenchError(f"{peer} saw {seen} of {made.packets} packets")
        spent = took.cpu_seconds - idle.cpu_seconds
        if spent < idle.cpu_seconds / 4:
            raise BenchError(f"{peer} took {spent:.3f} s, too little beside {idle.cpu_seconds:.3f} s of starting it")
        yield "mpps", round(made.packets / 1e6 / spent, 4), "1/us"
        if made.snap:
            grown = (took.rss_kib - idle.rss_kib) << 10
            yield "bytes_per_flow", round(grown / self.captures.connections(made)), "B"

    def _scaling(self, made: Made) -> Iterator[tuple[str, float, str]]:
        cpus, path, speeds = sorted(os.sched_getaffinity(0))[:2], self.captures.path(made), []
        for count in (1, 2):
            idle, took = (
                peers.take(peers.shards(file, count), set(cpus[:count]), self.tools)
                for file in (self.captures.nothing(), path)
            )
            if int(took.said) != made.packets:
                raise BenchError(f"{count} threads saw {took.said.strip()} of {made.packets} packets")
            speeds.append(made.packets / 1e6 / (took.seconds - idle.seconds))
            yield f"mpps_{count}", round(speeds[-1], 4), "1/us"
        yield "scale", round(speeds[1] / speeds[0], 3), "1"


def cells(settings: Settings, chosen: tuple[str, ...], tests: tuple[str, ...]) -> Iterator[Cell]:
    """Yield what is measured, in turn; only tidegate is asked how it scales."""

    def names(test: str) -> list[str]:
        return [peer for peer in peers.PEERS if peer in chosen and (test != "scaling" or peer == "tidegate")]

    return turns(settings.runs, tests, names)


def fixed(settings: Settings) -> dict[str, Any]:
    """Return what must be the same for a results file to be gone on with, as JSON has it."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return {**value, "captures": digest(MADE_BY), "peers": digest(("benches/peers/flow",))}


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet."""
    settings = QUICK if arguments.quick else Settings()
    chosen = chosen_from(arguments.peers, tuple(peers.PEERS), "peer")
    tests = chosen_from(arguments.tests, TESTS, "test")
    if "tidegate" in chosen:
        refuse_debug_build()
    if "scaling" in tests and len(os.sched_getaffinity(0)) < 2:
        raise BenchError("scaling needs two CPUs; --tests leaves it out")
    peers.install()
    order = list(cells(settings, chosen, tests))
    captures = corpora()
    captures.make(list(dict.fromkeys(settings.made(test, peer) for test, peer, _ in order)), tell)
    path = RESULTS / ("flow-quick.json" if arguments.quick else "flow.json")
    record = Record(
        path,
        peers.versions(),
        fixed(settings),
        fresh=arguments.fresh or arguments.quick,
        any_commit=lambda row: row.peer != "tidegate",
    )
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as tools:
        compile_run(Path(tools))
        if not arguments.quick:
            wait_for_quiet()
        measure_all(record, order, Bench(settings, captures, Path(tools)).measure, width=8)
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    sys.exit(command("flow", "Measure how fast captures are analysed.", "each once, into flow-quick.json", run))
