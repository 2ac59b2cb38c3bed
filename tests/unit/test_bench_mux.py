"""Tests of bench-mux without a proxy: order of cells, what peers are told, how a verdict is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benches import mux_table
from benches.load import WHOLE
from benches.mux import QUICK, TESTS, THEIRS, Settings, cells, fixed
from benches.mux_world import Nginx
from benches.peers import mux
from benches.peers.mux import PEERS, Monitor, Site
from benches.record import ROOT


def test_every_cell_is_played_once_before_any_is_played_again() -> None:
    order = list(cells(Settings(runs=2), PEERS, TESTS))
    assert [run for *_, run in order] == sorted(run for *_, run in order)
    assert len(set(order)) == len(order) == 2 * len(TESTS) * len(PEERS)
    firsts = {peer for test, peer, _ in cells(QUICK, PEERS, ("T4", "T5")) if test}
    assert firsts == set(PEERS)


def test_a_results_file_is_gone_on_with() -> None:
    settings = fixed(Settings())
    assert json.loads(json.dumps(settings)) == settings == fixed(Settings())
    assert settings != fixed(QUICK)
    assert all((ROOT / name).exists() for name in THEIRS)


@pytest.mark.parametrize("peer", ["haproxy-safe", "haproxy-always"])
def test_only_the_tuned_haproxy_is_told_its_ports(tmp_path: Path, peer: str) -> None:
    site = Site(tmp_path, ["127.0.0.1:9000"], ports=(20_000, 20_019), monitor=Monitor("http", 0.5))
    mux._haproxy(peer, site, 0)
    text = (tmp_path / "haproxy.cfg").read_text()
    assert ("source 127.0.0.1:20000-20019" in text) is (peer == "haproxy-always")
    assert "check inter 500ms fall 3 rise 2" in text
    assert "option httpchk GET /health" in text


def test_nginx_counts_each_time_that_a_server_is_taken_out(tmp_path: Path) -> None:
    log = tmp_path / "nginx-errors.log"
    assert Nginx(log).down() == []
    said = 'upstream server temporarily disabled while connecting to upstream, upstream: "http://127.0.0.1:9000/"\n'
    log.write_text(f"[warn] {said}[error] connect() failed\n[warn] {said}")
    assert Nginx(log).down() == ["127.0.0.1:9000#0", "127.0.0.1:9000#1"]


def test_an_answer_is_whole_with_its_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 128\r\n\r\n"
    assert not WHOLE.match(head + b"x" * 127)
    assert WHOLE.match(head + b"x" * 128)
    assert not WHOLE.match(head.replace(b"200", b"503") + b"x" * 128)


def rows(test: str, metric: str, **by_peer: float | None) -> list[dict[str, Any]]:
    return [
        {"test": test, "peer": peer.replace("_", "-"), "metric": metric, "value": value, "unit": "", "run": run}
        for peer, value in by_peer.items()
        for run in (1, 2, 3)
    ]


def test_the_table_says_what_is_met_and_where_a_peer_is_ahead() -> None:
    results = [
        *rows("T4", "false_down", tidegate=0, haproxy_safe=2),
        *rows("T4", "detect_down_s", tidegate=1.5, haproxy_safe=1.25, nginx=None),
        *rows("T1/6000", "bytes_per_idle_client", tidegate=935, nginx=528),
    ]
    machine = {"cores": 2, "cpu": "a CPU", "kernel": "6.1", "system": "Debian"}
    record = {"results": results, "versions": {"haproxy": "2.6.12 (old)"}, "machine": machine, "commit": "c" * 40}
    text = mux_table.table(record)
    assert "| our ports run out: healthy servers taken out, times | 0 | 2 | – | – | – |" in text
    assert "| then a server dies: found after, s | 1.5 | 1.25 | – | never | – |" in text
    assert "0 false alarms without ports (asked: at most 0)" in text
    assert "935 bytes per idle client (asked: at most 600, not met)" in text
    assert "bytes of memory each (nginx 528; tidegate 935)" in text
    assert "found after, s (haproxy-safe 1.25; tidegate 1.5)" in text
    assert "haproxy-safe 2.6.12 |" in text
    assert mux_table.updated(f"a\n{mux_table.BEGIN}\nold\n{mux_table.END}\nb", record).startswith("a\n")
