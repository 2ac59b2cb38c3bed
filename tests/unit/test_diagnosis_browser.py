"""The page about a diagnosis in a real browser: its text is there, its curves are drawn, and a log can do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsers import Listener, calling, listening, shown
from diagnoses import finding, hostile, storm
from tidegate.watch.report import diagnosis_page

pytestmark = pytest.mark.peer("chromium")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


def test_the_text_is_there_and_the_curves_are_drawn(tmp_path: Path) -> None:
    dom = shown(diagnosis_page(storm()), tmp_path)
    assert "A VASA provider is flooded by hosts that reconnect" in dom
    assert "opened 1600 of 1900 sessions (84%)" in dom
    assert dom.count("<canvas") == 3
    assert dom.count('class="copy"') == 12


def test_nothing_of_a_hostile_log_runs(tmp_path: Path) -> None:
    dom = shown(diagnosis_page(hostile()), tmp_path)
    assert "data-owned" not in dom
    assert dom.count("<canvas") == 3
    assert "<img" not in dom


def test_nothing_is_fetched(tmp_path: Path, listener: Listener) -> None:
    wanted = calling(listener)
    report: dict[str, Any] = storm() | {
        "findings": [finding(title=text, explains=text, evidence=[]) for text in wanted]
    }
    shown(diagnosis_page(report), tmp_path)
    assert not listener.asked
    # the same, with all escaping undone: the page's own policy holds where escaping would not
    (tmp_path / "again").mkdir()
    bare = diagnosis_page(storm()).replace(
        "<h1>", "".join(wanted[:2]) + "<script>document.documentElement.dataset.owned=1</script><h1>"
    )
    assert "data-owned" not in shown(bare, tmp_path / "again")
    assert not listener.asked


def test_the_listener_would_have_heard(tmp_path: Path, listener: Listener) -> None:
    shown(f"<!doctype html>{calling(listener)[0]}", tmp_path)
    assert listener.asked == ["/x"]
