"""The page about a watch that was killed, and the table that ends the demo."""

from __future__ import annotations

import html
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from rich.table import Table

from tidegate.lab.watch_play import WatchResult
from tidegate.lab.watch_rules import SPEED
from tidegate.lab.watch_script import WatchDemo
from tidegate.page import filled, html_table

__all__ = ["watch_page", "watch_table"]

_ROWS = {
    "events": "records written",
    "hosts": "hosts that wrote them",
    "late_events": "of these written later than they say",
    "rotations": "rotations of files",
    "kills": "times that the watch was killed (SIGKILL)",
    "alerts_expected": "alerts that had to be told",
    "alerts": "alerts that were told",
    "lost": "lost",
    "spurious": "told though nobody expected them",
    "cleared": "alerts that were over and said to be",
    "wrong": "of these with other figures than they had",
    "repeats": "posts with a key that was known",
    "refused_posts": "posts that the receivers refused",
    "unanswered_posts": "posts that the receivers took and did not answer",
    "time_to_alert_ms_p50": "from the record to the alert, median (ms)",
    "time_to_alert_ms_p95": "the same, 95th percentile; the kills are in it (ms)",
    "seconds": "seconds",
}


def watch_table(numbers: dict[str, Any]) -> Table:
    """Return the table that ends the demo."""
    table = Table(title="A watch that is killed", caption=_pace(numbers["seed"]), show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    for name, label in _ROWS.items():
        table.add_row(label, _cell(numbers, name))
    return table


def watch_page(demo: WatchDemo, result: WatchResult) -> str:
    """Return the page as HTML."""
    data = {
        "until_s": result.numbers["seconds"],
        "written_s": demo.seconds,
        "kills": [round(second, 3) for second in result.kills],
        "expected": _steps((one.known - result.began) / 1e9 for one in result.expected),
        "told": _steps((at - result.began) / 1e9 for at in result.verdict.first.values()),
        "cleared": [[sample.t for sample in result.samples], [sample.cleared for sample in result.samples]],
        "storm": _storm(result),
        "numbers": result.numbers,
    }
    return filled(
        (files("tidegate.lab") / "watch_report.html").read_text(encoding="utf-8"),
        data=data,
        title="A watch that is killed",
        intro=html.escape(_intro(demo)),
        table=html_table([""], {label: [_cell(result.numbers, name)] for name, label in _ROWS.items()}),
    )


def _cell(numbers: dict[str, Any], name: str) -> str:
    return "none was told" if numbers[name] is None else str(numbers[name])


def _steps(seconds: Iterable[float]) -> list[list[float]]:
    """Return how many there are at each of these times, from nothing on."""
    times = sorted(seconds)
    return [[0.0, *(round(time, 3) for time in times)], [float(count) for count in range(len(times) + 1)]]


def _storm(result: WatchResult) -> dict[str, Any] | None:
    if result.storm is None:
        return None
    provider, window = result.storm
    seconds = [round((time - result.began) / 1e9, 3) for time in window.times]
    return {"provider": provider, "threshold": window.threshold, "hosts": [seconds, window.counts]}


def _pace(seed: int) -> str:
    return f"The rules' windows are divided by {SPEED}; all times are those of the clock. Seed {seed}."


def _intro(demo: WatchDemo) -> str:
    return (
        f"{demo.hosts} ESXi hosts and four vCenters write into files that are rotated while a watch reads them. It is "
        f"killed {demo.kills} times at moments that nobody chose, and starts again at once. Some records are written "
        f"late, receivers refuse posts or never answer. What had to be told was computed afterwards from everything "
        f"that was written. {_pace(demo.seed)}"
    )
