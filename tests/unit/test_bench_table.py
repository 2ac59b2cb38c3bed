"""Tests of benches: the order of the cells, the table and its words, percentiles, and the record that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benches import library, table
from benches import record as bench_record
from benches.gate import cells
from benches.load import percentile
from benches.record import Record, Row


def results(**cpu: float) -> list[dict[str, Any]]:
    """Return rows of one metric: one per peer and run."""
    return [
        {
            "test": "http-keepalive",
            "peer": peer,
            "metric": "cpu_us_per_request",
            "value": value + run,
            "unit": "us",
            "run": run,
        }
        for peer, value in cpu.items()
        for run in (1, 2, 3)
    ]


def test_peers_take_turns_forth_and_back() -> None:
    order = [(peer, run) for test, peer, run in cells(2, ["tidegate", "haproxy", "nginx"]) if test == "idle"]
    assert order == [("tidegate", 1), ("haproxy", 1), ("nginx", 1), ("nginx", 2), ("haproxy", 2), ("tidegate", 2)]


def test_the_library_s_peers_take_turns_and_are_told_as_ratios() -> None:
    held = [(peer, run) for test, peer, run in library.cells(2) if test == "held"]
    assert held == [*[(p, 1) for p in ("tidegate", "semaphore", "nothing")],
                    *[(p, 2) for p in ("nothing", "semaphore", "tidegate")]]  # fmt: skip
    rows = [Row("free", peer, library.METRIC, value, "us", 1) for peer, value in (("tidegate", 3.0), ("nothing", 0.5))]
    assert list(library.ratios(rows)) == ["free: 3.00 us per admit (6.0 x nothing)"]


def test_direct_has_no_idle_cells() -> None:
    assert {test for test, peer, _ in cells(1, ["direct"]) if peer == "direct"} == {"http-keepalive", "tls"}


def test_median_is_over_the_runs() -> None:
    assert table.medians(results(tidegate=10.0)) == {("http-keepalive", "cpu_us_per_request", "tidegate"): 12.0}


def test_a_peer_that_is_ahead_is_named() -> None:
    middle = table.medians(results(tidegate=20.0, haproxy=10.0, envoy=90.0))
    assert "haproxy 12; tidegate 22" in table.ahead(middle)
    assert "envoy" not in table.ahead(middle)
    assert table.against("HAProxy", middle) == "1.83 × HAProxy (behind)"
    assert table.against("Envoy", middle) == "0.24 × Envoy"


def test_percentile_is_by_nearest_rank() -> None:
    ordered = list(range(1, 101))
    assert (percentile(ordered, 0.5), percentile(ordered, 0.99), percentile([7], 0.99)) == (50, 99, 7)


def test_record_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_record, "commit", lambda: "c1")
    path = tmp_path / "gate.json"
    Record(path, {"haproxy": "2.6"}, {"rate": 1}, fresh=False).add([Row("idle", "haproxy", "m", 1.5, "B", 1)])
    again = Record(path, {"haproxy": "2.6"}, {"rate": 1}, fresh=False)
    assert again.has("idle", "haproxy", 1)
    assert not again.has("idle", "haproxy", 2)
    assert Record(path, {"haproxy": "2.8"}, {"rate": 1}, fresh=False).rows == []
    monkeypatch.setattr(bench_record, "commit", lambda: "c2")
    assert Record(path, {"haproxy": "2.6"}, {"rate": 1}, fresh=False).rows == []
