"""`make bench-storm`: storms through the gate and through its peers, live, into results/storm.json.

Every run is a world of real processes: a server that collapses past its knee, hundreds of hosts that all come back,
and a peer between them. Run 1 of every cell comes first, then run 2, and so on, with the peers forth and back, so that
a benchmark that is stopped has compared everybody equally often. Interrupted, it goes on where it stopped; `--fresh`
begins anew. `--quick` plays each once with 100 hosts at twice the speed, into results/storm-quick.json only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benches import peers, storm_page, storm_predict
from benches.peers.storm import PEERS
from benches.process import BenchError
from benches.record import Record, Row, digest
from benches.storm_calm import Added, Calm, added
from benches.storm_grid import best_knobs
from benches.storm_scenarios import BY_NAME, SCENARIOS
from benches.storm_world import CENSORED_FLOORS, Outcome, Terms, play
from benches.trust import QUIET, pressure, refuse_debug_build, tell, tried, wait_for_quiet
from tidegate.errors import LabError

RESULTS = Path(__file__).parent / "results"
EVERYBODY = "s1"
"""The scenario in which all peers take part; in the others those of FEW do."""
FEW = ("haproxy-best", "envoy-adaptive", "tidegate")
CALM = "s10"
THEIRS = (
    "crates/tidegate-lab/src",
    *(f"crates/tidegate-sim/src/{name}.rs" for name in ("host", "lane", "law", "provider", "retry", "rng", "session")),
    "benches/peers/storm",
    *(f"benches/storm_{name}.py" for name in ("calm", "scenarios", "world")),
)
"""What the figures of the other peers depend on: with another commit of the gate they stay as they are."""


@dataclass(frozen=True)
class Settings:
    """How fast, how often, which scenarios, and with how many hosts (None: as many as the scenario says)."""

    speed: float = 5.0
    runs: int = 5
    hosts: int | None = None
    scenarios: tuple[str, ...] = tuple(scenario.name for scenario in SCENARIOS)
    calm: Calm = field(default_factory=Calm)


QUICK = Settings(
    speed=10.0,
    runs=1,
    hosts=100,
    scenarios=tuple(scenario.name for scenario in SCENARIOS if scenario.name != "s1-1000"),
    calm=Calm(turns=1, seconds=2.0),
)


@dataclass(frozen=True)
class Bench:
    """One benchmark: its settings, what all runs share, and where the curves go."""

    settings: Settings
    terms: Terms
    curves: Path

    def measure(self, test: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one scenario through one peer, once. The run is the seed."""
        if test == CALM:
            # This is about milliseconds; a storm takes little CPU, and its lab watches itself.
            seen = self._quietly(partial(added, peer, run, self.terms, self.settings.calm))
            away = Row(test, peer, "turned_away", seen.turned_away, "share", run)
            return [Row(test, peer, "p99_added_ms", seen.p99_ms, "ms", run), away]
        scenario = BY_NAME[test]
        if self.settings.hosts:
            scenario = scenario.small(self.settings.hosts)
        outcome = play(scenario, peer, run, self.terms)
        if outcome.bottleneck:
            raise BenchError(outcome.bottleneck)
        self._keep(test, peer, run, outcome)
        rows = [Row(test, peer, metric, value, unit, run) for metric, value, unit in outcome.metrics()]
        half = half_connected_s(outcome.curve, scenario.hosts)
        over = None if half is None else round(max(0.0, half - outcome.counted_from_s) / outcome.floor_s, 4)
        rows.append(Row(test, peer, "half_connected_over_floor", over, "x", run))
        if peer == "tidegate" and (predicted := storm_predict.spec(scenario, outcome.work_floor_s, run)):
            error = storm_predict.error(predicted, outcome)
            rows.append(Row(test, peer, "prediction_error", error, "share", run))
        return rows

    def _quietly(self, measure: Callable[[], Added]) -> Added:
        if self.settings.runs == 1:
            return measure()
        wait_for_quiet()
        seen = measure()
        if (after := pressure()) > QUIET:
            raise BenchError(f"somebody else was at work on this machine (CPU pressure {after:.0f} %)")
        return seen

    def forget_curves(self, record: Record) -> None:
        """Keep the curves of the runs that the results have."""
        lines = self.curves.read_text().splitlines() if self.curves.exists() else []
        runs = [(json.loads(line), line) for line in lines]
        kept = [line for run, line in runs if record.has(run["test"], run["peer"], run["run"])]
        self.curves.write_text("".join(f"{line}\n" for line in kept))

    def _keep(self, test: str, peer: str, run: int, outcome: Outcome) -> None:
        about = {"test": test, "peer": peer, "run": run, "hosts": outcome.scenario.hosts}
        times = {"floor_s": round(outcome.floor_s, 2), "from_s": round(outcome.counted_from_s, 2)}
        with self.curves.open("a") as file:
            file.write(json.dumps({**about, **times, "curve": turns(outcome.curve)}) + "\n")


