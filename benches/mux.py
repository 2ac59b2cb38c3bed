"""`make bench-mux`: connections, source ports and verdicts of the gate beside its peers, into results/mux.json.

Run 1 of every cell comes first, then run 2, and so on, with the peers forth and back; within a run the tests come one
after the other. Interrupted, it goes on where it stopped; `--fresh` begins anew. `--quick` looks once and briefly, with
smaller numbers, into results/mux-quick.json only. All of it happens in a network namespace of its own, which takes
root. README.md beside this file has the method.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benches import mux_blame, mux_cliff, mux_fan, mux_l4, mux_race, peers
from benches.command import command
from benches.load import pin_to_client_cpu
from benches.mux_world import need_root
from benches.peers.mux import PACKAGES, PEERS, SkippedError
from benches.process import BenchError, chosen_from, install_missing
from benches.record import Record, Row, digest
from benches.trust import refuse_debug_build, tell, tried, wait_for_quiet
from benches.turns import Cell, turns
from tidegate.errors import LabError

RESULTS = Path(__file__).parent / "results"
THEIRS = (
    "benches/load.py",
    "benches/peers/mux",
    "benches/peers/origin.conf",
    *(f"benches/mux_{name}.py" for name in ("blame", "cliff", "fan", "l4", "race", "world")),
    *(f"src/tidegate/lab/ports_{name}.py" for name in ("clients", "origin", "trial", "verdicts")),
)
"""What the figures of the other peers depend on: with another commit of the gate they stay as they are."""
T1 = {"T1/1000": 1000, "T1/4000": 4000, "T1/6000": 6000}
TESTS = (*T1, "T2", "T3/90", "T4", "T5", "T8", "T9", *mux_l4.SIZES, "T11", "http-keepalive")


@dataclass(frozen=True)
class Settings:
    """Which tests, how often, and what each of them is told."""

    tests: tuple[str, ...] = TESTS
    runs: int = 5
    fan: mux_fan.Fan = field(default_factory=mux_fan.Fan)
    cliff: mux_cliff.Cliff = field(default_factory=mux_cliff.Cliff)
    blame: mux_blame.Blame = field(default_factory=mux_blame.Blame)
    race: mux_race.Race = field(default_factory=mux_race.Race)
    transfers: mux_l4.Transfers = field(default_factory=mux_l4.Transfers)


QUICK = Settings(
    tests=tuple(test for test in TESTS if test not in {"T1/4000", "T1/6000"}),
    runs=1,
    fan=mux_fan.QUICK,
    cliff=mux_cliff.QUICK,
    blame=mux_blame.QUICK,
    race=mux_race.QUICK,
    transfers=mux_l4.QUICK,
)


@dataclass(frozen=True)
class Bench:
    """One benchmark: its settings, and the folder of the fast origin, for what is about CPU time."""

    settings: Settings
    fast: Path

    def measure(self, test: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one test of one peer, once."""
        settings = self.settings
        how: dict[str, Callable[[str, str, int], Iterator[Row]]] = {
            "T2": partial(mux_fan.one_shot, fan=settings.fan),
            "T3/90": partial(mux_cliff.cliff, share=0.9, size=settings.cliff),
            "T4": partial(mux_blame.exhausted, blame=settings.blame),
            "T5": partial(mux_blame.at_its_limit, blame=settings.blame),
            "T8": partial(mux_race.stale, race=settings.race),
            "T9": partial(mux_race.renewed, race=settings.race),
            "T11": partial(mux_blame.lagging, blame=settings.blame),
            "http-keepalive": partial(mux_fan.keep_alive, fan=settings.fan, fast=self.fast),
            **{name: partial(mux_fan.idle, clients=count, fan=settings.fan) for name, count in T1.items()},
            **{name: partial(mux_l4.transfers, how=settings.transfers, fast=self.fast) for name in mux_l4.SIZES},
        }
        return list(how[test](test, peer, run))


def cells(settings: Settings, chosen: tuple[str, ...], tests: tuple[str, ...]) -> Iterator[Cell]:
    """Yield what is measured, in turn."""
    names = [peer for peer in PEERS if peer in chosen]
    return turns(settings.runs, settings.tests, lambda test: names if test in tests else [])


def fixed(settings: Settings) -> dict[str, Any]:
    """Return what must be the same for a results file to be gone on with, as JSON has it."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    del value["tests"]
    return {**value, "lab": digest(THEIRS)}


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet."""
    settings = QUICK if arguments.quick else Settings()
    chosen = chosen_from(arguments.peers, PEERS, "peer")
    tests = chosen_from(arguments.tests, TESTS, "test")
    if "tidegate" in chosen:
        refuse_debug_build()
    need_root()
    install_missing(PACKAGES)
    path = RESULTS / ("mux-quick.json" if arguments.quick else "mux.json")
    versions = peers.versions(*peers.PROXIES, "h2load")
    record = Record(
        path,
        versions,
        fixed(settings),
        fresh=arguments.fresh or arguments.quick,
        any_commit=lambda row: row.peer != "tidegate",
    )
    pin_to_client_cpu()
    if not arguments.quick:
        wait_for_quiet()
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the origin's worker is nobody
        (folder / "files").mkdir()
        mux_l4.write_files(folder / "files")
        bench = Bench(settings, folder)
        left = [
            cell
            for cell in cells(settings, chosen, tests)
            if not record.has(*cell) and not _measured(bench, record, *cell)
        ]
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}")
    if left:
        raise BenchError(f"{len(left)} measurements could not be trusted; called again it goes on with them")


def _measured(bench: Bench, record: Record, test: str, peer: str, number: int) -> bool:
    """Measure one cell and keep its rows; return False when its figures could not be trusted, which is told."""
    cell = f"{test:<15} {peer:<15} run {number}"
    try:
        rows = tried(cell, partial(bench.measure, test, peer, number))
    except SkippedError as why:
        tell(f"{cell}: left out: {why}")
        return True
    except (BenchError, LabError) as error:
        tell(f"{cell}: given up: {error}")
        return False
    record.add(rows)
    tell(f"{cell}: " + "  ".join(f"{row.metric} {'never' if row.value is None else f'{row.value:g}'}" for row in rows))
    return True


if __name__ == "__main__":
    sys.exit(command("mux", "Measure ports, pooling and verdicts.", "one short run of each, into mux-quick.json", run))
