"""The README's table of connections, ports and verdicts, written from results/mux.json: medians, nothing typed by hand.

`python -m benches.mux_table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

from typing import Any

from benches.table import ROOT, ahead_of, between, counted, medians, place, rewrite, shown

RESULTS = ROOT / "benches" / "results" / "mux.json"
BEGIN, END = "<!-- bench-mux: begin -->", "<!-- bench-mux: end -->"
PEERS = ("tidegate", "haproxy-safe", "haproxy-always", "nginx", "envoy")
LINES = (
    ("T1/6000", "backend_connections", "6000 idle clients: connections to the server at the end"),
    ("T1/6000", "connects_per_1000_requests", "6000 idle clients: connects per 1000 requests"),
    ("T1/6000", "bytes_per_idle_client", "6000 idle clients: bytes of memory each"),
    ("T2", "connects_per_1000_requests", "clients with one request: connects per 1000 requests"),
    ("T2", "cpu_us_per_request", "clients with one request: CPU per request, µs"),
    ("T3/90", "connect_p99_us", "90 % of the ports taken: connect p99, µs"),
    ("T4", "false_down", "our ports run out: healthy servers taken out, times"),
    ("T4", "failed_requests", "our ports run out: failed requests"),
    ("T4", "detect_down_s", "then a server dies: found after, s"),
    ("T5", "false_down", "a middlebox at its limit: healthy servers taken out, times"),
    ("T5", "detect_down_s", "then a server dies: found after, s"),
    ("T11", "false_down", "the proxy is stopped for a while: healthy servers taken out, times"),
    ("T11", "detect_down_s", "then a server dies: found after, s"),
    ("T8", "failed_requests", "the server closes idle connections: failed requests, of 100 000"),
    ("T8", "duplicate_posts", "the server closes idle connections: POSTs that came twice"),
    ("T9", "failed_requests", "20 reloads and 5 restarts under load: failed requests"),
    ("T10/1MB", "cpu_ms_per_gb", "L4, 1 MB each: CPU, ms per GB"),
    ("T10/64kB", "cpu_ms_per_gb", "L4, 64 kB each: CPU, ms per GB"),
    ("T10/1kB", "cpu_us_per_connection", "L4, 1 kB each: CPU per connection, µs"),
    ("http-keepalive", "cpu_us_per_request", "keep-alive requests: CPU per request, µs"),
)
"""Test, metric, and what it is called. In all of them less is better."""
ASKED = (
    ("T1/6000", "backend_connections", 8.0, "connections at 6000 idle clients"),
    ("T1/6000", "bytes_per_idle_client", 600.0, "bytes per idle client"),
    ("T3/90", "connect_p99_us", 200.0, "µs to connect at 90 %"),
    ("T4", "false_down", 0.0, "false alarms without ports"),
    ("T5", "false_down", 0.0, "false alarms at a middlebox"),
    ("T11", "false_down", 0.0, "false alarms of a stopped loop"),
    ("T8", "duplicate_posts", 0.0, "POSTs sent twice"),
    ("T9", "failed_requests", 0.0, "failed requests in restarts"),
)
"""What is asked of tidegate (DESIGN, figures to reach): at most so much."""

Figures = dict[tuple[str, str, str], float]


def never(results: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Return the (test, metric, peer) of which some run has no value: what was waited for never came."""
    return {(row["test"], row["metric"], row["peer"]) for row in results if row["value"] is None}


def demands(middle: Figures) -> str:
    """Return one sentence: what was asked of tidegate, and whether it is met."""
    told = []
    for test, metric, most, label in ASKED:
        if (ours := middle.get((test, metric, "tidegate"))) is not None:
            told.append(f"{shown(ours)} {label} (asked: at most {shown(most)}{'' if ours <= most else ', not met'})")
    return f"tidegate: {'; '.join(told)}." if told else "tidegate was not measured."


def ahead(middle: Figures) -> str:
    """Return one sentence that names every line in which a peer is ahead of tidegate."""
    return ahead_of(LINES, PEERS[1:], middle)


def table(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    results, versions, machine = record["results"], record["versions"], record["machine"]
    middle, gone = medians(results), never(results)
    head = ["", *(f"{peer} {versions.get(peer.partition('-')[0], '').split(' ')[0]}".strip() for peer in PEERS)]
    lines = [f"| {' | '.join(head)} |", "| --- " + "| ---: " * len(PEERS) + "|"]
    for test, metric, label in LINES:
        cells = [_cell((test, metric, peer), middle, gone) for peer in PEERS]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    cores = place(machine)
    lines += ["", f"Medians; runs: {_runs(results)}; commit {record['commit'][:10]}; {cores}."]
    lines += ["", f"{demands(middle)} {ahead(middle)}"]
    return "\n".join(lines)


def _runs(results: list[dict[str, Any]]) -> str:
    """Return how often each peer was measured: the fewest and the most runs of its tests."""
    by_peer: dict[str, list[int]] = {}
    for (_, peer), runs in counted(results).items():
        by_peer.setdefault(peer, []).append(runs)
    told = {peer: sorted({min(runs), max(runs)}) for peer, runs in sorted(by_peer.items())}
    return ", ".join(f"{peer} {' to '.join(map(str, ends))}" for peer, ends in told.items())


def _cell(key: tuple[str, str, str], middle: Figures, gone: set[tuple[str, str, str]]) -> str:
    text = shown(middle.get(key))
    if key not in gone:
        return text
    return "never" if key not in middle else f"{text}, or never"


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its table rewritten."""
    return between(readme, BEGIN, END, table(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
