"""The page about captures in a real browser: curves are drawn, the ladder needs no script, and no packet can act."""

from __future__ import annotations

from pathlib import Path

import pytest

from browsers import complaints, shown
from capture_reports import night
from diagnoses import spoiled
from tidegate.watch.report import diagnosis_page

pytestmark = pytest.mark.peer("chromium")


def test_curves_and_the_ladder_are_there(tmp_path: Path) -> None:
    dom = shown(diagnosis_page(night()), tmp_path)
    assert dom.count("<canvas") == 4  # hits, two of the large capture, one of the small one
    assert dom.count('<g class="syn">') == 3
    assert "frame.number in {8, 9, 10, 11}" in dom


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
