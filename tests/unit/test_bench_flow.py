"""Tests of bench-flow without a peer: order of cells, the captures, what the peers say, the table."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from benches import flow_table
from benches.flow import QUICK, TESTS, Settings, cells, fixed
from benches.flow_corpus import MADE_BY, NOTHING, Corpora, Made, recorded, records
from benches.peers.flow import PEERS
from benches.record import ROOT

CHOSEN = tuple(PEERS)


def test_every_cell_is_played_once_before_any_is_played_again() -> None:
    order = list(cells(Settings(runs=2), CHOSEN, TESTS))
    assert [run for *_, run in order] == sorted(run for *_, run in order)
    assert len(set(order)) == len(order) == 2 * (3 + 3 + 3 + 1)
    assert {peer for test, peer, _ in order if test == "scaling"} == {"tidegate"}


def test_a_results_file_is_gone_on_with() -> None:
    settings = fixed(Settings())
    assert json.loads(json.dumps(settings)) == settings == fixed(Settings())
    assert settings != fixed(QUICK)
    assert all((ROOT / name).exists() for name in MADE_BY)
    assert Settings().runs >= 5


def test_everybody_is_given_the_same_kind_of_capture() -> None:
    full = Settings()
    assert full.made("capture-96", "tidegate") == full.made("scaling", "tidegate") == Made(5_000_000, 96)
    assert full.made("capture-96", "tshark") == full.made("capture-96", "argus") == Made(500_000, 96)
    assert full.made("capture-real", "argus") == full.made("capture-real", "tshark") == Made(300_000, 0)
    assert full.made("capture-real", "tidegate").snap == 0
    assert full.made("capture-full", "tidegate").snap == full.made("capture-full", "argus").snap > 1500


def test_recorded_captures_follow_one_another_in_time(tmp_path: Path) -> None:
    path = tmp_path / "all.pcap"
    path.write_bytes(b"".join(recorded(3000)))
    all_of_them = records(path)
    assert len(all_of_them) == 3000
    begins, ends = all_of_them[0][0], all_of_them[-1][0]
    assert begins < ends < begins + 30 * 86_400
    assert path.read_bytes()[: len(NOTHING)] == NOTHING
    assert not records(Corpora(tmp_path).nothing())


def test_other_captures_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "raw.pcap"
    path.write_bytes(NOTHING[:20] + struct.pack("<I", 101) + bytes(16))
    assert records(path) == []
    path.write_bytes(b"no capture")
    assert records(path) == []
    path.write_bytes(NOTHING + bytes(20))
    assert records(path) == [(0, 0, 0, b"")]


@pytest.mark.parametrize(
    ("peer", "said", "packets"),
    [
        ("tidegate", '{"files": [{"packets": 3}, {"packets": 4}]}', 7),
        ("tshark", "1.1.1.1:1 <-> 2.2.2.2:2   13 9810 bytes   11 912 bytes   24 10 kB   0.0 0.9\nnothing\n", 24),
        ("argus", "", None),
    ],
)
def test_peers_say_how_many_packets_they_saw(peer: str, said: str, packets: int | None) -> None:
    assert PEERS[peer].packets(said) == packets


def rows(test: str, metric: str, **by_peer: float) -> list[dict[str, Any]]:
    return [
        {"test": test, "metric": metric, "peer": peer, "value": value, "unit": "1", "run": 1}
        for peer, value in by_peer.items()
    ]


def test_the_table() -> None:
    record: dict[str, Any] = {
        "versions": {"tidegate": "0.1.0", "tshark": "4.0.17", "argus": "3.0.8.2"},
        "machine": {"cores": 2, "cpu": "cpu", "kernel": "6", "system": "Debian"},
        "commit": "0123456789abcdef",
        "results": [
            *rows("capture-96", "mpps", tidegate=10.0, tshark=0.1, argus=0.4),
            *rows("capture-96", "bytes_per_flow", tidegate=150, tshark=3000, argus=140),
            *rows("scaling", "mpps_1", tidegate=10.0),
            *rows("scaling", "mpps_2", tidegate=17.0),
            *rows("scaling", "scale", tidegate=1.7),
        ],
    }
    text = flow_table.table(record)
    assert text.startswith("| | tidegate 0.1.0 | tshark 4.0.17 | argus 3.0.8.2 | × tshark | × argus |\n| --- | ---: |")
    assert "million packets/s per core | 10 | 0.1 | 0.4 | 100 | 25 |" in text
    assert "bytes of memory per connection | 150 | 3,000 | 140 | 20 | 0.933 |" in text
    assert "tidegate, 96 bytes: 10 million packets/s per core (asked: 10); 100 × tshark (asked: 20); 25 × argus" in text
    assert "Two threads: 17 million packets/s against 10, 1.70 times as many." in text
    assert "Where a peer is ahead: capture-96, the same: bytes of memory per connection (argus 140" in text
    record["results"] = rows("capture-96", "mpps", tidegate=4.0, tshark=0.1, argus=0.5)
    assert "4 million packets/s per core (asked: 10, not met)" in flow_table.table(record)
    assert "8 × argus (asked: 10, not met)" in flow_table.table(record)
    assert "No peer is ahead in any line." in flow_table.table(record)
    assert "Two threads" not in flow_table.table(record)
