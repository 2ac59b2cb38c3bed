"""What the commands of ``tidegate fleet`` share: the journal, a plan with its hosts and work, and a controller."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.fleet_guards import Watchers, watchers_of
from tidegate.cli.fleet_view import FleetView, final_table
from tidegate.cli.printer import Printer
from tidegate.cli.reports import write_report
from tidegate.config.load import read_text
from tidegate.errors import ConfigError, Exit, FleetError, Problem
from tidegate.fleet import events as e
from tidegate.fleet.act import Guard, Host, Work
from tidegate.fleet.guards import guards_of
from tidegate.fleet.journal import Journal, default_place, open_journal, stand_by
from tidegate.fleet.load import load_plan, parse_plan
from tidegate.fleet.model import Plan
from tidegate.fleet.plans import work_for
from tidegate.fleet.report import report_page
from tidegate.fleet.runner import Runner, Tools
from tidegate.fleet.state import fold
from tidegate.fleet.summary import summary
from tidegate.fleet.targets import hosts_of

__all__ = [
    "Controlled", "Opened", "Report", "State", "command", "control", "exit_of", "journal_at", "new_run", "open_plan",
    "policy_of", "said_by", "tell", "work_of",
]  # fmt: skip

State = Annotated[
    str | None,
    Parameter(
        name="--state",
        help="The journal: a file, or a postgresql:// URL. Left out: fleet.db under $XDG_STATE_HOME/tidegate.",
    ),
]
Report = Annotated[Path | None, Parameter(name="--report", help="Where to write a page about the run.")]

_EXITS = {
    "finished": Exit.FINE,
    "failed": Exit.BAD,
    "aborted": Exit.STOPPED,
    "stopped": Exit.STOPPED,
    "waiting-approval": Exit.STOPPED,
    "paused": Exit.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A plan file, read: what it says, its hosts in the order of the run, and what is done to them."""

    file: Path
    text: str
    plan: Plan
    hosts: list[Host]
    work: Work


@dataclass(frozen=True, slots=True)
class Controlled:
    """A run that is to be gone on with."""

    journal: Journal
    name: str
    plan: Plan
    work: Work


@contextmanager
def journal_at(state: str | None) -> Iterator[Journal]:
    """Open the journal for the length of a command."""
    journal = open_journal(state)
    try:
        yield journal
    finally:
        journal.close()


def open_plan(file: Path) -> Opened:
    """Read a plan and find its hosts; a vCenter is asked where the plan says so.

    Raises
    ------
    ConfigError
        When the plan or the inventory is wrong.
    FleetError
        When the built-in plan refuses it, or the vCenter does.
    """
    plan = load_plan(file)
    work = _work(plan, file)
    ask = None
    if plan.targets.vcenter is not None:
        from tidegate.fleet.vcenter_targets import ask_vcenter

        ask = ask_vcenter
    hosts = asyncio.run(hosts_of(plan, ask))
    return Opened(file, read_text(file), plan, hosts, work)


def _work(plan: Plan, file: Path) -> Work:
    try:
        return work_for(plan)
    except FleetError as error:
        raise ConfigError([Problem(file, 0, "", error.message, error.hint)]) from None


def policy_of(plan: Plan) -> e.Policy:
    """Return the plan's batches and pauses."""
    batch = plan.batch
    return e.Policy(
        size=batch.size,
        most=batch.most,
        pause_s=batch.pause.seconds,
        steady=batch.until == "steady",
        settle_s=batch.settle.seconds,
        patience_s=batch.patience.seconds,
    )


def new_run() -> str:
    """Return a name for a run: when, and something that no other run has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def said_by() -> str:
    """Return who this process is."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work_of(events: list[e.Event]) -> tuple[Plan, Work]:
    """Return the plan of a run, as its journal keeps it, and what carries it out."""
    run = fold(events)
    file = Path(run.plan.file)
    plan = parse_plan(run.plan.text, file)
    return plan, _work(plan, file)


def control(one: Controlled, printer: Printer, *, wait: bool = False) -> str:
    """Be the run's controller until there is nothing more to do; return why it left.

    Ctrl-C pauses after the hosts that are being worked on; a second one ends at once.
    """
    watchers = watchers_of(one.plan)
    holds: AbstractContextManager[None] = one.journal.lock(one.name)
    if wait:
        printer.words(f"standing by for the run {one.name}")
        holds = stand_by(one.journal, one.name)
    # Connections belong to the loop that made them: whoever looked at the hosts before has closed its own.
    with holds, FleetView(printer, one.name) as view:
        tools = Tools(guards=watchers.guards, probes=watchers.probes, by=said_by(), watch=view.watch)
        runner = Runner(one.journal, one.name, one.work, tools)
        view.waits = lambda: runner.waits
        return asyncio.run(_until_signal(runner, watchers, printer.words))


async def _until_signal(runner: Runner, watchers: Watchers, words: Callable[[str], None]) -> str:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked = False

    def interrupted() -> None:
        nonlocal asked
        if asked and task is not None:
            task.cancel()
            return
        asked = True
        words("pausing after the hosts that are being worked on; once more ends at once, and leaves them in doubt")
        runner.ask_pause()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    try:
        return await runner.drive()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        await watchers.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)


def tell(printer: Printer, journal: Journal, name: str, report: Path | None = None) -> dict[str, Any]:
    """Print how a run stands, write the page where one is wanted, and return the figures."""
    events = [event for _, event in journal.events(name)]
    figures = {**summary(name, fold(events)), "state": journal.place}
    if report is not None:
        write_report(report, report_page(name, events, _guards(events)))
        figures["report"] = str(report)
    printer.data(figures)
    if printer.is_text:
        printer.text(final_table(figures))
        if report is not None:
            printer.text(f"report: {report}")
    return figures


def _guards(events: list[e.Event]) -> list[Guard]:
    """Return the guards of a run's plan for its page; a plan that this version cannot read still has a page."""
    plan = fold(events[:1]).plan
    try:
        return guards_of(parse_plan(plan.text, Path(plan.file)).guard)
    except ConfigError:
        return []


def command(word: str, figures: Mapping[str, Any]) -> str:
    """Return the command line that goes on with a run: with its journal, where that is not the default one."""
    where = "" if figures["state"] == str(default_place()) else f" --state {shlex.quote(figures['state'])}"
    return f"tidegate fleet {word} {figures['run']}{where}"


def exit_of(printer: Printer, figures: dict[str, Any], why: str) -> int:
    """Say what a person must know about how the run was left; return the exit code."""
    stopped, resume = figures["stopped"], command("resume", figures)
    if stopped:
        shown = ", ".join(sorted(stopped)[:8]) + (f" and {len(stopped) - 8} more" if len(stopped) > 8 else "")
        printer.words(f"STILL STOPPED: {shown}")
        if figures["ended"]:
            printer.words(
                "  hint: the run is over: find out why it failed there, then start it by hand, or by a new run"
            )
    match why:
        case "stopped":
            trip = figures["trips"][-1]
            printer.words(f"stopped by the guard {trip['guard']}: {trip['why']}")
            printer.words(f"  hint: `{resume}` goes on when it is quiet")
        case "waiting-approval":
            printer.words("the next phase wants an approval; nothing of it has been done")
            printer.words(f"  hint: `{command('approve', figures)}`, then `{resume}`")
        case "paused":
            printer.words(f"paused; `{resume}` goes on")
        case "finished" if figures["skipped"]:
            printer.words(f"{figures['skipped']} hosts were skipped")
            return Exit.BAD
    return _EXITS.get(why, Exit.BAD)
