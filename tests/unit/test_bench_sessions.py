"""Tests of bench-sessions without a vCenter: order of cells, what peers are told, the table, the size of the storm."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benches import sessions_table
from benches.peers.sessions import BEST, PEERS, Site, tidegate_file
from benches.process import BenchError, chosen_from
from benches.record import ROOT
from benches.sessions import QUICK, TESTS, THEIRS, Settings, cells, fixed
from benches.sessions_storm import Storm

from fakes import Authority
from tidegate.config.load import parse_config
from tidegate.lab.ports_haproxy import haproxy_program


def site(folder: Path) -> Site:
    return Site(folder, "127.0.0.1:9", seed=1, speed=60, patience_s=30, knobs=BEST["scripts"])


def test_every_cell_is_played_once_before_any_is_played_again() -> None:
    order = list(cells(Settings(runs=2), PEERS, TESTS))
    assert [run for *_, run in order] == sorted(run for *_, run in order)
    assert len(set(order)) == len(order) == 2 * (3 + 3 + 2)
    assert not any(cell[:2] == ("memory", "direct") for cell in order)
    assert {peer for _, peer, _ in cells(QUICK, ("tidegate",), ("S6",))} == {"tidegate"}


def test_a_results_file_is_gone_on_with() -> None:
    settings = fixed(Settings())
    assert json.loads(json.dumps(settings)) == settings == fixed(Settings())
    assert settings != fixed(QUICK)
    assert all((ROOT / name).exists() for name in THEIRS)


def test_what_is_chosen() -> None:
    assert chosen_from(None, PEERS, "peer") == PEERS
    assert chosen_from("direct,tidegate", PEERS, "peer") == ("direct", "tidegate")
    with pytest.raises(BenchError, match="there is no peer nginx"):
        chosen_from("nginx", PEERS, "peer")


def test_haproxy_is_told_its_limits(tmp_path: Path) -> None:
    text = site(tmp_path).filled("haproxy.cfg", 8000)
    assert "\n  maxconn 20\n" in text
    assert "  server vcenter 127.0.0.1:9 maxconn 64 ssl" in text
    assert "timeout queue 30000ms" in text


@pytest.mark.skipif(haproxy_program() is None, reason="haproxy not installed")
def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gate.lab")
    (tmp_path / "gate.lab.both").write_text(certificate.read_text() + key.read_text())
    (tmp_path / "haproxy.cfg").write_text(site(tmp_path).filled("haproxy.cfg", 8000))
    command = [str(haproxy_program()), "-c", "-f", str(tmp_path / "haproxy.cfg")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_gate_has_a_vcenter_s_time_and_its_own(tmp_path: Path) -> None:
    Authority(tmp_path).issue("gate.lab")
    service = parse_config(tidegate_file(site(tmp_path), 8000), tmp_path / "gate.toml").service["vcenter"]
    assert service.vcenter is not None
    assert service.mode == "enforce"
    assert (str(service.vcenter.tasks.token_life), str(service.vcenter.session_idle)) == ("5s", "30s")
    assert str(service.admission.client_timeout) == "30s"
    assert service.vcenter.principal["backup"].bulk


def test_the_storm_is_more_than_the_vcenter_can_do() -> None:
    storm = Storm()
    told = storm.told()
    assert told["workers"] * 1000 / told["unit_ms"] == pytest.approx(storm.units_per_s * storm.speed)
    assert storm.backups_per_s == 30
    assert storm.cost == 8
    asked = storm.backups_per_s * (storm.cost + 4)  # beside the list: content, login, view, logout
    assert asked > storm.units_per_s
    assert asked * storm.storm_s < storm.units_per_s * (storm.storm_s + storm.patience_s)


def rows(test: str, metric: str, **by_peer: float | None) -> list[dict[str, Any]]:
    return [
        {"test": test, "metric": metric, "peer": peer.replace("_", "-"), "value": value, "unit": "1", "run": 1}
        for peer, value in by_peer.items()
    ]


def test_the_table() -> None:
    record = {
        "versions": {"tidegate": "0.1.0", "haproxy": "2.6.12 2026/01/01"},
        "machine": {"cores": 2, "cpu": "cpu", "kernel": "6", "system": "Debian"},
        "commit": "0123456789abcdef",
        "results": [
            *rows("scripts", "failed_calls", tidegate=0, haproxy_best=40, direct=871),
            *rows("scripts", "p99_ms", tidegate=900, haproxy_best=400, direct=200),
        ],
    }
    text = sessions_table.table(record)
    assert "| | tidegate 0.1.0 | haproxy-best 2.6.12 | direct |" in text.replace("|  |", "| |")
    assert "| 200 scripts: failed calls | 0 | 40 | 871 |" in text
    assert "| S6" not in text
    assert "| API storm: failed calls | – | – | – |" in text
    assert "Where a peer is ahead: 200 scripts: p99, ms (haproxy-best 400, direct 200; tidegate 900)." in text
    assert "Medians of 1 runs; commit 0123456789" in text
