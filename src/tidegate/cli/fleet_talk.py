"""``tidegate fleet status|approve|resume|abort``: commands about runs that are in the journal."""

from __future__ import annotations

import time
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from tidegate.cli.fleet_parts import (
    Controlled,
    Report,
    State,
    command,
    control,
    exit_of,
    journal_at,
    said_by,
    tell,
    work_of,
)
from tidegate.cli.printer import Follow, Output, Printer
from tidegate.errors import Exit, FleetError
from tidegate.fleet import events as e
from tidegate.fleet.journal import Journal
from tidegate.fleet.machine import status_of
from tidegate.fleet.state import fold
from tidegate.fleet.summary import summary
from tidegate.harmless import harmless

__all__ = ["abort", "approve", "resume", "status"]


def status(run: str | None = None, *, state: State = None, report: Report = None, output: Output = "text") -> int:
    """Say how a run stands: which hosts are done, which are stopped and since when, what it waits for.

    Exits 1 when hosts failed, 3 when a run waits for somebody.

    Parameters
    ----------
    run
        Its name; left out: all runs.
    """
    printer = Printer(output)
    with journal_at(state) as journal:
        if run is None:
            return _all(printer, journal)
        figures = tell(printer, journal, run, report)
        held = not figures["ended"] and journal.held(run)
        for note in figures["notes"]:
            printer.text(harmless(f"note: {note}"))
        return _stands(printer, figures, held)


def _stands(printer: Printer, figures: dict[str, Any], held: bool) -> int:
    if held:
        printer.words("a controller is at work on it")
        return Exit.FINE
    if figures["ended"]:
        return exit_of(printer, figures, figures["status"])
    if figures["status"] in {"running", "stopping", "pausing", "aborting", "planned"}:
        printer.words("no controller is at work on it: nothing more happens until somebody resumes it")
        exit_of(printer, figures, "")
        printer.words(f"  hint: `{command('resume', figures)}`")
        return Exit.STOPPED
    exit_of(printer, figures, figures["status"])
    return Exit.STOPPED


def _all(printer: Printer, journal: Journal) -> int:
    found = []
    for row in journal.runs():
        run = fold(event for _, event in journal.events(row.run))
        figures = summary(row.run, run)
        held = not run.ended and journal.held(row.run)
        keys = ("run", "plan", "status", "planned_at", "hosts", "verified", "failed", "skipped", "waiting")
        found.append({**{key: figures[key] for key in keys}, "stopped": len(figures["stopped"]), "controller": held})
    printer.data({"format": 1, "state": journal.place, "runs": found})
    table = Table(caption=journal.place)
    table.add_column("run", no_wrap=True)  # a name that is cut off cannot be resumed
    for head in ("plan", "status", "hosts"):
        table.add_column(head, overflow="fold")
    for one in found:
        told = str(one["status"]) + ("" if one["controller"] or _over(one) else ", no controller")
        counts = [f"{one[word]} {word}" for word in ("verified", "failed", "skipped", "waiting") if one[word]]
        if one["stopped"]:
            counts.append(f"{one['stopped']} STOPPED")
        table.add_row(str(one["run"]), str(one["plan"]), told, f"{one['hosts']}: {', '.join(counts)}")
    printer.text(table if found else f"no runs in {journal.place}")
    stranded = [one for one in found if not one["controller"] and not _over(one)]
    return Exit.STOPPED if stranded else Exit.FINE


def _over(one: dict[str, Any]) -> bool:
    return one["status"] in {"finished", "failed", "aborted"}


def approve(run: str, *, state: State = None, output: Output = "text") -> int:
    """Approve the phase that a run waits with.

    Parameters
    ----------
    run
        Its name.
    """
    printer = Printer(output)
    with journal_at(state) as journal:
        now = fold(_unended(journal, run))
        waiting = [
            phase
            for phase, one in enumerate(now.plan.phases)
            if one.spec.approval and phase not in now.approved and not one.extra
        ]
        if not waiting:
            raise FleetError(f"the run {run} waits for no approval", hint=f"it is {status_of(now)}")
        phase = waiting[0]
        journal.append(run, e.Approved(at=time.time(), phase=phase, by=said_by()))
        spec = now.plan.phases[phase].spec
        printer.data({"format": 1, "run": run, "approved": spec.name})
        printer.text(f"approved: {spec.name}: {spec.says}")
        if not journal.held(run):
            printer.words(f"  hint: `{command('resume', {'run': run, 'state': journal.place})}` begins it")
    return Exit.FINE


def resume(
    run: str,
    *,
    stand_by: Annotated[
        bool, Parameter(name="--stand-by", negative="", help="Wait until no other controller is at it, then take over.")
    ] = False,
    state: State = None,
    report: Report = None,
    output: Follow = "text",
) -> int:
    """Go on with a run: after a pause, a guard, an approval, or the death of its controller.

    Hosts that were being worked on are looked at first; what has happened is not done again.

    Parameters
    ----------
    run
        Its name.
    """
    printer = Printer(output)
    with journal_at(state) as journal:
        events = _unended(journal, run)
        plan, work = work_of(events)
        why = control(Controlled(journal, run, plan, work), printer, wait=stand_by)
        return exit_of(printer, tell(printer, journal, run, report), why)


def abort(run: str, *, state: State = None, report: Report = None, output: Follow = "text") -> int:
    """Touch no further host; what the run has stopped is started first, in batches with the same pauses.

    A controller that is at work does that; where there is none, this command does it.

    Parameters
    ----------
    run
        Its name.
    """
    printer = Printer(output)
    with journal_at(state) as journal:
        events = _unended(journal, run)
        journal.append(run, e.AbortAsked(at=time.time(), by=said_by()))
        if journal.held(run):
            tell(printer, journal, run, report)
            printer.words("asked; the controller that is at work on it starts what is stopped, then ends the run")
            return Exit.FINE
        plan, work = work_of(events)
        why = control(Controlled(journal, run, plan, work), printer)
        figures = tell(printer, journal, run, report)
        code = exit_of(printer, figures, why)
        return Exit.FINE if why == "aborted" and not figures["stopped"] else code


def _unended(journal: Journal, run: str) -> list[e.Event]:
    """Return the events of a run that is not over."""
    events = [event for _, event in journal.events(run)]
    if ended := fold(events).ended:
        raise FleetError(f"the run {run} is over: {ended}", hint=f"`tidegate fleet status {run}` shows it")
    return events
