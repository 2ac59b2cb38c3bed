"""The page about captures in a real browser: curves are drawn, the ladder needs no script, and no packet can act."""

from __future__ import annotations

from pathlib import Path

import pytest

from browsers import complaints, shown
from capture_reports import night
from diagnoses import spoiled
from tidegate.watch.diagnose import diagnose
from tidegate.watch.load import load_rules
from tidegate.watch.report import diagnosis_page

TRUTH = Path(__file__).parents[1] / "data" / "captures" / "truth"
pytestmark = pytest.mark.peer("chromium")


def test_curves_and_the_ladder_are_there(tmp_path: Path) -> None:
    dom = shown(diagnosis_page(night()), tmp_path)
    assert dom.count("<canvas") == 4  # hits, two of the large capture, one of the small one
    assert dom.count('<g class="syn">') == 3
    assert "frame.number in {8, 9, 10, 11}" in dom


def test_recorded_captures_have_their_ladders(tmp_path: Path) -> None:
    files = sorted(TRUTH.glob("collision-*.pcap"))
    report = diagnose(load_rules(None), files, now=0)
    dom = shown(diagnosis_page(report), tmp_path)
    assert len(files) == 8
    assert dom.count('class="ladder"') == sum(1 for each in report["findings"] if each["ladder"]) >= 5
    assert "challenge, reset, retry succeeded" in dom
    assert "silently dropped" in dom


def test_the_ladder_is_there_without_scripts(tmp_path: Path) -> None:
    page = diagnosis_page(night()).replace("script-src 'sha256-", "script-src 'sha256-x")
    dom = shown(page, tmp_path)
    assert "<canvas" not in dom
    assert dom.count('<g class="syn">') == 3
    assert "on a live tuple" in dom


def test_nothing_of_a_hostile_capture_runs(tmp_path: Path) -> None:
    page = diagnosis_page(spoiled(night()))
    dom = shown(page, tmp_path)
    assert "data-owned" not in dom
    assert "<img" not in dom
    assert dom.count("<canvas") == 4
    assert complaints(page, tmp_path) == []
