"""The README's table of captures, written from results/flow.json: medians over the runs, nothing typed by hand.

`python -m benches.flow_table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

from typing import Any

from benches.table import ROOT, between, counted, medians, place, rewrite, shown

RESULTS = ROOT / "benches" / "results" / "flow.json"
BEGIN, END = "<!-- bench-flow: begin -->", "<!-- bench-flow: end -->"
PEERS = ("tidegate", "tshark", "argus")
LINES = (
    ("capture-96", "mpps", "96 bytes kept of each packet: million packets/s per core"),
    ("capture-96", "bytes_per_flow", "the same: bytes of memory per connection"),
    ("capture-full", "mpps", "whole packets: million packets/s per core"),
    ("capture-real", "mpps", "recorded captures: million packets/s per core"),
)
"""Test, metric, and what it is called."""
MORE_IS_BETTER = {"mpps"}
FIRST = ("capture-96", "mpps")
"""The line that is asked most of."""
ASKED = 10
"""Million packets a second per core, at least."""
ASKED_TIMES = {"tshark": 20, "argus": 10}
"""How many times as fast as a peer, at least."""
Middle = dict[tuple[str, str, str], float]


def table(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    results, versions = record["results"], record["versions"]
    middle = medians(results)
    heads = [f"{peer} {versions.get(peer, '')}".strip() for peer in PEERS]
    times = [f"× {peer}" for peer in PEERS[1:]]
    lines = [f"| | {' | '.join([*heads, *times])} |", "| --- " + "| ---: " * (len(heads) + len(times)) + "|"]
    for test, metric, label in LINES:
        figures = [middle.get((test, metric, peer)) for peer in PEERS]
        ratios = [ratio(metric, figures[0], theirs) for theirs in figures[1:]]
        lines.append(f"| {label} | {' | '.join([*map(shown, figures), *ratios])} |")
    runs = sorted(set(counted(results).values()))
    told = " to ".join(map(str, sorted({runs[0], runs[-1]}))) if runs else "no"
    made = f"Medians of {told} runs; commit {record['commit'][:10]}; {place(record['machine'])}."
    lines += ["", made, "", " ".join([demands(middle), *scaled(middle), ahead(middle)])]
    return "\n".join(lines)


def ratio(metric: str, ours: float | None, theirs: float | None) -> str:
    """Return by how much tidegate is better: more than 1 is."""
    if not ours or not theirs:
        return "–"
    return f"{ours / theirs if metric in MORE_IS_BETTER else theirs / ours:.3g}"


def demands(middle: Middle) -> str:
    """Return one sentence that says what was asked of the first line, and what is not met."""
    ours = middle.get((*FIRST, "tidegate"))
    if ours is None:
        return "tidegate was not measured."
    told = [asked(f"{shown(ours)} million packets/s per core", ours, ASKED)]
    for peer, least in ASKED_TIMES.items():
        if theirs := middle.get((*FIRST, peer)):
            told.append(asked(f"{ours / theirs:.3g} × {peer}", ours / theirs, least))
    return f"tidegate, 96 bytes: {'; '.join(told)}."


def asked(words: str, value: float, least: float) -> str:
    """Return a figure and what was asked."""
    return f"{words} (asked: {least}{'' if value >= least else ', not met'})"


def scaled(middle: Middle) -> list[str]:
    """Return one sentence about two threads, if they were measured."""
    one, two, scale = (middle.get(("scaling", metric, "tidegate")) for metric in ("mpps_1", "mpps_2", "scale"))
    if one is None or two is None or scale is None:
        return []
    return [f"Two threads: {shown(two)} million packets/s against {shown(one)}, {scale:.2f} times as many."]


def ahead(middle: Middle) -> str:
    """Return one sentence that names every line in which a peer is ahead."""
    behind = []
    for test, metric, label in LINES:
        ours = middle.get((test, metric, "tidegate"))
        for peer in PEERS[1:]:
            theirs = middle.get((test, metric, peer))
            if ours is not None and theirs is not None and (theirs > ours) == (metric in MORE_IS_BETTER):
                behind.append(f"{test}, {label} ({peer} {shown(theirs)}; tidegate {shown(ours)})")
    return f"Where a peer is ahead: {'; '.join(behind)}." if behind else "No peer is ahead in any line."


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its table rewritten."""
    return between(readme, BEGIN, END, table(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
