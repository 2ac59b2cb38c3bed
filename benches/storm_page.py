"""The page about a storm benchmark: hosts connected over time, one chart per scenario, one line per peer.

One file with data, script and styles inside. `python -m benches.storm_page` writes results/storm.html anew.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from benches.peers.storm import PEERS
from benches.storm_scenarios import BY_NAME, SCENARIOS

HERE = Path(__file__).parent
VENDORED = HERE.parent / "src" / "tidegate" / "console" / "static" / "vendor"
RESULTS = HERE / "results" / "storm.json"

Run = dict[str, Any]


def middle_runs(record: dict[str, Any], curves: list[Run]) -> list[Run]:
    """Return one run per test and peer: the one whose time to the last host is the median (the lower of two)."""
    times = {
        (row["test"], row["peer"], row["run"]): math.inf if row["value"] is None else row["value"]
        for row in record["results"]
        if row["metric"] == "last_connected_over_floor"
    }
    cells: dict[tuple[str, str], list[Run]] = {}
    for curve in curves:
        if (curve["test"], curve["peer"], curve["run"]) in times:
            cells.setdefault((curve["test"], curve["peer"]), []).append(curve)
    chosen = []
    for (test, peer), runs in cells.items():
        ordered = sorted(runs, key=lambda run: times[test, peer, run["run"]])
        chosen.append(ordered[(len(ordered) - 1) // 2])
    return chosen


def charts(record: dict[str, Any], curves: list[Run]) -> list[dict[str, Any]]:
    """Return what the page draws, in the order of the scenarios and the peers."""
    runs = {(run["test"], run["peer"]): run for run in middle_runs(record, curves)}
    drawn = []
    for scenario in SCENARIOS:
        here = [runs[scenario.name, peer] for peer in PEERS if (scenario.name, peer) in runs]
        if here:
            lines = [{"peer": run["peer"], "points": list(zip(*run["curve"], strict=True))} for run in here]
            about = {"name": scenario.name.upper(), "says": BY_NAME[scenario.name].says, "hosts": here[0]["hosts"]}
            # Where an event waits for the hosts, each run counts from a moment of its own: that of ours is drawn.
            ours = next((run for run in here if run["peer"] == "tidegate"), here[0])
            drawn.append({**about, "floor_s": ours["floor_s"], "from_s": ours["from_s"], "lines": lines})
    return drawn


def page(record: dict[str, Any], curves: list[Run]) -> str:
    """Return the page as HTML."""
    data = {"charts": charts(record, curves), "peers": PEERS, "commit": record["commit"][:10]}
    fields = {
        "{{uplot_css}}": (VENDORED / "uPlot.min.css").read_text(encoding="utf-8"),
        "{{uplot_js}}": (VENDORED / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        # "</" would end the script element wherever it stood in the data
        "{{data}}": json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
    }
    text = (HERE / "storm.html").read_text(encoding="utf-8")
    for name, value in fields.items():
        text = text.replace(name, value)
    return text


def write(results: Path, curves: Path) -> None:
    """Write the page beside a results file."""
    runs = [json.loads(line) for line in curves.read_text().splitlines()] if curves.exists() else []
    results.with_suffix(".html").write_text(page(json.loads(results.read_text()), runs), encoding="utf-8")


if __name__ == "__main__":
    write(RESULTS, RESULTS.with_name("storm-curves.jsonl"))
