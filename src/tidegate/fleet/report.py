"""The page about a run: when each host was stopped, started and verified, beside what the probes read meanwhile.

What hosts, files and people said is hostile: it is escaped, its invisible characters are spelled out, and the page's
own policy allows its own script only.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.fleet import events as e
from tidegate.fleet.act import Guard
from tidegate.fleet.state import fold
from tidegate.fleet.summary import moment, summary
from tidegate.fleet.timeline import timeline
from tidegate.harmless import visible
from tidegate.page import html_table, page_of

__all__ = ["report_page"]

_NAMED = 40
"""Hosts that the notice about stopped ones names."""


def report_page(name: str, events: Sequence[e.Event], guards: Sequence[Guard] = ()) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    name
        Of the run.
    events
        Of the run, all.
    guards
        Of its plan: what they stop at is drawn beside what was read.
    """
    figures, drawn = summary(name, fold(events)), timeline(events, guards)
    return page_of(
        "tidegate.fleet",
        data=_shown(drawn),
        title=_escaped(f"{figures['plan']}: {figures['hosts']} hosts, {figures['status']}"),
        intro=_escaped(_intro(figures)),
        stopped=_stopped(figures["stopped"]),
        notes="".join(f"<li>{_escaped(note)}</li>" for note in figures["notes"]),
        batches=_batches(drawn),
        table=_table(figures),
        trips=_trips(figures),
    )


def _escaped(text: object) -> str:
    return html.escape(visible(text))


def _shown(value: Any) -> Any:
    """Return the data with every text in it made visible."""
    if isinstance(value, Mapping):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return visible(value) if isinstance(value, str) else value


def _time(iso: str | None) -> str:
    """Return a moment for a person; the page says that all times are UTC."""
    return (iso or "").replace("T", " ").removesuffix("+00:00")


def _intro(figures: dict[str, Any]) -> str:
    planned, changed = _time(figures["planned_at"]), _time(figures["changed_at"])
    return (
        f"Run {figures['run']}, planned {planned}, last change {changed} UTC. "
        f"Hosts: {figures['verified']} verified, {figures['failed']} failed, {figures['skipped']} skipped, "
        f"{figures['waiting']} waiting. Batches: {figures['batches']}, the largest of {figures['max_batch']}."
    )


def _stopped(stopped: Mapping[str, str]) -> str:
    """Return the notice that nobody may miss."""
    if not stopped:
        return ""
    more = f" and {len(stopped) - _NAMED} more" if len(stopped) > _NAMED else ""
    names = ", ".join(_escaped(host) for host in list(stopped)[:_NAMED])
    since = _time(min(stopped.values()))
    return f'<p class="stopped"><strong>Still stopped: {len(stopped)}</strong>, since {since} UTC: {names}{more}</p>'


def _batches(drawn: Mapping[str, Any]) -> str:
    if not drawn["batches"]:
        return "<p>No batch was begun.</p>"
    rows = {}
    for number, one in enumerate(drawn["batches"], start=1):
        took = "under way" if one["to"] is None else f"{one['to'] - one['from']:.1f} s"
        phase = f"{one['phase']} (to undo)" if one["mending"] else one["phase"]
        counts = [str(one[word]) for word in ("hosts", "verified", "failed", "skipped")]
        rows[f"{number}"] = [visible(phase), _time(moment(drawn["from"] + one["from"])), took, *counts]
    return html_table(["phase", "began", "took", "hosts", "verified", "failed", "skipped"], rows)


def _table(figures: dict[str, Any]) -> str:
    """Return a row per host; those that are not fine come first."""
    stopped = figures["stopped"]
    rows, looks = {}, {}
    for one in sorted(figures["by_host"], key=lambda one: (one["host"] not in stopped, one["outcome"] == "verified")):
        host = visible(one["host"])
        outcome = f"{one['outcome']}, stopped" if one["host"] in stopped else one["outcome"]
        cells = [outcome, one["why"], one["cluster"], one["phase"], one["state"], _time(one["since"])]
        rows[host] = [visible(cell) for cell in cells]
        looks[host] = "failed" if one["host"] in stopped else one["outcome"]
    return html_table(["outcome", "why", "cluster", "last phase", "state", "since"], rows, looks)


def _trips(figures: dict[str, Any]) -> str:
    if not figures["trips"]:
        return "<p>No guard tripped.</p>"
    rows = {}
    for number, trip in enumerate(figures["trips"], start=1):
        did = "stopped the run" + (", and halved what went on" if trip["halve"] else "")
        rows[f"{number}"] = [_time(trip["at"]), visible(trip["guard"]), did, visible(trip["why"])]
    return html_table(["at", "guard", "what it did", "why"], rows)
