"""The README's table of windows, written from results/watch.json: medians over the runs, nothing typed by hand.

`python -m benches.watch_table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

from typing import Any

from benches.table import ROOT, between, counted, medians, place, rewrite, shown

RESULTS = ROOT / "benches" / "results" / "watch.json"
BEGIN, END = "<!-- bench-watch: begin -->", "<!-- bench-watch: end -->"
PEERS = ("tidegate", "elastalert2")
LINES = (
    ("count", "events_per_s", "more than 10 in 5 minutes, 2000 hosts: events/s per core"),
    ("count", "bytes_per_window", "the same: bytes per open window"),
    ("distinct", "events_per_s", "5 of 2000 hosts in 60 s, 20 providers: events/s per core"),
    ("distinct", "bytes_per_window", "the same: bytes per open window"),
    ("latency", "p50_ms", "from the record in a file to the alert: p50, ms"),
    ("latency", "p99_ms", "from the record in a file to the alert: p99, ms"),
)
"""Test, metric, and what it is called."""
MORE_IS_BETTER = {"events_per_s"}


def table(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    results, versions = record["results"], record["versions"]
    middle = medians(results)
    heads = [f"{peer} {versions.get(peer, '')}".strip() for peer in PEERS]
    lines = [f"| | {' | '.join(heads)} |", "| --- | ---: | ---: |"]
    for test, metric, label in LINES:
        lines.append(f"| {label} | {' | '.join(shown(middle.get((test, metric, peer))) for peer in PEERS)} |")
    runs = sorted(set(counted(results).values()))
    told = " to ".join(map(str, sorted({runs[0], runs[-1]}))) if runs else "no"
    made = f"Medians of {told} runs; commit {record['commit'][:10]}; {place(record['machine'])}."
    lines += ["", made, "", ahead(middle)]
    return "\n".join(lines)


def ahead(middle: dict[tuple[str, str, str], float]) -> str:
    """Return one sentence that names every line in which ElastAlert2 is ahead."""
    behind = []
    for test, metric, label in LINES:
        ours, theirs = (middle.get((test, metric, peer)) for peer in PEERS)
        if ours is not None and theirs is not None and (theirs > ours if metric in MORE_IS_BETTER else theirs < ours):
            behind.append(f"{test}, {label} ({shown(theirs)}; tidegate {shown(ours)})")
    return f"Where ElastAlert2 is ahead: {'; '.join(behind)}." if behind else "ElastAlert2 is ahead in no line."


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its table rewritten."""
    return between(readme, BEGIN, END, table(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
