"""Tests of the storm benchmark without a storm: order of cells, what counts, the grid's winner, tables and page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benches import record as bench_record
from benches import storm_grid, storm_page, storm_predict, storm_table
from benches.peers.storm import PEERS, Knobs
from benches.process import BenchError
from benches.record import Record, Row
from benches.storm import CALM, QUICK, Settings, cells, half_connected_s, turns
from benches.storm_scenarios import BY_NAME, SCENARIOS
from benches.storm_world import CENSORED_FLOORS, Outcome

from tidegate import _core

TIME = "last_connected_over_floor"


def row(test: str, peer: str, value: float | None, run: int = 1, metric: str = TIME) -> dict[str, Any]:
    return {"test": test, "peer": peer, "metric": metric, "value": value, "unit": "x", "run": run}


def test_all_peers_play_the_restart_and_few_the_rest() -> None:
    order = list(cells(QUICK, PEERS))
    assert [peer for test, peer, _ in order if test == "s1"] == list(PEERS)
    assert [peer for test, peer, _ in order if test == CALM] == ["haproxy-best", "envoy-adaptive", "tidegate"]
    assert len(set(order)) == len(order)


def test_every_cell_is_played_once_before_any_is_played_again() -> None:
    order = list(cells(Settings(runs=2), PEERS))
    storms = [run for test, _, run in order if test != CALM]
    assert storms == sorted(storms)
    assert [test for test, _, _ in order][-6:] == [CALM] * 6
    assert [peer for test, peer, run in order if (test, run) == ("s1", 2)] == list(reversed(PEERS))


def test_a_server_with_a_third_of_the_capacity_has_three_times_the_floor() -> None:
    tuned, degraded = BY_NAME["s1"], BY_NAME["s4"]
    rates = [(7 / (s.unit_s * (1 + 0.02 * 6 + 0.98 / 49 * 42))) for s in (degraded,)]
    assert degraded.floor_s(rates[0]) / tuned.floor_s(18.68) == pytest.approx(3, rel=0.02)
    with pytest.raises(BenchError, match="polls"):
        tuned.floor_s(0.1)


def outcome(last_s: float | None, **changes: Any) -> Outcome:
    scenario = replace(BY_NAME["s1"], **changes)
    hosts = {"last_connected_s": last_s, "failed_attempts": 30, "timeouts": 0}
    return Outcome(scenario, 30.0, hosts=hosts, server={"wasted_work": 0.0, "max_in_flight": 22}, speed=5.0)


def test_what_an_outcome_comes_to() -> None:
    metrics = {metric: value for metric, value, _ in outcome(6.6).metrics()}
    assert metrics[TIME] == 1.1
    assert metrics["failed_attempts_per_host"] == 0.1
    assert {metric: value for metric, value, _ in outcome(7.0, least_wait_s=5.0).metrics()}[TIME] == 1.0


@pytest.mark.parametrize("last_s", [None, 30.0 * CENSORED_FLOORS / 5.0 + 0.1])
def test_who_is_late_is_never(last_s: float | None) -> None:
    assert outcome(last_s).last_connected_s is None


@pytest.mark.parametrize(
    ("curve", "half"),
    [
        ([(0, 0), (1, 5), (2, 10)], 1),
        ([(0, 0), (1, 5), (2, 4), (3, 10)], 3),
        ([(0, 10), (1, 0), (2, 4)], None),
        ([], None),
    ],
)
def test_half_of_the_hosts(curve: list[tuple[float, int]], half: float | None) -> None:
    assert half_connected_s(curve, 10) == half


def test_a_curve_keeps_its_turns() -> None:
    assert turns([(0, 0), (1, 0), (2, 0), (3, 5), (4, 5)]) == [(0, 0), (2, 0), (3, 5), (4, 5)]


def test_the_best_haproxy_is_the_best_of_those_that_were_played_most_often(tmp_path: Path) -> None:
    often, lucky, never = (storm_grid.name(Knobs(maxconn, 25.0, True)) for maxconn in (16, 22, 30))
    results = [row("s1", often, 1.2, 101), row("s1", often, 1.3, 102), row("s1", never, None, 101)]
    results += [row("s1", never, None, 102), row("s1", lucky, 1.0, 101)]
    assert [knobs.maxconn for knobs in storm_grid.ranked(results)] == [16, 30]
    with pytest.raises(BenchError, match="storm_grid"):
        storm_grid.best_knobs(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ([1.0, 1.2, 1.1], "1.10"),
        ([1.0, 1.2, math.inf], "1.20 (1 of 3 never)"),
        ([1.0, math.inf, math.inf], "never (2 of 3 never)"),
        ([math.inf, math.inf], "never"),
        (None, "–"),
    ],
)
def test_never_is_shown_as_such(found: list[float] | None, shown: str) -> None:
    assert storm_table.cell(found) == shown


def record(**times: dict[str, float | None]) -> dict[str, Any]:
    results = [row(test, peer, value) for test, peers in times.items() for peer, value in peers.items()]
    results.append(row("s10", "tidegate", 0.2, metric="p99_added_ms"))
    machine = {"cores": 2, "cpu": "a processor", "kernel": "6", "system": "Debian"}
    best = {"maxconn": 22, "queue_s": 25.0, "by_class": True}
    settings = {"speed": 5.0, "censored_floors": 6.0, "best": best}
    versions = {"haproxy": "2.6 2026"}
    return {"results": results, "machine": machine, "settings": settings, "versions": versions, "commit": "c" * 40}


def test_ties_and_losses_are_told() -> None:
    told = storm_table.tables(
        record(
            s1={"tidegate": 1.20, "haproxy-best": 1.10, "envoy-adaptive": None},
            s4={"tidegate": 1.10, "haproxy-best": 1.11},
            s5={"tidegate": 1.10, "haproxy-best": None},
        )
    )
    assert "haproxy-best is ahead in S1 (1.10, tidegate 1.20) and ties in S4." in told
    assert "envoy-adaptive is ahead in none and ties in none." in told
    assert "| S5, 300 hosts" in told
    assert "0.20 ms" in told


def test_the_page_draws_the_median_run_of_each_peer() -> None:
    about = {"test": "s1", "peer": "tidegate", "hosts": 300, "floor_s": 32.4, "from_s": 0.0}
    runs = [{**about, "run": run, "curve": [[0, 0], [last, 300]]} for run, last in ((1, 40), (2, 35), (3, 38))]
    results = [row("s1", "tidegate", value, run) for run, value in ((1, 1.3), (2, 1.0), (3, 1.1))]
    drawn = storm_page.charts({"results": results}, runs)
    assert [chart["name"] for chart in drawn] == ["S1"]
    assert drawn[0]["lines"] == [{"peer": "tidegate", "points": [(0, 38), (0, 300)]}]
    page = storm_page.page({**record(), "results": results}, runs)
    assert "{{" not in page.split("<script>")[-1].split("const DASHES")[0]


def test_the_simulator_plays_what_does_not_depend_on_the_live_run() -> None:
    played = {scenario.name for scenario in SCENARIOS if storm_predict.spec(scenario, 30.0, 1)}
    assert played == {"s1", "s1-1000", "s4", "s5", "s7"}
    spec = storm_predict.spec(BY_NAME["s5"], 30.0, 1)
    assert spec is not None
    assert [change["at_s"] for change in spec["servers"][0]["changes"]] == [15.0, 40.0]


@pytest.mark.parametrize(("live_s", "error"), [(11.0, 0.0), (10.0, 0.1), (None, None)])
def test_prediction_error(monkeypatch: pytest.MonkeyPatch, live_s: float | None, error: float | None) -> None:
    monkeypatch.setattr(_core, "simulate", lambda *_: '{"last_connected_s": 55.0}')
    assert storm_predict.error({}, outcome(live_s)) == error


def test_only_the_gate_is_measured_anew_with_another_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "storm.json"
    for commit, kept in (("c1", []), ("c2", ["haproxy-best"])):
        monkeypatch.setattr(bench_record, "commit", lambda commit=commit: commit)
        record = Record(path, {}, {}, fresh=False, any_commit=lambda row: row.peer != "tidegate")
        assert [row.peer for row in record.rows] == kept
        record.add([Row("s1", peer, TIME, 1.0, "x", 1) for peer in ("haproxy-best", "tidegate") if peer not in kept])
    assert json.loads(path.read_text())["kept_from"] == "c1"


def test_scenarios_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(SCENARIOS)
