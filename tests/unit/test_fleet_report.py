"""What a run looks like: the page, the bars and lines while it goes, the table at its end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fleets import STOP_ALL, FakeWork, hosts_named, planned
from tidegate.cli.fleet_view import FleetView, elapsed, final_table, line_of
from tidegate.cli.printer import Printer
from tidegate.fleet import events as e
from tidegate.fleet.machine import Wait
from tidegate.fleet.report import report_page, timeline
from tidegate.fleet.state import fold
from tidegate.fleet.summary import preview, summary

WORK = FakeWork(STOP_ALL)
EVENTS: list[e.Event] = [
    planned(WORK, hosts_named(3), at=1000.0, notes=["</script><b>a note</b>"]),
    e.Approved(at=1001.0, phase=0, by="me"),
    e.Taken(at=1001.0, by="me"),
    e.Opened(at=1002.0, phase=0, hosts=("esx01", "esx02", "esx03")),
    e.Acting(at=1003.0, phase=0, host="esx01"),
    e.Acted(at=1005.0, phase=0, host="esx01"),
    e.Verified(at=1006.0, phase=0, host="esx01"),
    e.Failed(at=1006.0, phase=0, host="esx02", why="no <answer>"),
    e.Skipped(at=1006.0, phase=0, host="esx03", why="in transition"),
    e.Closed(at=1007.0, phase=0),
    e.Sampled(at=1008.0, name="provider", value=0.2),
    e.Opened(at=1010.0, phase=1, hosts=("esx01",)),
    e.Acting(at=1010.0, phase=1, host="esx01"),
    e.Acted(at=1012.0, phase=1, host="esx01"),
    e.Tripped(at=1013.0, guard="slow", why="3 s"),
]
REST: list[e.Event] = [
    e.Verified(at=1020.0, phase=1, host="esx01", says="connected"),
    e.Closed(at=1021.0, phase=1),
    e.Ended(at=1022.0, how="failed"),
]


def test_the_timeline() -> None:
    value = timeline([*EVENTS, *REST])
    assert value["hosts"][0]["bars"] == [
        (3.0, 5.0, "act", ""),
        (5.0, 6.0, "settle", ""),
        (6.0, 10.0, "down", ""),
        (10.0, 12.0, "act", ""),
        (12.0, 20.0, "settle", ""),
    ]
    assert value["hosts"][1]["bars"] == [(6.0, 6.0, "failed", "no <answer>")]
    assert value["verified"] == [[0.0, 20.0, 22.0], [0, 1, 1]]
    assert value["samples"] == {"provider": [[8.0], [0.2]]}
    assert value["trips"] == [[13.0, "slow"]]
    assert timeline(EVENTS)["hosts"][0]["bars"][-1] == (12.0, 13.0, "settle", "")


def test_the_page_escapes_what_it_shows() -> None:
    page = report_page("r1", [*EVENTS, *REST])
    assert page.startswith("<!doctype html>")
    assert "{{" not in page.split("<script>")[0]
    assert "<b>a note</b>" not in page
    assert "no <answer>" not in page
    assert "1 hosts verified, 1 failed, 1 skipped, 0 waiting" in page
    assert "stopped the run" in page
    assert "No guard tripped." in report_page("r1", EVENTS[:-1])


def test_the_summary() -> None:
    value = summary("r1", fold(EVENTS[:10]))
    assert (value["verified"], value["failed"], value["skipped"], value["waiting"]) == (0, 1, 1, 1)
    assert value["stopped"] == {"esx01": "1970-01-01T00:16:45+00:00"}
    assert value["by_host"][1]["why"] == "no <answer>"
    assert (value["batches"], value["max_batch"], value["guard_stops"]) == (0, 0, 0)
    assert summary("r1", fold(EVENTS))["guard_stops"] == 1


def test_a_preview_is_what_the_machine_would_do() -> None:
    phases = preview(planned(WORK, hosts_named(9)), WORK.commands)
    assert [[len(batch) for batch in phase["batches"]] for phase in phases] == [[9], [2, 3, 4]]


@pytest.mark.parametrize("terminal", [True, False])
def test_the_view(terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer("text")
    out = io.StringIO()
    printer.errors = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    run = fold(EVENTS[:1])
    with FleetView(printer, "r1", clock=lambda: 1030.0) as view:
        view.waits = lambda: Wait(1100.0, "the pause between batches")
        for event in [*EVENTS[1:], *REST]:
            run.apply(event)
            view.watch(run, event)
            if terminal and view._live is not None:
                view._live.refresh()
    shown = out.getvalue()
    assert capsys.readouterr().out == ""
    if terminal:
        assert "batch   1 stop all" in shown
        assert "the pause between batches: 1 min 10 s left" in shown
        assert "1 hosts are stopped, the first since 25 s" in shown
    else:
        assert "batch 1: stop all, 3 hosts\n" in shown
        assert "  esx02: stop FAILED: no <answer>\n" in shown
        assert "  esx03: stop skipped: in transition\n" in shown
        assert "the guard slow stops the run: 3 s\n" in shown
        assert "  esx01: start verified, connected\n" in shown


def test_lines_of_what_operators_do() -> None:
    run = fold(EVENTS[:3])
    for event, words in (
        (e.AbortAsked(at=1.0, by="me"), "abort asked by me: no further host is touched, what is stopped is started"),
        (e.PauseAsked(at=1.0, by="me"), "pause asked by me"),
        (e.Acted(at=1.0, phase=0, host="esx01", found=True), "  esx01: stop has happened already"),
        (
            e.Tripped(at=1.0, guard="g", why="26 ms", halve=True),
            "the guard g stops the run, and halves what goes on: 26 ms",
        ),
        (e.Closed(at=1.0, phase=0), ""),
    ):
        assert line_of(run, event) == words


def test_lengths_of_time() -> None:
    assert [elapsed(s) for s in (-1, 5, 65, 3700)] == ["0 s", "5 s", "1 min 5 s", "1 h 1 min"]


def test_a_long_table_only_shows_who_is_not_fine() -> None:
    work = FakeWork(STOP_ALL)
    run = fold([planned(work, hosts_named(200))])
    for n in range(1, 201):
        for phase in (0, 1):
            host = f"esx{n:02}"
            if (n, phase) == (7, 1):
                run.apply(e.Failed(at=1.0, phase=phase, host=host, why="sulks"))
            else:
                run.apply(e.Verified(at=1.0, phase=phase, host=host))
    table = final_table(summary("r1", run))
    assert table.row_count == 1