def half_connected_s(curve: Sequence[tuple[float, int]], hosts: int) -> float | None:
    """Return since when half of the hosts or more have been connected without a break; None: they are not."""
    since: float | None = None
    for t, count in curve:
        since = None if 2 * count < hosts else t if since is None else since
    return since


def turns(curve: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return a curve without the points that lie on a level stretch between two others."""
    return [
        (round(t, 1), count)
        for i, (t, count) in enumerate(curve)
        if i in {0, len(curve) - 1} or not curve[i - 1][1] == count == curve[i + 1][1]
    ]


def cells(settings: Settings, chosen: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    """Yield (test, peer, run): all storms once, then all again; the calm last; the peers forth and back."""
    for tests in (settings.scenarios, (CALM,)):
        for run in range(1, settings.runs + 1):
            for test in tests:
                names = [peer for peer in (PEERS if test == EVERYBODY else FEW) if peer in chosen]
                for peer in names if run % 2 else reversed(names):
                    yield test, peer, run


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet, and write the page."""
    settings = QUICK if arguments.quick else Settings()
    chosen = tuple(arguments.peers.split(",")) if arguments.peers else PEERS
    refuse_debug_build()
    path = RESULTS / ("storm-quick.json" if arguments.quick else "storm.json")
    best = best_knobs()
    fixed = {
        "speed": settings.speed,
        "censored_floors": CENSORED_FLOORS,
        "hosts": settings.hosts,
        "best": vars(best),
        "lab": digest(THEIRS),
    }
    record = Record(
        path,
        peers.versions(*peers.PROXIES),
        fixed,
        fresh=arguments.fresh or arguments.quick,
        any_commit=lambda row: row.peer != "tidegate",
    )
    bench = Bench(settings, Terms(settings.speed, best), path.with_name(f"{path.stem}-curves.jsonl"))
    bench.forget_curves(record)
    for test, peer, number in cells(settings, chosen):
        if record.has(test, peer, number):
            continue
        cell = f"{test:<8} {peer:<15} run {number}"
        rows = tried(cell, partial(bench.measure, test, peer, number))
        record.add(rows)
        tell(f"{cell}: " + "  ".join(f"{row.metric} {'never' if row.value is None else row.value}" for row in rows))
    storm_page.write(path, bench.curves)
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}, {path.with_suffix('.html').name}")


def main() -> int:
    """Run from the command line: 0 fine, 3 it cannot run here or its figures could not be trusted, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benches.storm", description="Play storms through gate and peers.")
    parser.add_argument("--quick", action="store_true", help="each once, with 100 hosts, into storm-quick.json")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on where it stopped")
    parser.add_argument("--peers", help="only these, separated by commas")
    try:
        run(parser.parse_args())
    except (BenchError, LabError) as error:
        print(f"bench-storm: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("bench-storm: interrupted; called again it goes on where it stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
