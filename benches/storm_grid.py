"""`python -m benches.storm_grid`: the best HAProxy for exactly this server, into results/storm-grid.json.

The grid is maxconn × timeout queue × a class of its own for logins or not. All are played once in s1 on a seed that
the results do not use; the best third goes on to the next seed, and so on, until four have been played with all. The
winner is the one of them with the smallest median of the time to the last host.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benches import peers
from benches.peers.storm import Knobs
from benches.process import BenchError
from benches.record import Record, Row
from benches.storm_scenarios import BY_NAME
from benches.storm_world import CENSORED_FLOORS, Terms, play
from benches.trust import tell, tried
from tidegate.errors import LabError

PATH = Path(__file__).parent / "results" / "storm-grid.json"
SPEED = 10.0
SEEDS = (101, 102, 103, 104)
"""None of them is a run of the results."""
GRID = tuple(
    Knobs(maxconn, queue_s, by_class)
    for maxconn, queue_s, by_class in product((5, 7, 11, 16, 22, 30, 44), (5.0, 15.0, 25.0, 60.0), (False, True))
)


def name(knobs: Knobs) -> str:
    """Return the name under which a point of the grid stands in the results."""
    return f"haproxy maxconn={knobs.maxconn} queue={knobs.queue_s:g}s class={'on' if knobs.by_class else 'off'}"


def scores(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the times to the last host of each point, in floors, infinite for never."""
    found: dict[str, list[float]] = {}
    for row in results:
        if row["metric"] == "last_connected_over_floor":
            found.setdefault(row["peer"], []).append(float("inf") if row["value"] is None else row["value"])
    return found


def ranked(results: list[dict[str, Any]]) -> list[Knobs]:
    """Return the points that were played most often, the best first."""
    found = scores(results)
    most = max(map(len, found.values()), default=0)
    played = [knobs for knobs in GRID if len(found.get(name(knobs), [])) == most]
    return sorted(played, key=lambda knobs: statistics.median(found[name(knobs)])) if most else []


def best_knobs(path: Path = PATH) -> Knobs:
    """Return the winner.

    Raises
    ------
    BenchError
        The grid was not searched yet.
    """
    found = ranked(json.loads(path.read_text())["results"]) if path.exists() else []
    if not found:
        raise BenchError("nobody has looked for the best HAProxy yet: python -m benches.storm_grid")
    return found[0]


def search(record: Record) -> Iterator[str]:
    """Play what is still to be played; yield a line for each."""
    left = list(GRID)
    for seed in SEEDS:
        for knobs in left:
            if record.has("s1", name(knobs), seed):
                continue
            rows = tried(name(knobs), partial(_measure, knobs, seed))
            record.add(rows)
            yield f"{name(knobs)} seed {seed}: {rows[0].value or 'never'}"
        found = scores([vars(row) for row in record.rows])
        left.sort(key=lambda knobs: statistics.median(found[name(knobs)]))
        left = left[: max(4, len(left) // 3)]


def _measure(knobs: Knobs, seed: int) -> list[Row]:
    outcome = play(BY_NAME["s1"], "haproxy-best", seed, Terms(SPEED, knobs))
    if outcome.bottleneck:
        raise BenchError(outcome.bottleneck)
    return [Row("s1", name(knobs), metric, value, unit, seed) for metric, value, unit in outcome.metrics()]


def main() -> int:
    """Run from the command line: 0 fine, 3 stopped."""
    parser = argparse.ArgumentParser(prog="python -m benches.storm_grid", description="Find the best HAProxy.")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on where it stopped")
    arguments = parser.parse_args()
    try:
        settings = {"speed": SPEED, "censored_floors": CENSORED_FLOORS, "seeds": list(SEEDS)}
        record = Record(PATH, peers.versions("haproxy"), settings, fresh=arguments.fresh)
        for line in search(record):
            tell(line)
        tell(f"the best: {name(best_knobs())}")
    except (BenchError, LabError) as error:
        print(f"storm-grid: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
