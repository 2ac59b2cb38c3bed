"""``tidegate demo vcenter`` around two runs that were measured before: what it says, writes and returns."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import Run
from scripts_played import through, without
from tidegate.cli import demo_vcenter
from tidegate.lab.vcenter_play import VcenterMoment, VcenterResult
from tidegate.lab.vcenter_scenario import VcenterScenario

Played = Callable[..., None]
MOMENT = VcenterMoment(t=3.5, running=60, done=140, calls=512, failed_calls=3, sessions=199, in_flight=20, held=9)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    def set_up(counts: dict[str, Any] | None = None, scripts: dict[str, Any] | None = None) -> None:
        def play(
            scenario: VcenterScenario, *, gate: bool, watch: Callable[[VcenterMoment], None], keep: bool
        ) -> VcenterResult:
            del scenario, keep
            watch(MOMENT)
            if not gate:
                return without()
            ours = through()
            ours.counts.update(counts or {})
            ours.scripts.update(scripts or {})
            return ours

        monkeypatch.setattr("tidegate.cli.demo_vcenter.play_scripts", play)

    return set_up


def test_json_has_the_promised_keys(run: Run, played: Played, tmp_path: Path) -> None:
    played()
    report = tmp_path / "page.html"
    ran = run("demo", "vcenter", "--output", "json", "--report", report)
    value = ran.json()
    assert ran.code == 0
    assert (value["scripts"], value["machines"], value["format"], value["report"]) == (200, 20, 1, str(report))
    for name, expected in (("with_gate", (1, 9, 0, 0, 0, 3.0)), ("without_gate", (590, 200, 321, 321, 365, 198.0))):
        seen = value[name]
        assert (
            seen["upstream_logins"], seen["peak_sessions"], seen["not_authenticated"], seen["expired_in_queue"],
            seen["failed_calls"], seen["p99_ms"],
        ) == expected  # fmt: skip
    assert (value["with_gate"]["clones"], value["with_gate"]["seconds"]) == (8, 19.7)
    assert (value["without_gate"]["refused"], value["without_gate"]["scripts_broken"]) == (44, 60)
    assert report.read_text().startswith("<!doctype html>")


def test_a_table_for_people(run: Run, played: Played, tmp_path: Path) -> None:
    played()
    ran = run("demo", "vcenter", "--scripts", "150", "--report", tmp_path / "page.html")
    assert "150 scripts, 20 machines each, one vCenter" in ran.out
    assert ran.out.endswith(f"report: {tmp_path / 'page.html'}\n")
    assert "through the gate:   3.5 s, 140/150 scripts done, 199 sessions, 20 in flight" in ran.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": {"peak_sessions": 17}}, "the vCenter had 17 sessions through the gate"),
        ({"counts": {"expired_in_queue": 2}}, "2 tokens expired"),
        ({"scripts": {"failed_calls": 4}}, "4 calls failed"),
        ({"scripts": {"done": 199}}, "only 199 of 200 scripts"),
    ],
)
def test_a_promise_broken(run: Run, played: Played, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    played(**change)
    ran = run("demo", "vcenter", "--report", tmp_path / "page.html")
    assert ran.code == 1
    assert words in ran.err


@pytest.mark.parametrize("scripts", [0, 401])
def test_scripts_out_of_range(run: Run, scripts: int) -> None:
    ran = run("demo", "vcenter", "--scripts", scripts)
    assert ran.code == 2
    assert "choose 1 to 400" in ran.err


def test_a_report_that_cannot_be_written(run: Run, played: Played, tmp_path: Path) -> None:
    played()
    ran = run("demo", "vcenter", "--report", tmp_path / "no" / "page.html")
    assert ran.code == 2
    assert "cannot be written" in ran.err


@pytest.mark.parametrize("width", [80, 100, 120, 150])
def test_both_on_a_terminal(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=24, color_system=None)
    with demo_vcenter._shown_on(console, VcenterScenario()) as show:
        show(False, MOMENT)
        show(True, MOMENT)
    text = out.getvalue()
    assert "199 of 200" in text
    assert "tokens expired" in text
    assert "…" not in text
    assert "140/200" in text
