"""``tidegate fleet pace``: one command per virtual machine, no faster than its storage and its vCenter can take."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.fleet_pace_view import PaceView, dry_run_text, summary, worked_json
from tidegate.cli.printer import Follow, Printer
from tidegate.errors import Exit, UsageError
from tidegate.fleet.model import Vcenter
from tidegate.fleet.pace_command import filled
from tidegate.fleet.pace_plan import PacePlan, checked_vms, guards_for, load_pace_plan, load_vms, rules_for
from tidegate.fleet.pace_run import Pacer
from tidegate.fleet.pace_state import StateFile
from tidegate.fleet.pace_vcenter import KeepAlive, PacedVcenter, connect
from tidegate.fleet.pace_work import Command, Worked, Worker, left_over
from tidegate.fleet.probes import probes_of

__all__ = ["pace"]

Connect = Callable[[Vcenter], Awaitable[PacedVcenter]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    file: Path
    plan: PacePlan
    command: tuple[str, ...]
    state: Path
    again: bool
    fresh: bool
    wait: bool
    logs: Path | None


def pace(
    plan: Path,
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    state: Annotated[
        Path | None, Parameter(help="Where to keep what has become of each; default: beside PLAN.")
    ] = None,
    again: Annotated[bool, Parameter(negative="", help="Also those that failed, or whose end nobody saw.")] = False,
    fresh: Annotated[bool, Parameter(negative="", help="Begin anew; the old state is kept as .old.")] = False,
    wait: Annotated[bool, Parameter(negative="", help="Wait for the window when it is closed.")] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Only print the batches and every command.")] = False,
    logs: Annotated[Path | None, Parameter(help="A folder for the outputs of commands.")] = None,
    output: Follow = "text",
) -> int:
    """Run COMMAND once for each virtual machine of a plan: in batches, at the pace that its guards allow.

    Write the command after ``--``. ``{vm}`` stands for the name, and no shell sees it. What was stopped, by a guard
    (exit code 3), by Ctrl-C (130) or by a crash, is resumed by the same command line; nothing is done twice unless you
    ask for it.

    Examples
    --------
    ``tidegate fleet pace examples/pace.toml -- ./snapshot.py --vm={vm}``

    Parameters
    ----------
    plan
        The TOML file.
    command
        What to run, with its arguments.
    """
    read = load_pace_plan(plan)
    if not command:
        raise UsageError("there is no command", hint="write it after --, for example: -- ./snapshot.py --vm={vm}")
    filled(command, "vm")
    if not dry_run and shutil.which(command[0]) is None:
        raise UsageError(
            f"the command {command[0]} cannot be run: no such program", hint="is it executable, is it on PATH?"
        )
    kept = state or read.pace.state or plan.with_name(plan.stem + ".state.jsonl")
    asked = _Asked(plan, read, command, kept, again, fresh, wait or read.pace.wait, logs)
    printer = Printer(output)
    _warn(printer, read)
    if dry_run:
        return asyncio.run(_shown(printer, asked, connect))
    return asyncio.run(_paced(printer, asked, connect))


def _warn(printer: Printer, plan: PacePlan) -> None:
    unverified = [f"[guard.{name}]" for name, table in plan.guard.items() if not getattr(table, "verify", True)]
    if plan.vcenter and not plan.vcenter.verify:
        unverified.insert(0, "[vcenter]")
    for where in unverified:
        printer.words(f"warning: {where} has verify = false: who answers there is not checked")


async def _machines(asked: _Asked, stack: AsyncExitStack, to: Connect) -> tuple[list[str], PacedVcenter | None]:
    """Return the names, and the vCenter where the plan has one: logged in, once for everything."""
    plan = asked.plan
    vcenter = None
    if plan.vcenter is not None:
        vcenter = await to(plan.vcenter)
        stack.push_async_callback(vcenter.close)
    if plan.vms.file is not None:
        return load_vms(plan.vms.file), vcenter
    if vcenter is None:
        raise UsageError("the plan selects machines of a vCenter, and names none")
    names = await vcenter.vms(plan.vms.clusters, plan.vms.folders, plan.vms.tags)
    return checked_vms(names, asked.file), vcenter


async def _shown(printer: Printer, asked: _Asked, to: Connect) -> int:
    async with AsyncExitStack() as stack:
        names, _ = await _machines(asked, stack, to)
    size = asked.plan.pace.batch
    batches = [names[start : start + size] for start in range(0, len(names), size)]
    commands = [[filled(asked.command, name) for name in batch] for batch in batches]
    printer.data({"format": 1, "vms": len(names), "batches": batches, "commands": commands})
    printer.text(dry_run_text(asked.plan, batches, commands))
    return Exit.FINE


async def _paced(printer: Printer, asked: _Asked, to: Connect) -> int:
    plan, pace_ = asked.plan, asked.plan.pace
    async with AsyncExitStack() as stack:
        names, vcenter = await _machines(asked, stack, to)
        state = stack.enter_context(
            StateFile.open(asked.state, asked.file.name, asked.command, time.time(), fresh=asked.fresh)
        )
        todo, worked = left_over(names, state.past, again=asked.again)
        view = stack.enter_context(PaceView(printer, len(names), len(names) - len(todo), asked.logs))
        without = {getattr(table, "token_env", None) or "" for table in plan.guard.values()}
        if plan.vcenter:
            without |= {"TIDEGATE_VCENTER_PASSWORD", plan.vcenter.password_env or ""}
        command = Command(
            asked.command,
            timeout_s=pace_.timeout.seconds,
            output_max=pace_.output_max.bytes,
            base=os.environ,
            without=tuple(without),
        )
        rules = rules_for(plan, wait=asked.wait)
        probes = probes_of(plan.guard, vcenter.latencies if vcenter else None)
        if vcenter is not None:
            probes.append(KeepAlive(vcenter))
        session = vcenter.session if vcenter else None
        worker = Worker(command, view.told)
        if todo:
            async with Pacer(rules, guards_for(plan), probes, login=session, says=view.held) as pacer:
                view.follow(pacer)
                _on_signals(pacer, worker, view)
                await worker.work(todo, worked, state, pacer)
    return _ended(printer, asked, names, worked)


def _on_signals(pacer: Pacer, worker: Worker, view: PaceView) -> None:
    """Let the first signal stop what has not begun, and the second what has."""

    def heard() -> None:
        if pacer.stopped is not None and pacer.stopped.guard == _OPERATOR:
            worker.break_off()
            return
        pacer.halt(_OPERATOR, "interrupted")
        if pacer.pace.in_flight:
            view.say(f"waiting for {pacer.pace.in_flight} that are under way; once more breaks them off")

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, heard)


_OPERATOR = "operator"


def _ended(printer: Printer, asked: _Asked, names: list[str], worked: Worked) -> int:
    numbers: dict[str, Any] = {**worked_json(names, worked), "state": str(asked.state)}
    printer.data({"event": "finished", **numbers} if printer.output == "jsonl" else numbers)
    printer.text(summary(names, worked))
    if worked.stopped:
        printer.words(f"stopped: {worked.stopped}")
        first = "see to its disk first; " if worked.lost else ""
        printer.words(f"  hint: {first}the same command line goes on with the {len(worked.left)} that are left")
    if (worked.failed or worked.unknown) and not asked.again:
        printer.words("  hint: --again also does those that failed or whose end nobody saw; look at them first")
    if worked.lost:
        return Exit.UNREACHABLE
    if worked.stopped.startswith(_OPERATOR):
        return Exit.INTERRUPTED
    if worked.stopped:
        return Exit.STOPPED
    return Exit.BAD if worked.failed or worked.unknown else Exit.FINE
