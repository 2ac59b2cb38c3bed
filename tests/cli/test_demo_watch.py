"""``tidegate demo watch`` around a run that was measured before: what it says, writes and returns."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from commands import Run
from tidegate.cli import demo_watch
from tidegate.lab.watch_play import WatchMoment, WatchResult
from tidegate.lab.watch_script import WatchDemo
from watches_played import MOMENT, killed

Played = Callable[..., None]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    def set_up(**changed: object) -> None:
        def play(demo: WatchDemo, watch: Callable[[WatchMoment], None], *, keep: bool) -> WatchResult:
            del demo, keep
            watch(MOMENT)
            return killed(**changed)

        monkeypatch.setattr("tidegate.cli.demo_watch.play_watch", play)

    return set_up


def test_json_has_the_promised_keys(run: Run, played: Played, tmp_path: Path) -> None:
    played()
    report = tmp_path / "page.html"
    ran = run("demo", "watch", "--output", "json", "--report", report)
    value = ran.json()
    assert ran.code == 0
    assert value == {**killed().numbers, "report": str(report)}
    page = report.read_text()
    assert page.startswith("<!doctype html>")
    assert '"expected": [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]' in page
    assert '"storm": {"provider": "vasa-3", "threshold": 5, "hosts": [[1.0, 2.0], [4, 6]]}' in page
    assert '"told": [[0.0, 1.1, 2.3], [0.0, 1.0, 2.0]]' in page


def test_a_table_for_people(run: Run, played: Played, tmp_path: Path) -> None:
    played()
    ran = run("demo", "watch", "--hosts", "150", "--report", tmp_path / "page.html")
    assert "times that the watch was killed (SIGKILL)" in ran.out
    assert ran.out.endswith(f"report: {tmp_path / 'page.html'}\n")
    assert "150 ESXi hosts and four vCenters write for 36 s, and the watch is killed 5 times." in ran.err
    assert " 20.5 s: 20000 records, killed 2 times, 41 alerts, 11 cleared, 3 posts repeated" in ran.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lost": 1}, "1 of 2 alerts were lost"),
        ({"spurious": 2}, "2 alerts were told that nobody expected"),
        ({"wrong": 3}, "3 alerts were said to be over with other figures than they had"),
        ({"kills": 2}, "the watch was killed 2 times only"),
    ],
)
def test_a_promise_broken(run: Run, played: Played, tmp_path: Path, change: dict[str, int], words: str) -> None:
    played(**change)
    ran = run("demo", "watch", "--report", tmp_path / "page.html")
    assert ran.code == 1
    assert words in ran.err


@pytest.mark.parametrize("hosts", [19, 1001])
def test_hosts_out_of_range(run: Run, hosts: int) -> None:
    ran = run("demo", "watch", "--hosts", hosts)
    assert ran.code == 2
    assert "choose 20 to 1000" in ran.err


def test_a_report_that_cannot_be_written(run: Run, played: Played, tmp_path: Path) -> None:
    played()
    ran = run("demo", "watch", "--report", tmp_path / "no" / "page.html")
    assert ran.code == 2
    assert "cannot be written" in ran.err


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=24, color_system=None)
    with demo_watch._shown_on(console, WatchDemo()) as show:
        show(MOMENT)
    text = out.getvalue()
    assert "20000 records" in text
    assert "2 of 5" in text
    assert "…" not in text
