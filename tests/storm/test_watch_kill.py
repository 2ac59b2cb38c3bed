"""A watch that is killed at random moments tells every alert, and none that nobody expected.

Hosts write into files that are rotated, some records are late, receivers refuse and do not answer; the watch is the
command. What it has to tell is computed offline from everything that was written. On SQLite and on a real PostgreSQL.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from postgres import Server, postgres
from tidegate.errors import LabError
from tidegate.lab.watch_play import WatchMoment, play_watch
from tidegate.lab.watch_script import WatchDemo

pytestmark = [pytest.mark.storm, pytest.mark.timeout(150)]

BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(params=BOTH)
def state(request: pytest.FixtureRequest) -> str | None:
    """Return where the watch keeps its state; ``None`` is a file of its own."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("server").url
    return url


def test_no_alert_is_lost_and_none_is_made_up(state: str | None) -> None:
    moments: list[WatchMoment] = []
    demo = WatchDemo(hosts=40, seconds=28.0, kills=6, seed=7, noise_per_s=4.0)
    result = play_watch(demo, moments.append, state=state)
    assert (result.verdict.lost, result.verdict.spurious, result.verdict.wrong) == ([], [], [])
    assert result.numbers["alerts"] == result.numbers["alerts_expected"] > 40
    assert len(result.kills) == result.numbers["kills"] == 6
    assert result.numbers["late_events"] > 0
    assert result.numbers["cleared"] > 0
    assert moments


def test_a_watch_that_ends_by_itself_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="the watch ended by itself"):
        play_watch(WatchDemo(hosts=20, seconds=20.0), lambda _: None, state=str(tmp_path / "file" / "watch.db"))


def test_the_demo_keeps_its_promise(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    command = [sys.executable, "-m", "tidegate", "demo", "watch", "--output", "json", "--report", str(report)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stderr
    value = json.loads(ran.stdout)
    assert (value["lost"], value["spurious"]) == (0, 0)
    assert value["kills"] >= 3
    assert value["hosts"] >= 100
    assert report.read_text().startswith("<!doctype html>")
