"""The page about a played storm, and the table that ends the demo.

The page is one file: data, scripts and styles are inside, so it can be mailed and opened offline.
"""

from __future__ import annotations

import html
from importlib.resources import files
from typing import Any

from rich.table import Table

from tidegate.lab.play import Result
from tidegate.lab.scenario import Scenario
from tidegate.page import filled, html_table

__all__ = ["comparison", "report_page"]

_ROWS = (
    ("connected", "hosts connected"),
    ("last_connected_s", "last host connected (s)"),
    ("failed_attempts", "failed attempts"),
    ("timeouts", "timeouts"),
    ("wasted_work", "wasted work"),
    ("max_in_flight", "most calls in flight at the provider"),
    ("arrived", "calls arrived"),
    ("admitted", "calls admitted"),
    ("turned_away", "calls turned away"),
    ("client_gone", "clients gone while held"),
    ("lab_cpu_share", "CPU share of the lab"),
)


def comparison(scenario: Scenario, numbers: dict[str, Any]) -> Table:
    """Return the table that ends the demo."""
    pace = "Real time."
    if scenario.speed != 1:
        pace = f"Every duration is divided by {scenario.speed:g}; times are wall seconds."
    limit = scenario.limit or f"found {numbers['limit_found']}"
    table = Table(
        title=f"{scenario.hosts} hosts reconnect at once",
        caption=f"{pace} Least possible time {numbers['floor_s']} s, window {numbers['window_s']} s, "
        f"knee {scenario.knee}, limit {limit}, law {scenario.law}, seed {scenario.seed}.",
    )
    table.add_column("")
    table.add_column("without the gate", justify="right")
    table.add_column("through the gate", justify="right")
    for name, label in _ROWS:
        table.add_row(label, _shown(name, numbers["without_gate"][name]), _shown(name, numbers["with_gate"][name]))
    return table


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "not within the window"
    if name in {"wasted_work", "lab_cpu_share"}:
        return f"{value * 100:.1f} %"
    return str(value)


def report_page(scenario: Scenario, numbers: dict[str, Any], without: Result, through: Result) -> str:
    """Return the page as HTML."""
    data = {
        "hosts": scenario.hosts,
        "knee": scenario.knee,
        "limit": scenario.limit,
        "floor_s": numbers["floor_s"],
        "window_s": numbers["window_s"],
        "connected": [numbers[run]["connected"] for run in ("without_gate", "with_gate")],
        "without": _series(without),
        "with": _series(through),
    }
    return filled(
        (files("tidegate.lab") / "report.html").read_text(encoding="utf-8"),
        data=data,
        title=html.escape(f"{scenario.hosts} hosts reconnect at once"),
        intro=_intro(scenario, numbers),
        table=_table(numbers),
    )


def _series(result: Result) -> dict[str, Any]:
    reasons = sorted({reason for sample in result.gate_samples for reason in sample["turned_away"]})
    classes = sorted({name for sample in result.gate_samples for name, count in sample["held"].items() if count})
    return {
        "storm": [[s["t"] for s in result.storm_samples], [s["connected"] for s in result.storm_samples]],
        "provider": [[s["t"] for s in result.provider_samples], [s["in_flight"] for s in result.provider_samples]],
        "gate_t": [s["t"] for s in result.gate_samples],
        "held": {name: [s["held"].get(name, 0) for s in result.gate_samples] for name in classes},
        "away": {name: [s["turned_away"].get(name, 0) for s in result.gate_samples] for name in reasons},
    }


def _intro(scenario: Scenario, numbers: dict[str, Any]) -> str:
    sentences = [
        f"A VASA provider restarts and {scenario.hosts} hosts reconnect within 2 seconds, first straight to it,",
        f"then through the gate: same provider, same hosts, same seed ({scenario.seed}).",
        f"The provider does most work with {scenario.knee} calls in flight (law {scenario.law}) and less with more.",
        f"At its best it could serve all hosts in {numbers['floor_s']} s.",
    ]
    if scenario.speed != 1:
        sentences.append(f"Every duration of this world was divided by {scenario.speed:g}; all times are wall seconds.")
    return html.escape(" ".join(sentences))


def _table(numbers: dict[str, Any]) -> str:
    rows = {label: [_shown(name, numbers[run][name]) for run in ("without_gate", "with_gate")] for name, label in _ROWS}
    return html_table(["without the gate", "through the gate"], rows)
