"""The page about a run: when each host was stopped, started and verified, beside what the probes read meanwhile."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from tidegate.fleet import events as e
from tidegate.fleet.state import fold
from tidegate.fleet.summary import summary
from tidegate.page import filled, html_table

__all__ = ["report_page", "timeline"]

_COLOURS = {"acting": "act", "acted": "settle", "down": "down"}


def report_page(name: str, events: Sequence[e.Event]) -> str:
    """Return the page as HTML."""
    run = fold(events)
    figures = summary(name, run)
    title = f"{figures['plan']}: {figures['hosts']} hosts, {figures['status']}"
    return filled(
        (files("tidegate.fleet") / "report.html").read_text(encoding="utf-8"),
        data={"until": run.at - run.plan.at, **timeline(events)},
        title=html.escape(title),
        intro=html.escape(_intro(figures)),
        notes="".join(f"<li>{html.escape(note)}</li>" for note in figures["notes"]),
        table=_table(figures),
        trips=_trips(figures),
    )


def timeline(events: Sequence[e.Event]) -> dict[str, Any]:
    """Return bars per host, counts and samples over the seconds since the run was planned."""
    run = fold(events)
    began = run.plan.at
    bars: dict[str, list[tuple[float, float, str, str]]] = {host: [] for host in run.hosts}
    since: dict[str, tuple[float, str]] = {}
    verified: list[tuple[float, int]] = [(0.0, 0)]
    samples: dict[str, list[tuple[float, float]]] = {}
    last = len([phase for phase in run.plan.phases if not phase.extra]) - 1
    for event in events:
        at = round(event.at - began, 3)
        match event:
            case e.Acting(host=host):
                _end(bars, since, host, at)
                since[host] = (at, "acting")
            case e.Acted(host=host):
                _end(bars, since, host, at)
                since[host] = (at, "acted")
            case e.Verified(host=host, phase=phase):
                _end(bars, since, host, at)
                if phase < last:
                    since[host] = (at, "down")
                elif phase == last:
                    verified.append((at, verified[-1][1] + 1))
            case e.Failed(host=host, why=why):
                _end(bars, since, host, at)
                bars[host].append((at, at, "failed", why))
            case e.Skipped(host=host, why=why):
                bars[host].append((at, at, "skipped", why))
            case e.Sampled():
                samples.setdefault(event.name, []).append((at, event.value))
    for host in list(since):
        _end(bars, since, host, round(run.at - began, 3))
    verified.append((round(run.at - began, 3), verified[-1][1]))
    return {
        "hosts": [{"host": host, "bars": bars[host]} for host in run.hosts],
        "verified": [list(column) for column in zip(*verified, strict=True)],
        "samples": {name: [list(column) for column in zip(*points, strict=True)] for name, points in samples.items()},
        "trips": [[round(trip.at - began, 3), trip.guard] for trip in run.trips],
    }


def _end(
    bars: dict[str, list[tuple[float, float, str, str]]], since: dict[str, tuple[float, str]], host: str, at: float
) -> None:
    if host in since:
        began, state = since.pop(host)
        bars[host].append((began, at, _COLOURS[state], ""))


def _intro(figures: dict[str, Any]) -> str:
    stopped = f" {len(figures['stopped'])} hosts are still stopped." if figures["stopped"] else ""
    return (
        f"Run {figures['run']}, planned {figures['planned_at']}, last change {figures['changed_at']}. "
        f"{figures['verified']} hosts verified, {figures['failed']} failed, {figures['skipped']} skipped, "
        f"{figures['waiting']} waiting; {figures['batches']} batches, the largest of {figures['max_batch']}.{stopped}"
    )


def _table(figures: dict[str, Any]) -> str:
    rows = {
        one["host"]: [one["cluster"], one["outcome"], one["phase"], one["state"], one["since"] or "", one["why"]]
        for one in figures["by_host"]
    }
    return html_table(["cluster", "outcome", "last phase", "state", "since", "why"], rows)


def _trips(figures: dict[str, Any]) -> str:
    if not figures["trips"]:
        return "<p>No guard tripped.</p>"
    rows = {
        f"{n}. {trip['at']}": [
            trip["guard"],
            trip["why"],
            "stopped the run" + (", and halved what went on" if trip["halve"] else ""),
        ]
        for n, trip in enumerate(figures["trips"], start=1)
    }
    return html_table(["guard", "why", "what it did"], rows)
