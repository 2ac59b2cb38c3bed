"""``tidegate demo watch``: a watch that is killed again and again while a hundred hosts write; no alert is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tidegate.cli.demo_view import bar
from tidegate.cli.printer import Output, Printer
from tidegate.cli.promises import kept
from tidegate.cli.reports import write_report
from tidegate.errors import UsageError
from tidegate.lab.watch_play import WatchMoment, play_watch
from tidegate.lab.watch_report import watch_page, watch_table
from tidegate.lab.watch_rules import SPEED
from tidegate.lab.watch_script import WatchDemo

__all__ = ["watch"]

_LINE_EVERY_S = 4.0
"""Seconds between two lines where there is no terminal."""
_KILLS_PROMISED = 3
Show = Callable[[WatchMoment], None]


def watch(
    *,
    hosts: Annotated[int, Parameter(help="How many ESXi hosts write, 20 to 1000.")] = 120,
    seed: Annotated[int, Parameter(help="Of all randomness.")] = 1,
    report: Annotated[Path, Parameter(help="Where to write the page.")] = Path("report.html"),
    keep: Annotated[bool, Parameter(negative="", help="Leave the folder of the world to look at.")] = False,
    output: Output = "text",
) -> int:
    """Kill a watch at random moments while hosts write, and compare what it told with what it had to tell.

    The hosts' files are rotated meanwhile, records come late, receivers refuse and do not answer. What must be told is
    computed from everything that was written. The rules are the shipped ones, their windows divided by 12.
    """
    for name, value, least, most in (("hosts", hosts, 20, 1000), ("seed", seed, 0, 2**63 - 1)):
        if not least <= value <= most:
            raise UsageError(f"--{name} {value} is out of range", hint=f"choose {least} to {most}")
    printer, demo = Printer(output), WatchDemo(hosts=hosts, seed=seed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the world cleans up after TERM as after Ctrl-C
    with _shown_on(printer.errors, demo) as show:
        result = play_watch(demo, show, keep=keep)
    write_report(report, watch_page(demo, result))
    printer.data({**result.numbers, "report": str(report)})
    printer.text(watch_table(result.numbers))
    printer.text(f"report: {report}")
    return kept(printer, _broken(result.numbers))


def _broken(numbers: dict[str, Any]) -> list[str]:
    """Return what the watch promised and did not keep."""
    sentences = []
    if numbers["lost"]:
        sentences.append(f"{numbers['lost']} of {numbers['alerts_expected']} alerts were lost")
    if numbers["spurious"]:
        sentences.append(f"{numbers['spurious']} alerts were told that nobody expected")
    if numbers["wrong"]:
        sentences.append(f"{numbers['wrong']} alerts were said to be over with other figures than they had")
    if numbers["kills"] < _KILLS_PROMISED:
        sentences.append(f"the watch was killed {numbers['kills']} times only")
    return sentences


@contextmanager
def _shown_on(console: Console, demo: WatchDemo) -> Iterator[Show]:
    """Show on ``console``: live where it is a terminal, in lines elsewhere."""
    console.print(
        f"{demo.hosts} ESXi hosts and four vCenters write for {demo.seconds:g} s, and the watch is killed {demo.kills} "
        f"times. Windows are divided by {SPEED}.",
        markup=False,
    )
    if not console.is_terminal:
        said = -_LINE_EVERY_S

        def tell(now: WatchMoment) -> None:
            nonlocal said
            if now.t - said >= _LINE_EVERY_S:
                said = now.t
                console.print(_line(now), markup=False)

        yield tell
        return
    with Live(console=console, refresh_per_second=8) as live:

        def draw(now: WatchMoment) -> None:
            live.update(_panel(replace(now), demo))

        yield draw


def _line(now: WatchMoment) -> str:
    return (
        f"{now.t:5.1f} s: {now.lines} records, killed {now.kills} times, {now.alerts} alerts, {now.cleared} cleared, "
        f"{now.repeats} posts repeated"
    )


def _panel(now: WatchMoment, demo: WatchDemo) -> Panel:
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column(justify="right", no_wrap=True)
    seconds = round(demo.seconds)
    rows.add_row("written", bar(min(round(now.t), seconds), seconds, "cyan"), f"{now.lines} records")
    rows.add_row("killed", bar(now.kills, demo.kills, "red"), f"{now.kills} of {demo.kills}")
    rows.add_row("alerts", Text(str(now.alerts)), "")
    rows.add_row("cleared", Text(str(now.cleared)), "")
    rows.add_row("said again", Text(str(now.repeats)), "each with a known key")
    return Panel(rows, title="a watch that is killed", subtitle=f"{now.t:.1f} s")
