"""The page about a rehearsed storm: one file with curves, figures and parameters."""

from __future__ import annotations

import html
import json
from importlib.resources import files

from tidegate.page import filled, html_table
from tidegate.sim.engine import Json

__all__ = ["report_page"]

_HEADS = (
    "connected",
    "last in (s)",
    "÷ least possible",
    "half in (s)",
    "timeouts",
    "turned away",
    "refused, broken",
    "wasted work",
    "most in flight",
    "fairness",
)


def report_page(scenario: Json, runs: dict[str, Json]) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    scenario
        What :func:`~tidegate.sim.compare.scenario_json` tells.
    runs
        The results by policy, at least one.
    """
    ours = "tidegate" if "tidegate" in runs else next(iter(runs))
    floor_s = runs[ours]["floor_s"]
    data = {
        "hosts": scenario["hosts"],
        "knee": scenario["best_in_flight"],
        "floor_s": floor_s,
        "until_s": _until_s(scenario, runs, ours),
        "ours": ours,
        "connected": {name: [run["curves"]["t"], run["curves"]["connected"]] for name, run in runs.items()},
        "gate": runs[ours]["curves"],
    }
    return filled(
        (files("tidegate.sim") / "report.html").read_text(encoding="utf-8"),
        data=data,
        title=html.escape(scenario["title"]),
        intro=html.escape(_intro(scenario, floor_s)),
        table=html_table(_HEADS, {name: _cells(run) for name, run in runs.items()}),
        parameters=html.escape(json.dumps({name: run["parameters"] for name, run in runs.items()}, indent=2)),
    )


def _until_s(scenario: Json, runs: dict[str, Json], ours: str) -> float:
    """Return where the time axis ends at first: a restart by hand may take a hundred times as long as all else."""
    ends: list[float] = [scenario["window_s"], max(run["curves"]["t"][-1] for run in runs.values())]
    if len(runs) > 1 and runs[ours]["last_connected_s"] is not None:
        ends.append(4 * runs[ours]["last_connected_s"])
    return min(ends)


def _intro(scenario: Json, floor_s: float | None) -> str:
    least = f" At its best it could serve all of them in {floor_s:.1f} s." if floor_s is not None else ""
    return (
        f"{scenario['hosts']} hosts come back at once, in virtual time; the gate's decisions are those of the very "
        f"code that runs live. The server does most work with {scenario['best_in_flight']} calls in flight.{least} "
        f"Seed {scenario['seed']}."
    )


def _cells(run: Json) -> list[str]:
    failed, last, floor = run["failed_attempts"], run["last_connected_s"], run["floor_s"]
    return [
        str(run["connected"]),
        _seconds(last),
        f"{last / floor:.2f}" if last is not None and floor else "–",
        _seconds(run["t50_s"]),
        str(failed["timeout"]),
        str(failed["turned_away"]),
        str(failed["refused"] + failed["broken"]),
        f"{(run['wasted_work'] or 0) * 100:.1f} %",
        str(run["max_in_flight"]),
        "–" if run["jain_connect_time"] is None else f"{run['jain_connect_time']:.2f}",
    ]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
