"""The README's table of how fast logs are searched, written from results/scan.json: medians, nothing typed by hand.

`python -m benches.scan_table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

from typing import Any

from benches.table import ROOT, between, counted, medians, rewrite, shown

RESULTS = ROOT / "benches" / "results" / "scan.json"
BEGIN, END = "<!-- bench-scan: begin -->", "<!-- bench-scan: end -->"
PEERS = ("tidegate", "ripgrep", "grep", "lnav", "vectorscan", "zlib", "zlib-rs")
# Those that only decompress: a floor, not somebody who finds anything.
BARE = ("zlib", "zlib-rs")
LINES = (
    ("plain-48", "log, 48 patterns"),
    ("plain-1000", "log, 1000 patterns"),
    ("gz", "log, gzipped, 48 patterns"),
    ("bundle", "support bundle, 48 patterns"),
    ("adversarial", "made to be slow, 48 patterns"),
)
SPEED, MEMORY, EXACT = "mb_per_s", "rss_mb", "exact"
MOST_MB = 256

Figures = dict[tuple[str, str, str], float]


def wrong(results: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the (test, peer) of which some run did not count what was planted."""
    return {(row["test"], row["peer"]) for row in results if row["metric"] == EXACT and row["value"] != 1}


def cell(test: str, peer: str, middle: Figures, inexact: set[tuple[str, str]]) -> str:
    """Return a speed as it is shown; none where a count was wrong."""
    return "wrong count" if (test, peer) in inexact else shown(middle.get((test, SPEED, peer)))


def demands(middle: Figures, inexact: set[tuple[str, str]]) -> str:
    """Return one sentence: tidegate beside what was asked of it, and whether that is met."""

    def over(test: str, peer: str) -> float | None:
        ours, theirs = (
            None if (test, one) in inexact else middle.get((test, SPEED, one)) for one in ("tidegate", peer)
        )
        return ours / theirs if ours and theirs else None

    asked = (
        ("plain-48", "ripgrep", 1.0, "log"),
        ("gz", "zlib", 0.95, "gzipped"),
        ("gz", "zlib-rs", 0.95, "gzipped"),
        ("bundle", "lnav", 5.0, "bundle"),
    )
    told = []
    for test, peer, least, label in asked:
        if (ratio := over(test, peer)) is not None:
            told.append(f"{label} {ratio:.2f} × {peer} (asked: {least:g}{'' if ratio >= least else ', not met'})")
    memory = [value for (_, metric, peer), value in middle.items() if (metric, peer) == (MEMORY, "tidegate")]
    if memory:
        met = "" if max(memory) < MOST_MB else ", not met"
        told.append(f"most memory {shown(max(memory))} MB (asked: under {MOST_MB}{met})")
    return f"tidegate: {'; '.join(told)}." if told else "tidegate was not measured."


def ahead(middle: Figures, inexact: set[tuple[str, str]]) -> str:
    """Return one sentence that names every test in which a peer that counts right is ahead of tidegate."""
    behind = []
    for test, label in LINES:
        ours = middle.get((test, SPEED, "tidegate"))
        better = [
            f"{peer} {shown(value)}"
            for peer in PEERS[1:]
            if peer not in BARE
            and (test, peer) not in inexact
            and (value := middle.get((test, SPEED, peer), 0)) > (ours or 0)
        ]
        if ours is not None and better:
            behind.append(f"{label} ({', '.join(better)}; tidegate {shown(ours)})")
    return f"Where a peer is ahead: {'; '.join(behind)}." if behind else "No peer that finds hits is ahead in any line."


def table(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    results, versions, machine = record["results"], record["versions"], record["machine"]
    middle, inexact = medians(results), wrong(results)
    head = ["MB of text per second", *(f"{peer} {versions.get(peer, '').split(' ')[0]}".strip() for peer in PEERS)]
    lines = [f"| {' | '.join(head)} |", "| --- " + "| ---: " * len(PEERS) + "|"]
    for test, label in LINES:
        lines.append(f"| {label} | {' | '.join(cell(test, peer, middle, inexact) for peer in PEERS)} |")
    most = {
        peer: max(
            (value for (_, metric, one), value in middle.items() if (metric, one) == (MEMORY, peer)), default=None
        )
        for peer in PEERS
    }
    lines.append(f"| most memory, MB | {' | '.join(shown(most[peer]) for peer in PEERS)} |")
    runs = max(counted(results).values())
    plain = record["settings"]["corpora"]["plain.log"]
    size = f"{plain['bytes'] / 1e9:.2f} GB, {plain['lines']:,} lines, {plain['hits_1000']:,} planted hits"
    cores = f"one core of {machine['cores']} of {machine['cpu']}, kernel {machine['kernel']}, {machine['system']}"
    commit = record["commit"][:10] + (f" (peers: {record['kept_from'][:10]})" if record.get("kept_from") else "")
    lines += ["", f"Medians of {runs} runs; log: {size}; commit {commit}; {cores}."]
    lines += ["", f"{demands(middle, inexact)} {ahead(middle, inexact)}"]
    return "\n".join(lines)


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its table rewritten."""
    return between(readme, BEGIN, END, table(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
