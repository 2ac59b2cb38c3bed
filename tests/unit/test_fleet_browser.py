"""The page about a run in a real browser: lanes and curves are those of the run, and no host can do it any harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from browsers import Listener, calling, complaints, listening, shown
from fleets import STOP_ALL, FakeWork, hosts_named, planned
from tidegate.fleet import events as e
from tidegate.fleet.guards import Measured
from tidegate.fleet.report import report_page

pytestmark = pytest.mark.peer("chromium")

GUARD = Measured("provider", "provider-response", 2.0, "the provider's response time", "s")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


def story(why: str = "no answer") -> list[e.Event]:
    """Tell of three hosts: one comes back, one fails, one is stopped when the guard trips."""
    names = ("esx01", "esx02", "esx03")
    events: list[e.Event] = [
        planned(FakeWork(STOP_ALL), hosts_named(3), at=1_764_079_200.0, notes=[why]),
        e.Taken(at=1_764_079_201.0, by=why),
        e.Opened(at=1_764_079_202.0, phase=0, hosts=names),
    ]
    for host in names:
        events += [
            e.Acting(at=1_764_079_203.0, phase=0, host=host),
            e.Acted(at=1_764_079_205.0, phase=0, host=host),
            e.Verified(at=1_764_079_206.0, phase=0, host=host),
        ]
    events += [e.Closed(at=1_764_079_207.0, phase=0), e.Opened(at=1_764_079_208.0, phase=1, hosts=names[:2])]
    for host in names[:2]:
        events += [
            e.Acting(at=1_764_079_210.0, phase=1, host=host),
            e.Acted(at=1_764_079_212.0, phase=1, host=host),
        ]
    return [
        *events,
        e.Verified(at=1_764_079_220.0, phase=1, host="esx01", says="connected"),
        e.Failed(at=1_764_079_240.0, phase=1, host="esx02", why=why),
        e.Closed(at=1_764_079_241.0, phase=1),
        e.Sampled(at=1_764_079_242.0, name="provider", value=0.2),
        e.Sampled(at=1_764_079_252.0, name="provider", value=2.6),
        e.Tripped(at=1_764_079_253.0, guard="provider", why=why),
    ]


def test_the_figures_are_those_of_the_run(tmp_path: Path) -> None:
    dom = shown(report_page("r1", story(), [GUARD]), tmp_path)
    assert "Hosts: 1 verified, 1 failed, 0 skipped, 1 waiting. Batches: 1, the largest of 2." in dom
    assert "Still stopped: 1" in dom
    assert dom.count("<canvas") == 2
    assert "the guard stops at 2000" in dom
    assert dom.count('class="lane"') == 3
    bars = re.findall(r'<i class="(\w+)" title="([^"]*)" style="left: ([\d.]+)%;(?: width: ([\d.]+)%;)?', dom)
    kinds = [kind for kind, *_ in bars]
    assert kinds == [
        *["act", "settle", "down", "act", "settle"] * 2,
        "failed",
        "act",
        "settle",
        "down",
        "taken",
        "stop",
    ]
    kind, title, left, width = bars[-3]
    assert (kind, title) == ("down", "14:00:06 to 14:00:53 stopped")
    assert float(left) == pytest.approx(100 * 6 / 53, abs=0.1)
    assert float(left) + float(width) == pytest.approx(100, abs=0.1)
    assert bars[10][:2] == ("failed", "14:00:40 failed: no answer")
    assert re.findall(r'<li hidden="?"?><i class="(\w+)"', dom) == ["skipped"]


def test_the_lanes_have_times_and_batches_a_table(tmp_path: Path) -> None:
    dom = shown(report_page("r1", story(), [GUARD]), tmp_path)
    assert ">14:00:10</span>" in dom
    assert "<td>2025-11-25 14:00:08</td><td>33.0 s</td><td>2</td><td>1</td><td>1</td><td>0</td>" in dom
    assert "2025-11-25 14:00:53" in dom


def test_a_run_that_has_only_been_planned_has_a_page(tmp_path: Path) -> None:
    dom = shown(report_page("r1", story()[:1]), tmp_path)
    assert "No batch was begun." in dom
    assert dom.count('class="lane"') == 3


def test_the_browser_has_nothing_to_complain_of(tmp_path: Path) -> None:
    assert complaints(report_page("r1", story(), [GUARD]), tmp_path) == []
    (tmp_path / "again").mkdir()
    assert complaints("<!doctype html><script>nothing.there()</script>", tmp_path / "again")


def test_nothing_of_a_hostile_host_runs_or_is_fetched(tmp_path: Path, listener: Listener) -> None:
    for number, why in enumerate(
        [*calling(listener), "<script>document.documentElement.dataset.owned=1</script>\u202e"]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        dom = shown(report_page("r1", story(why), [GUARD]), folder)
        assert "data-owned" not in dom
        assert dom.count('class="lane"') == 3
        assert "\u202e" not in dom
    # the same, with all escaping undone: the page's own policy holds where escaping would not
    (tmp_path / "bare").mkdir()
    own = "<script>document.documentElement.dataset.owned=1</script>"
    bare = report_page("r1", story(), [GUARD]).replace("<h1>", "".join(calling(listener)[:2]) + own + "<h1>")
    assert "data-owned" not in shown(bare, tmp_path / "bare")
    assert not listener.asked
