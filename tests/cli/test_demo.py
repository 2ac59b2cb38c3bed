"""``tidegate demo`` around two runs that were measured before: what it says, writes and returns."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from commands import Run
from storms import through, without
from tidegate.cli.demo_view import view_on
from tidegate.errors import LabError
from tidegate.lab.play import Moment, Result
from tidegate.lab.scenario import Scenario

Change = Callable[[Result], None]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    def set_up(change: Change) -> None:
        def play(scenario: Scenario, *, gate: bool, watch: Callable[[Moment], None], keep: bool) -> Result:
            del scenario, keep
            result = through() if gate else without()
            change(result)
            watch(Moment(t=1.0, connected=result.storm["connected"], window_s=19.3, floor_s=6.43))
            return result

        monkeypatch.setattr("tidegate.cli.demo.play", play)

    return set_up


def nothing(result: Result) -> None:
    del result


def test_a_promise_kept(run: Run, played: Callable[[Change], None], tmp_path: Path) -> None:
    played(nothing)
    report = tmp_path / "page.html"
    ran = run("demo", "--report", report)
    assert ran.code == 0
    assert "not within the window" in ran.out
    assert ran.out.endswith(f"report: {report}\n")
    assert "limit found 21" in ran.out
    assert "The gate is told no limit, and finds one." in ran.err
    assert "every duration divided by 5; times are wall seconds" in ran.err
    assert "through the gate:   1.0 s, 300/300 connected" in ran.err
    assert report.read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_json_has_the_promised_keys(run: Run, played: Callable[[Change], None], tmp_path: Path) -> None:
    played(nothing)
    value = run("demo", "--report", tmp_path / "page.html", "--output", "json").json()
    runs = {key: value.pop(key) for key in ("without_gate", "with_gate")}
    assert value == {
        "format": 1, "hosts": 300, "law": "usl", "knee": 22, "limit": None, "limit_found": 21, "seed": 1,
        "speed": 5.0, "passthrough": False, "window_s": 19.3, "floor_s": 6.43, "report": str(tmp_path / "page.html"),
    }  # fmt: skip
    assert runs["without_gate"] == without().numbers()
    assert runs["with_gate"] == through().numbers()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: run.storm.update(connected=299), "only 299 of 300 hosts are connected through the gate"),
        (lambda run: run.storm.update(timeouts=2), "2 calls timed out through the gate"),
        (lambda run: run.provider.update(bottleneck="no CPU left"), "the lab was the bottleneck without the gate"),
    ],
)
def test_a_promise_broken(
    run: Run, played: Callable[[Change], None], tmp_path: Path, change: Change, words: str
) -> None:
    played(change)
    ran = run("demo", "--report", tmp_path / "page.html")
    assert ran.code == 1
    assert words in ran.err


def test_a_report_that_cannot_be_written(run: Run, played: Callable[[Change], None], tmp_path: Path) -> None:
    played(nothing)
    ran = run("demo", "--report", tmp_path / "no" / "page.html")
    assert ran.code == 2
    assert "cannot be written: No such file or directory" in ran.err


def test_a_world_that_does_not_start(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(*_: object, **__: object) -> Result:
        raise LabError("the program tidegate-lab is missing", hint="`make build` builds it")

    monkeypatch.setattr("tidegate.cli.demo.play", play)
    ran = run("demo")
    assert ran.code == 4
    assert ran.err.endswith("error: the program tidegate-lab is missing\n  hint: `make build` builds it\n")


def test_the_panels_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=150, height=40, color_system=None)
    with view_on(console, Scenario()) as view:
        view.watch(gate=False)(Moment(t=3.0, connected=1, in_flight=300, timeouts=12, window_s=19.3))
        view.watch(gate=True)(
            Moment(t=4.0, connected=150, in_flight=22, limit=19, batch=3, held=120, turned_away={"too-late": 3})
        )
    text = out.getvalue()
    for words in (
        "without the gate",
        "through the gate",
        "1/300",
        "150/300",
        "300 (knee 22)",
        "too-late 3",
        "120",
        "19, batch 3",
    ):
        assert words in text
