"""Tests of bench-watch without a peer: order of cells, the events and what they must raise, the table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from benches import watch_table
from benches.peers.watch import LOCKED, PEERS, versions
from benches.record import ROOT
from benches.watch import QUICK, TESTS, THEIRS, Settings, cells, fixed
from benches.watch_events import RULES, expected, make, write
from benches.watch_latency import Latency, script_of

from tidegate.watch.load import load_rules


def test_every_cell_is_played_once_before_any_is_played_again() -> None:
    order = list(cells(Settings(runs=2), PEERS, TESTS))
    assert [run for *_, run in order] == sorted(run for *_, run in order)
    assert len(set(order)) == len(order) == 2 * (2 + 2 + 1)
    assert not any(cell[:2] == ("latency", "elastalert2") for cell in order)
    assert [peer for _, peer, _ in order[:2]] == [peer for _, peer, _ in order[5:7]][::-1]


def test_a_results_file_is_gone_on_with() -> None:
    settings = fixed(Settings())
    assert json.loads(json.dumps(settings)) == settings == fixed(Settings())
    assert settings != fixed(QUICK)
    assert all((ROOT / name).exists() for name in THEIRS)
    assert Settings().runs >= 5
    assert Settings().hosts == 2000


@pytest.mark.parametrize("test", RULES)
def test_events_follow_from_their_seed_and_raise_alerts(test: str, tmp_path: Path) -> None:
    events = make(test, 200, 900, 1)
    assert events == make(test, 200, 900, 1) != make(test, 200, 900, 2)
    assert [event.us for event in events] == sorted(event.us for event in events)
    first = expected(test, events)
    keys = {event.key for event in events}
    assert 0 < len(first) < len(keys)
    assert set(first) < keys
    write(tmp_path / "events", events)
    assert len((tmp_path / "events").read_text().splitlines()) == len(events)


def test_every_host_is_an_alert_three_times_and_none_is_late() -> None:
    script = script_of(Latency(hosts=20, seconds=5), load_rules(), 1)
    assert not any(record.late for record in script.records)
    assert sum("already at its maximum size" in record.text for record in script.records) == 20
    assert (script.kills, script.rotations) == ((), ())


def test_the_peer_is_pinned_with_its_hashes() -> None:
    text = LOCKED.read_text()
    pins = re.findall(r"^([a-z0-9-]+)==\S+ \\\n +--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    asked = [line.split("=")[0].split("<")[0] for line in (LOCKED.with_suffix(".in")).read_text().splitlines()]
    assert sorted(pins) == sorted(name for name in asked if not name.startswith("#"))
    assert "://" not in text
    assert re.fullmatch(r"\d+\.\d+\.\d+", versions()["elastalert2"])


def rows(test: str, metric: str, **by_peer: float) -> list[dict[str, Any]]:
    return [
        {"test": test, "metric": metric, "peer": peer, "value": value, "unit": "1", "run": 1}
        for peer, value in by_peer.items()
    ]


def test_the_table() -> None:
    record: dict[str, Any] = {
        "versions": {"tidegate": "0.1.0", "elastalert2": "2.19.0"},
        "machine": {"cores": 2, "cpu": "cpu", "kernel": "6", "system": "Debian"},
        "commit": "0123456789abcdef",
        "results": [
            *rows("count", "events_per_s", tidegate=90_000, elastalert2=40_000),
            *rows("count", "bytes_per_window", tidegate=4000, elastalert2=3000),
            *rows("latency", "p50_ms", tidegate=120),
        ],
    }
    text = watch_table.table(record)
    assert text.startswith("| | tidegate 0.1.0 | elastalert2 2.19.0 |\n| --- | ---: | ---: |\n")
    assert "events/s per core | 90,000 | 40,000 |" in text
    assert "| from the record in a file to the alert: p50, ms | 120 | – |" in text
    assert "Where ElastAlert2 is ahead: count, the same: bytes per open window (3,000; tidegate 4,000)." in text
    assert "Medians of 1 runs; commit 0123456789" in text
    record["results"] = record["results"][:2]
    assert "ElastAlert2 is ahead in no line." in watch_table.table(record)
