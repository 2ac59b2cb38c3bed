"""The README's table of figures, written from results/gate.json: medians over the runs, nothing typed by hand.

`python -m benches.table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benches" / "results" / "gate.json"
BEGIN, END = "<!-- bench-gate: begin -->", "<!-- bench-gate: end -->"
PEERS = ("tidegate", "haproxy", "nginx", "envoy", "direct")
Lines = Sequence[tuple[str, str, str]]
"""Test, metric, and what it is called."""
LINES: Lines = (
    ("http-keepalive", "cpu_us_per_request", "CPU per request, µs"),
    ("http-keepalive", "p50_ms", "latency p50, ms"),
    ("http-keepalive", "p99_ms", "latency p99, ms"),
    ("tls", "cpu_us_per_request", "CPU per request, TLS, µs"),
    ("tls", "p50_ms", "latency p50, TLS, ms"),
    ("tls", "p99_ms", "latency p99, TLS, ms"),
    ("idle", "bytes_per_idle_client", "memory per idle client, bytes"),
    ("tls", "bytes_per_idle_client", "memory per idle TLS client, bytes"),
)


def medians(results: list[dict[str, Any]]) -> dict[tuple[str, str, str], float]:
    """Return the median of each (test, metric, peer)."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in results:
        if row["value"] is not None:
            values.setdefault((row["test"], row["metric"], row["peer"]), []).append(row["value"])
    return {key: statistics.median(found) for key, found in values.items()}


def counted(results: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Return how many runs there are of each (test, peer)."""
    return dict(Counter((test, peer) for test, peer, _ in sorted({(r["test"], r["peer"], r["run"]) for r in results})))


def place(machine: dict[str, Any]) -> str:
    """Return where figures come from, in words."""
    return f"{machine['cores']} cores of {machine['cpu']}, kernel {machine['kernel']}, {machine['system']}"


def rewrite(results: Path, updated: Callable[[str, dict[str, Any]], str]) -> None:
    """Rewrite README.md by what a results file says; ``updated`` makes the new text of the old one."""
    readme = ROOT / "README.md"
    readme.write_text(updated(readme.read_text(), json.loads(results.read_text())))


def shown(value: float | None) -> str:
    """Return a figure with three digits that count; `–` for none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def against(name: str, middle: dict[tuple[str, str, str], float]) -> str:
    """Return one sentence: our CPU per request over a peer's, and who is ahead."""
    ours = middle.get(("http-keepalive", "cpu_us_per_request", "tidegate"))
    theirs = middle.get(("http-keepalive", "cpu_us_per_request", name.lower()))
    if ours is None or theirs is None:
        return ""
    return f"{ours / theirs:.2f} × {name}" + (" (behind)" if ours > theirs else "")


def ahead_of(lines: Lines, peers: Sequence[str], middle: dict[tuple[str, str, str], float]) -> str:
    """Return one sentence that names every line in which one of these peers is ahead of tidegate; less is better."""
    behind = []
    for test, metric, label in lines:
        ours = middle.get((test, metric, "tidegate"))
        better = [
            f"{peer} {shown(middle[test, metric, peer])}"
            for peer in peers
            if ours is not None and (test, metric, peer) in middle and middle[test, metric, peer] < ours
        ]
        if better:
            behind.append(f"{label} ({', '.join(better)}; tidegate {shown(ours)})")
    return f"Where a peer is ahead: {'; '.join(behind)}." if behind else "No peer is ahead in any line."


def ahead(middle: dict[tuple[str, str, str], float]) -> str:
    """Return one line that names every figure at which a peer is ahead of tidegate."""
    return ahead_of(LINES, ("haproxy", "nginx", "envoy"), middle)


def table(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    middle = medians(record["results"])
    runs = len({row["run"] for row in record["results"]})
    versions, machine = record["versions"], record["machine"]
    head = [
        "",
        *(f"{peer} {versions.get(peer, '').split()[0] if versions.get(peer) else ''}".strip() for peer in PEERS),
    ]
    lines = [f"| {' | '.join(head)} |", "| --- " + "| ---: " * len(PEERS) + "|"]
    for test, metric, label in LINES:
        figures = [shown(middle.get((test, metric, peer))) for peer in PEERS]
        lines.append(f"| {label} | {' | '.join(figures)} |")
    ratios = ", ".join(text for text in (against("HAProxy", middle), against("Envoy", middle)) if text)
    cores = place(machine)
    short = [f"{test} of {peer} {count}" for (test, peer), count in counted(record["results"]).items() if count < runs]
    fewer = f" (fewer: {', '.join(short)})" if short else ""
    rate, commit = record["settings"]["rate"], record["commit"][:10]
    lines += ["", f"Medians of {runs} runs{fewer} at {rate} requests/s, admission on, commit {commit}; {cores}."]
    lines += ["", f"CPU per request: {ratios}. {ahead(middle)}"]
    return "\n".join(lines)


def between(text: str, begin: str, end: str, part: str) -> str:
    """Return `text` with what stands between two markers rewritten."""
    before, rest = text.split(begin, 1)
    return f"{before}{begin}\n{part}\n{end}{rest.split(end, 1)[1]}"


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its table rewritten."""
    return between(readme, BEGIN, END, table(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
