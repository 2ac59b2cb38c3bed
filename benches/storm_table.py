"""The README's tables of storms, written from results/storm.json: medians over the runs, nothing typed by hand.

`python -m benches.storm_table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

from benches.peers.storm import PEERS
from benches.storm_scenarios import SCENARIOS
from benches.table import ROOT, between, place, rewrite, shown

RESULTS = ROOT / "benches" / "results" / "storm.json"
BEGIN, END = "<!-- bench-storm: begin -->", "<!-- bench-storm: end -->"
FEW = ("tidegate", "haproxy-best", "envoy-adaptive")
TIME, HALF = "last_connected_over_floor", "half_connected_over_floor"
ASIDE = (
    ("failed_attempts_per_host", "failed attempts per host"),
    ("wasted_work", "wasted work, share"),
    ("timeouts", "timeouts"),
    ("max_in_flight", "most in flight at the server"),
)
TIE = 0.02
"""Two times to the last host that differ by less of the smaller one are a tie."""

Values = dict[tuple[str, str, str], list[float]]


def values(results: list[dict[str, Any]]) -> Values:
    """Return all values of each (test, metric, peer); never is infinite."""
    found: Values = {}
    for row in results:
        value = math.inf if row["value"] is None else float(row["value"])
        found.setdefault((row["test"], row["metric"], row["peer"]), []).append(value)
    return found


def cell(found: list[float] | None) -> str:
    """Return a median as it is shown: "never" where that is so, and how often where it is so now and then."""
    if not found:
        return "–"
    middle, never = statistics.median(found), sum(map(math.isinf, found))
    # Halfway between a time and never there is no time, either.
    text = "never" if math.isinf(middle) or math.isnan(middle) else f"{middle:.2f}"
    return f"{text} ({never} of {len(found)} never)" if 0 < never < len(found) else text


def scenario_lines(found: Values) -> list[str]:
    """Return the table of all scenarios: the time to the last host in floors, for those who took part in all."""
    lines = [f"| | {' | '.join(FEW)} |", "| --- " + "| ---: " * len(FEW) + "|"]
    for scenario in SCENARIOS:
        figures = [cell(found.get((scenario.name, TIME, peer))) for peer in FEW]
        lines.append(f"| {scenario.name.upper()}, {scenario.hosts} hosts: {scenario.says} | {' | '.join(figures)} |")
    calm = [found.get(("s10", "p99_added_ms", peer)) for peer in FEW]
    figures = ["–" if one is None else f"{statistics.median(one):.2f} ms" for one in calm]
    lines.append(f"| S10, no storm: added to p99 at 1000 requests/s | {' | '.join(figures)} |")
    return lines


def peer_lines(found: Values) -> list[str]:
    """Return the table of s1: one line per peer, one column per metric."""
    labels = ["last host, × floor", "half of them, × floor", *(label for _, label in ASIDE)]
    lines = [f"| S1, 300 hosts | {' | '.join(labels)} |", "| --- " + "| ---: " * len(labels) + "|"]
    for peer in ("tidegate", *(peer for peer in PEERS if peer != "tidegate")):
        times = [cell(found.get(("s1", metric, peer))) for metric in (TIME, HALF)]
        aside = [found.get(("s1", metric, peer)) for metric, _ in ASIDE]
        figures = [*times, *(shown(statistics.median(one)) if one else "–" for one in aside)]
        lines.append(f"| {peer} | {' | '.join(figures)} |")
    return lines


def predictions(found: Values) -> str:
    """Return one sentence: how far the simulator is from the live runs of the gate."""
    errors = [
        f"{scenario.name.upper()} {statistics.median(one) * 100:.1f} %"
        for scenario in SCENARIOS
        if (one := found.get((scenario.name, "prediction_error", "tidegate")))
    ]
    if not errors:
        return ""
    return f"The simulator's time to the last host differs from tidegate's live one by {', '.join(errors)}."


def verdict(found: Values) -> str:
    """Return one sentence per peer: where it is ahead of tidegate, and where it ties."""
    sentences = []
    for peer in FEW[1:]:
        ahead, ties = [], []
        for scenario in SCENARIOS:
            ours, theirs = (found.get((scenario.name, TIME, one)) for one in ("tidegate", peer))
            if not ours or not theirs:
                continue
            mine, other = statistics.median(ours), statistics.median(theirs)
            if abs(mine - other) <= TIE * min(mine, other):
                ties.append(scenario.name.upper())
            elif other < mine:
                ahead.append(f"{scenario.name.upper()} ({other:.2f}, tidegate {cell(ours)})")
        sentences.append(f"{peer} is ahead in {', '.join(ahead) or 'none'} and ties in {', '.join(ties) or 'none'}.")
    return " ".join(sentences)


def tables(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    found, machine, best = values(record["results"]), record["machine"], record["settings"]["best"]
    runs = {key: len(one) for key, one in found.items() if key[1] in {TIME, "p99_added_ms"}}
    least, most = min(runs.values()), max(runs.values())
    counted = f"{most} runs" if least == most else f"{least} to {most} runs"
    versions = ", ".join(f"{name} {version.split()[0]}" for name, version in record["versions"].items())
    cores = place(machine)
    by_class = "logins after all else" if best["by_class"] else "one class"
    settings, commit = record["settings"], record["commit"][:10]
    if kept := record.get("kept_from"):
        commit += f" (peers: {kept[:10]})"
    terms = (
        f'Medians of {counted} at {settings["speed"]:g} times the speed of the clock, ended as "never" at '
        f"{settings['censored_floors']:g} floors; {versions}; commit {commit}; {cores}. "
        f"haproxy-best: maxconn {best['maxconn']}, timeout queue {best['queue_s']:g} s, {by_class}."
    )
    title = "Time until the last host is connected, as a multiple of the least possible time:"
    lines = [title, "", *scenario_lines(found), "", *peer_lines(found), "", terms]
    lines += ["", f"{verdict(found)} {predictions(found)}".strip()]
    return "\n".join(lines)


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its tables rewritten."""
    return between(readme, BEGIN, END, tables(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
