"""The README's table of sessions, written from results/sessions.json: medians over the runs, nothing typed by hand.

`python -m benches.sessions_table` rewrites the part of README.md between its two markers.
"""

from __future__ import annotations

from typing import Any

from benches.table import ROOT, ahead_of, between, counted, medians, place, rewrite, shown

RESULTS = ROOT / "benches" / "results" / "sessions.json"
BEGIN, END = "<!-- bench-sessions: begin -->", "<!-- bench-sessions: end -->"
PEERS = ("tidegate", "haproxy-best", "direct")
LINES = (
    ("scripts", "upstream_logins", "200 scripts: logins at the vCenter"),
    ("scripts", "peak_sessions", "200 scripts: sessions there, at most"),
    ("scripts", "failed_calls", "200 scripts: failed calls"),
    ("scripts", "scripts_not_done", "200 scripts: scripts that did not do all of their work"),
    ("scripts", "expired_tokens", "200 scripts: tokens that expired in the queue"),
    ("scripts", "p99_ms", "200 scripts: p99, ms"),
    ("scripts", "cpu_us_per_call", "200 scripts: CPU of the proxy per call, µs"),
    ("S6", "upstream_logins", "API storm: logins at the vCenter"),
    ("S6", "peak_sessions", "API storm: sessions there, at most"),
    ("S6", "failed_calls", "API storm: failed calls"),
    ("S6", "failed_calls_of_others", "API storm: failed calls of all but the backup"),
    ("S6", "expired_tokens", "API storm: tokens that expired in the queue"),
    ("S6", "p99_ms", "API storm: p99, ms"),
    ("S6", "p99_poll_ms", "API storm: p99 of the monitors, ms"),
    ("S6", "cpu_us_per_call", "API storm: CPU of the proxy per call, µs"),
    ("memory", "bytes_per_downstream_session", "memory per downstream session, bytes"),
)
"""Test, metric, and what it is called. In all of them less is better."""


def table(record: dict[str, Any]) -> str:
    """Return the Markdown between the markers, for a results file."""
    results, versions = record["results"], record["versions"]
    middle = medians(results)
    head = ["", *(f"{peer} {versions.get(peer.partition('-')[0], '').split(' ')[0]}".strip() for peer in PEERS)]
    lines = [f"| {' | '.join(head)} |", "| --- " + "| ---: " * len(PEERS) + "|"]
    for test, metric, label in LINES:
        lines.append(f"| {label} | {' | '.join(shown(middle.get((test, metric, peer))) for peer in PEERS)} |")
    runs = sorted(set(counted(results).values()))
    told = " to ".join(map(str, sorted({runs[0], runs[-1]}))) if runs else "no"
    lines += [
        "",
        f"Medians of {told} runs; commit {record['commit'][:10]}; {place(record['machine'])}.",
        "",
        ahead_of(LINES, PEERS[1:], middle),
    ]
    return "\n".join(lines)


def updated(readme: str, record: dict[str, Any]) -> str:
    """Return the README with its table rewritten."""
    return between(readme, BEGIN, END, table(record))


def main() -> None:
    """Rewrite README.md."""
    rewrite(RESULTS, updated)


if __name__ == "__main__":
    main()
