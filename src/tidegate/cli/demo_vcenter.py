"""``tidegate demo vcenter``: scripts that log in and forget their sessions, without and with the gate."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tidegate.cli.demo_view import bar
from tidegate.cli.printer import Output, Printer
from tidegate.cli.promises import kept
from tidegate.cli.reports import write_report
from tidegate.errors import UsageError
from tidegate.lab.vcenter_play import VcenterMoment, play_scripts
from tidegate.lab.vcenter_report import scripts_page, scripts_table
from tidegate.lab.vcenter_scenario import SESSIONS_MAX, VcenterScenario

__all__ = ["vcenter"]

_LINE_EVERY_S = 2.0
"""Seconds between two lines where there is no terminal."""
_SIDE_BY_SIDE = 146
"""Columns that two panels need; in fewer one stands above the other."""
_SESSIONS_PROMISED = 16
"""With the gate, the vCenter has at most so many."""
_TITLES = {False: "without the gate", True: "through the gate"}
Show = Callable[[bool, VcenterMoment], None]


def vcenter(
    *,
    scripts: Annotated[int, Parameter(help="How many scripts, 1 to 400.")] = 200,
    seed: Annotated[int, Parameter(help="Of all randomness.")] = 1,
    report: Annotated[Path, Parameter(help="Where to write the page.")] = Path("report.html"),
    keep: Annotated[bool, Parameter(negative="", help="Leave the folder of each world to look at.")] = False,
    output: Output = "text",
) -> int:
    """Let scripts work through a vCenter as KB 440879 describes it, without and with the gate.

    Each logs in, makes a view, changes and reads twenty machines and waits for its tasks; one in three forgets its
    session. The vCenter is govmomi's simulator with a real one's limits, made small: time is divided by 60.
    """
    for name, value, least, most in (("scripts", scripts, 1, 400), ("seed", seed, 0, 2**63 - 1)):
        if not least <= value <= most:
            raise UsageError(f"--{name} {value} is out of range", hint=f"choose {least} to {most}")
    printer, began, scenario = Printer(output), time.monotonic(), VcenterScenario(scripts=scripts, seed=seed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the worlds clean up after TERM as after Ctrl-C
    with _shown_on(printer.errors, scenario) as show:
        without = play_scripts(scenario, gate=False, watch=partial(show, False), keep=keep)
        through = play_scripts(scenario, gate=True, watch=partial(show, True), keep=keep)
    numbers = {
        "format": 1,
        "scripts": scripts,
        "machines": scenario.machines,
        "speed": scenario.speed,
        "seed": seed,
        "with_gate": through.numbers(),
        "without_gate": without.numbers(),
        "seconds": round(time.monotonic() - began, 1),
    }
    write_report(report, scripts_page(scenario, numbers, without, through))
    printer.data({**numbers, "report": str(report)})
    printer.text(scripts_table(scenario, numbers))
    printer.text(f"report: {report}")
    return kept(printer, _broken(scripts, numbers))


def _broken(scripts: int, numbers: dict[str, Any]) -> list[str]:
    """Return what the gate promised and did not keep."""
    seen, sentences = numbers["with_gate"], []
    if seen["peak_sessions"] > _SESSIONS_PROMISED:
        sentences.append(f"the vCenter had {seen['peak_sessions']} sessions through the gate")
    if seen["failed_calls"]:
        sentences.append(f"{seen['failed_calls']} calls failed through the gate")
    if seen["expired_in_queue"]:
        sentences.append(f"{seen['expired_in_queue']} tokens expired in the queue through the gate")
    if seen["scripts_done"] < scripts:
        sentences.append(f"only {seen['scripts_done']} of {scripts} scripts did their work through the gate")
    return sentences


@contextmanager
def _shown_on(console: Console, scenario: VcenterScenario) -> Iterator[Show]:
    """Show on ``console``: live where it is a terminal, in lines elsewhere."""
    console.print(
        f"{scenario.scripts} scripts work through {scenario.machines} machines each. The vCenter has room for "
        f"{SESSIONS_MAX} sessions; a token lives {scenario.token_life_s:g} s.",
        markup=False,
    )
    if not console.is_terminal:
        said: dict[bool, float] = {}

        def tell(gate: bool, now: VcenterMoment) -> None:
            if now.t - said.get(gate, -_LINE_EVERY_S) >= _LINE_EVERY_S:
                said[gate] = now.t
                console.print(_line(gate, now, scenario), markup=False)

        yield tell
        return
    with Live(console=console, refresh_per_second=8) as live:
        newest: dict[bool, VcenterMoment] = {}

        def draw(gate: bool, now: VcenterMoment) -> None:
            newest[gate] = replace(now)
            panels = [_panel(one, newest.get(one), scenario) for one in (False, True)]
            if console.width < _SIDE_BY_SIDE:
                live.update(Group(*panels))
                return
            both = Table.grid(expand=True, padding=(0, 1))
            both.add_column(ratio=1)
            both.add_column(ratio=1)
            both.add_row(*panels)
            live.update(both)

        yield draw


def _line(gate: bool, now: VcenterMoment, scenario: VcenterScenario) -> str:
    return (
        f"{_TITLES[gate]}: {now.t:5.1f} s, {now.done}/{scenario.scripts} scripts done, {now.sessions} sessions, "
        f"{now.in_flight} in flight, {now.tasks_queued} tasks queued, {now.expired} expired, {now.held} held, "
        f"{now.failed_calls} of {now.calls} calls failed"
    )


def _panel(gate: bool, now: VcenterMoment | None, scenario: VcenterScenario) -> Panel:
    if now is None:
        return Panel(Text("next", style="dim"), title=_TITLES[gate], height=10)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column(justify="right", no_wrap=True)
    crowded = "red" if now.sessions > SESSIONS_MAX * 0.9 else "green"
    late = "red" if now.tasks_queued > scenario.queue_max else "green"
    rows.add_row("scripts done", bar(now.done, scenario.scripts, "cyan"), f"{now.done}/{scenario.scripts}")
    rows.add_row("sessions", bar(now.sessions, SESSIONS_MAX, crowded), f"{now.sessions} of {SESSIONS_MAX}")
    queued = bar(now.tasks_queued, 2 * scenario.queue_max, late, mark=scenario.queue_max)
    rows.add_row("tasks queued", queued, f"{now.tasks_queued} ({scenario.queue_max} are in time)")
    if gate:
        rows.add_row("held", bar(now.held, scenario.scripts, "yellow"), str(now.held))
    rows.add_row("in flight", Text(str(now.in_flight)), "")
    rows.add_row("tokens expired", Text(str(now.expired), style="red" if now.expired else ""), "")
    rows.add_row("failed calls", Text(str(now.failed_calls), style="red" if now.failed_calls else ""), "")
    return Panel(rows, title=_TITLES[gate], subtitle=f"{now.t:.1f} s", height=10)
