"""``tidegate fleet check|restart|apply``: from a plan to a run."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from tidegate.cli.fleet_parts import (
    Controlled,
    Opened,
    Report,
    State,
    control,
    exit_of,
    journal_at,
    new_run,
    open_plan,
    policy_of,
    said_by,
    tell,
    work_of,
)
from tidegate.cli.printer import Follow, Output, Printer
from tidegate.errors import Exit, UsageError
from tidegate.fleet import events as e
from tidegate.fleet.machine import phases_of
from tidegate.fleet.runner import plan_run
from tidegate.fleet.summary import preview
from tidegate.fleet.targets import refuse_whole_clusters
from tidegate.harmless import harmless

__all__ = ["apply", "check", "restart"]

_RESTARTS = ("vcenter-targeted-restart", "vvold-phased-restart")
DryRun = Annotated[
    bool, Parameter(name="--dry-run", negative="", help="Print the batches and every command; do nothing.")
]
Approve = Annotated[
    bool, Parameter(name="--approve", negative="", help="Approve every phase that wants it, here and now.")
]


def check(
    plan: Path,
    *,
    look: Annotated[bool, Parameter(negative="", help="Look at every host as well; changes nothing.")] = False,
    output: Output = "text",
) -> int:
    """Say everything that is wrong with a plan and its inventory; with --look, what an operator must know first.

    Parameters
    ----------
    plan
        The TOML file.
    """
    printer = Printer(output)
    opened = open_plan(plan)
    refuse_whole_clusters(opened.hosts, list(opened.work.phases))
    notes = asyncio.run(_looked(opened)) if look else []
    clusters = len({host.cluster for host in opened.hosts if host.cluster})
    phases = [{"phase": one.name, "step": one.step, "approval": one.approval} for one in opened.work.phases]
    printer.data(
        {
            "format": 1,
            "file": str(plan),
            "ok": True,
            "plan": opened.work.name,
            "hosts": len(opened.hosts),
            "clusters": clusters,
            "phases": phases,
            "guards": sorted(opened.plan.guard),
            "notes": notes,
        }
    )
    for note in notes:
        printer.text(harmless(f"note: {note}"))
    words = ", ".join(one.name + (" (wants an approval)" if one.approval else "") for one in opened.work.phases)
    printer.text(f"{plan}: fine: {opened.work.name}, {len(opened.hosts)} hosts in {clusters} clusters; phases: {words}")
    if not opened.plan.guard:
        printer.text("  hint: no [guard.NAME] watches over it; only failed hosts will be seen, at the end")
    return Exit.FINE


async def _looked(opened: Opened) -> list[str]:
    try:
        return await opened.work.prepare(opened.hosts)
    finally:
        await opened.work.close()


def restart(
    plan: Path,
    *,
    dry_run: DryRun = False,
    approve: Approve = False,
    state: State = None,
    report: Report = None,
    output: Follow = "text",
) -> int:
    """Restart a service on many hosts, in batches, and stop when a guard says so.

    Ctrl-C pauses after the hosts that are being worked on; `tidegate fleet resume RUN` goes on.

    Examples
    --------
    ``tidegate fleet restart examples/vvold.toml --dry-run``

    Parameters
    ----------
    plan
        The TOML file; its [run] plan is one that restarts.
    """
    printer = Printer(output)
    opened = open_plan(plan)
    if opened.work.name not in _RESTARTS:
        raise UsageError(f"{opened.work.name} restarts nothing", hint=f"`tidegate fleet apply {plan}` carries it out")
    return _carried_out(printer, opened, state, report, dry_run=dry_run, approve=approve)


def apply(
    plan: Path,
    *,
    dry_run: DryRun = False,
    approve: Approve = False,
    state: State = None,
    report: Report = None,
    output: Follow = "text",
) -> int:
    """Carry out any built-in plan over its hosts, in batches, and stop when a guard says so.

    Parameters
    ----------
    plan
        The TOML file.
    """
    return _carried_out(Printer(output), open_plan(plan), state, report, dry_run=dry_run, approve=approve)


def _carried_out(
    printer: Printer, opened: Opened, state: str | None, report: Path | None, *, dry_run: bool, approve: bool
) -> int:
    if dry_run:
        return _dry(printer, opened)
    with journal_at(state) as journal:
        source = (str(opened.file.absolute()), opened.text)
        planned = asyncio.run(_planned(opened, source))
        name = new_run()
        journal.plan(name, planned)
        printer.words(f"run {name}: {planned.plan}, {len(planned.hosts)} hosts, kept in {journal.place}")
        for note in planned.notes:
            printer.words(f"note: {note}")
        for phase, one in enumerate(planned.phases):
            if one.spec.approval and approve:
                journal.append(name, e.Approved(at=time.time(), phase=phase, by=said_by()))
            elif one.spec.approval:
                printer.words(f"{one.spec.name} wants an approval: {one.spec.says}")
        plan, work = work_of([planned])
        why = control(Controlled(journal, name, plan, work), printer)
        return exit_of(printer, tell(printer, journal, name, report), why)


async def _planned(opened: Opened, source: tuple[str, str]) -> e.Planned:
    try:
        return await plan_run(opened.work, opened.hosts, policy_of(opened.plan), source, at=time.time())
    finally:
        await opened.work.close()


def _dry(printer: Printer, opened: Opened) -> int:
    """Print what would happen; no host is talked to."""
    refuse_whole_clusters(opened.hosts, list(opened.work.phases))
    planned = e.Planned(
        at=time.time(),
        plan=opened.work.name,
        file=str(opened.file),
        text="",
        hosts=tuple(opened.hosts),
        phases=phases_of(opened.work),
        policy=policy_of(opened.plan),
    )
    phases = preview(planned, opened.work.commands)
    pause = opened.plan.batch.pause
    printer.data(
        {"format": 1, "plan": planned.plan, "hosts": len(planned.hosts), "pause": str(pause), "phases": phases}
    )
    if not printer.is_text:
        return Exit.FINE
    for phase in phases:
        approval = ", after an approval" if phase["approval"] else ""
        printer.text(f"{phase['phase']}{approval}: {phase['says']}")
        if not phase["batched"]:
            printer.text(f"  all hosts, {phase['concurrency']} at a time")
        printer.text(_batches(phase))
    waits = "until it is steady" if opened.plan.batch.until == "steady" else f"{pause} between two batches"
    printer.text(f"{len(planned.hosts)} hosts; {waits}. Nothing was done.")
    return Exit.FINE


def _batches(phase: dict[str, Any]) -> Table:
    table = Table(title=phase["phase"], title_justify="left")
    table.add_column("batch", justify="right")
    table.add_column("host", no_wrap=True)
    table.add_column("commands", overflow="fold")
    for number, batch in enumerate(phase["batches"], start=1):
        for place, one in enumerate(batch):
            table.add_row(
                "" if place else f"{number} ({len(batch)})", one["host"], harmless("\n".join(one["commands"]))
            )
        table.add_section()
    return table
