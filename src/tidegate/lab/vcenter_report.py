"""The page about scripts before a vCenter, and the table that ends the demo."""

from __future__ import annotations

import html
from importlib.resources import files
from typing import Any

from rich.table import Table

from tidegate.lab.vcenter_play import VcenterResult
from tidegate.lab.vcenter_scenario import REQUESTS_MAX, SESSION_IDLE_S, SESSIONS_MAX, VcenterScenario
from tidegate.page import filled, html_table

__all__ = ["scripts_page", "scripts_table"]

_ROWS = {
    "upstream_logins": "logins at the vCenter",
    "clones": "sessions cloned from another one there",
    "peak_sessions": "sessions there, at most",
    "peak_in_flight": "calls in flight there, at most",
    "not_authenticated": "calls and tasks that ended as NotAuthenticated",
    "refused": "logins and calls that it had no room for (503)",
    "expired_in_queue": "tasks whose token expired in the host gateway's queue",
    "calls": "calls of the scripts",
    "failed_calls": "failed calls, ended tasks included",
    "scripts_done": "scripts that did all their work",
    "p99_ms": "duration of an answered call, p99 (ms)",
    "seconds": "seconds until the last script ended",
}
_HEADS = ["without the gate", "through the gate"]
_RUNS = ("without_gate", "with_gate")


def _pace(scenario: VcenterScenario) -> str:
    return (
        f"Time is divided by {scenario.speed:g} and room by ten: {SESSIONS_MAX} sessions for 2000, {REQUESTS_MAX} "
        f"calls at a time for 640, {scenario.token_life_s:g} s of token for 300. Seconds are those of the clock; "
        f"seed {scenario.seed}."
    )


def scripts_table(scenario: VcenterScenario, numbers: dict[str, Any]) -> Table:
    """Return the table that ends the demo."""
    title = f"{scenario.scripts} scripts, {scenario.machines} machines each, one vCenter"
    table = Table(title=title, caption=_pace(scenario))
    table.add_column("")
    for head in _HEADS:
        table.add_column(head, justify="right")
    for name, label in _ROWS.items():
        table.add_row(label, *_cells(name, numbers))
    return table


def scripts_page(
    scenario: VcenterScenario, numbers: dict[str, Any], without: VcenterResult, through: VcenterResult
) -> str:
    """Return the page as HTML."""
    data = {
        "sessions_max": SESSIONS_MAX,
        "requests_max": REQUESTS_MAX,
        "idle_s": SESSION_IDLE_S / scenario.speed,
        "token_life_s": scenario.token_life_s,
        "queue_max": scenario.queue_max,
        "until_s": max(without.seconds, through.seconds),
        "failed": [numbers[run]["failed_calls"] for run in _RUNS],
        "peak": [numbers[run]["peak_sessions"] for run in _RUNS],
        "without": _series(without),
        "with": _series(through),
    }
    return filled(
        (files("tidegate.lab") / "vcenter_report.html").read_text(encoding="utf-8"),
        data=data,
        title=html.escape(f"{scenario.scripts} scripts work through a vCenter"),
        intro=_intro(scenario),
        table=html_table(_HEADS, {label: _cells(name, numbers) for name, label in _ROWS.items()}),
    )


def _cells(name: str, numbers: dict[str, Any]) -> list[str]:
    values = [numbers[run][name] for run in _RUNS]
    return ["none was answered" if value is None else str(value) for value in values]


def _series(result: VcenterResult) -> dict[str, list[float]]:
    names = ("t", "sessions", "in_flight", "tasks_queued", "failed_calls", "held")
    return {name: [getattr(sample, name) for sample in result.samples] for name in names}


def _intro(scenario: VcenterScenario) -> str:
    sentences = [
        f"{scenario.scripts} scripts log in to a vCenter, make a view, change and read {scenario.machines} machines",
        "each and wait for their tasks; one in three forgets its session, one in ten logs in anew for every machine.",
        "First straight, then through the gate: same vCenter, same scripts, same seed.",
        f"Its hosts finish what {scenario.queue_max} tasks ask for within the life of a token.",
        _pace(scenario),
    ]
    return html.escape(" ".join(sentences))
