"""``tidegate demo ports``: a small range of source ports runs out; who blames the servers, and who does not."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tidegate.cli.printer import Output, Printer
from tidegate.cli.promises import kept
from tidegate.errors import UsageError
from tidegate.lab.ports_haproxy import haproxy_program
from tidegate.lab.ports_play import GateName, PortsDemo, PortsResult, play_ports
from tidegate.lab.ports_trial import Moment

__all__ = ["ports"]

_LINE_EVERY_S = 2.0
"""Seconds between two lines where there is no terminal."""
_TITLES: dict[GateName, str] = {"haproxy": "HAProxy", "tidegate": "tidegate"}
_ROWS = {
    "false_down": "times that a healthy server was taken out",
    "failed_requests": "requests that failed meanwhile",
    "requests": "requests",
    "recovered_s": "seconds until all was well again",
    "detect_down_s": "seconds until a really dead server was known",
    "backend_connections": "connections at the servers, at most",
}
Show = Callable[[GateName, Moment], None]


def ports(
    *,
    clients: Annotated[int, Parameter(help="How many hold a connection at once, 41 to 1000.")] = 60,
    seed: Annotated[int, Parameter(help="Of the gate's randomness.")] = 1,
    keep: Annotated[bool, Parameter(negative="", help="Leave the folder of each world to look at.")] = False,
    output: Output = "text",
) -> int:
    """Let a range of 20 source ports run out under traffic, as KB 425869 describes it, beside HAProxy.

    Two servers are well all the time; clients hold more connections than the gate has ports. HAProxy counts that
    against the servers. Then one server is killed, and both have to notice. Both have the same range and the same
    checks: every 500 ms, fall 3, rise 2.
    """
    for name, value, least, most in (("clients", clients, 41, 1000), ("seed", seed, 0, 2**63 - 1)):
        if not least <= value <= most:
            raise UsageError(f"--{name} {value} is out of range", hint=f"choose {least} to {most}")
    printer, began, demo = Printer(output), time.monotonic(), PortsDemo(clients=clients, seed=seed)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the worlds clean up after TERM as after Ctrl-C
    program = haproxy_program()
    if program is None:
        printer.words(
            "HAProxy is not installed, so there is nothing to compare with (on Debian: apt-get install haproxy)."
        )
    theirs: PortsResult | None = None
    with _shown_on(printer.errors, demo) as show:
        if program is not None:
            theirs = play_ports(demo, "haproxy", lambda now: show("haproxy", now), keep=keep)
        ours = play_ports(demo, "tidegate", lambda now: show("tidegate", now), keep=keep)
    numbers = {
        "format": 1,
        "clients": clients,
        "seed": seed,
        "ports": demo.ports[1] - demo.ports[0] + 1,
        "haproxy_false_down": theirs.outcome.false_down if theirs else None,
        "tidegate_false_down": ours.outcome.false_down,
        **_figures(ours),
        "haproxy": _figures(theirs) if theirs else None,
        "versions": {"tidegate": version("tidegate"), "haproxy": _version(program)},
        "seconds": round(time.monotonic() - began, 1),
    }
    printer.data(numbers)
    printer.text(_table(demo, theirs, ours))
    return kept(printer, _broken(ours))


def _figures(result: PortsResult) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "requests": outcome.sent,
        "answered": outcome.fine,
        "failed_requests": outcome.failed,
        "recovered_s": _rounded(outcome.recovered_s),
        "detect_down_s": _rounded(outcome.detect_down_s),
        "backend_connections": result.backend_connections,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def _version(program: str | None) -> str | None:
    if program is None:
        return None
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\S+)", said)
    return found.group(1) if found else "unknown"


def _broken(ours: PortsResult) -> list[str]:
    """Return what the gate promised and did not keep."""
    outcome, sentences = ours.outcome, []
    if outcome.false_down:
        sentences.append(f"tidegate took a healthy server out {outcome.false_down} times")
    if outcome.recovered_s is None:
        sentences.append("tidegate was not well again after the connections were let go")
    elif outcome.detect_down_s is None:
        sentences.append("tidegate did not notice that a server had died")
    if outcome.sent != outcome.fine + outcome.failed:
        sentences.append(f"of {outcome.sent} requests {outcome.fine} were answered and {outcome.failed} failed")
    return sentences


def _table(demo: PortsDemo, theirs: PortsResult | None, ours: PortsResult) -> Table:
    first, last = demo.ports
    table = Table(
        title=f"{demo.clients} clients hold a connection, {last - first + 1} source ports per server",
        caption=f"Ports {first} to {last} for both; checks every {demo.every_ms} ms, fall 3, rise 2 for both.",
    )
    table.add_column("")
    columns = [(_TITLES["haproxy"], theirs), (_TITLES["tidegate"], ours)]
    for title, _ in columns:
        table.add_column(title, justify="right")
    for key, label in _ROWS.items():
        table.add_row(label, *(_cell(key, result) for _, result in columns))
    return table


def _cell(key: str, result: PortsResult | None) -> str:
    if result is None:
        return "not installed"
    value = {"false_down": result.outcome.false_down, **_figures(result)}[key]
    return "never" if value is None else str(value)


@contextmanager
def _shown_on(console: Console, demo: PortsDemo) -> Iterator[Show]:
    """Show on ``console``: live where it is a terminal, in lines elsewhere."""
    console.print(
        f"Two servers are well. {demo.clients} clients hold a connection for {demo.hold_s:g} s; the gate may use "
        f"{demo.ports[1] - demo.ports[0] + 1} source ports towards each server.",
        markup=False,
    )
    if not console.is_terminal:
        said: dict[GateName, tuple[str, float]] = {}

        def tell(gate: GateName, now: Moment) -> None:
            stage, at = said.get(gate, ("", -_LINE_EVERY_S))
            if now.stage != stage or now.t - at >= _LINE_EVERY_S:
                said[gate] = (now.stage, now.t)
                console.print(_line(gate, now), markup=False)

        yield tell
        return
    with Live(console=console, refresh_per_second=8) as live:
        newest: dict[GateName, Moment] = {}

        def draw(gate: GateName, now: Moment) -> None:
            newest[gate] = now
            grid = Table.grid(padding=(0, 2))
            for name, moment in newest.items():
                grid.add_row(_line(name, moment))
            live.update(grid)

        yield draw


def _line(gate: GateName, now: Moment) -> str:
    return (
        f"{_TITLES[gate]:>8}: {now.t:5.1f} s, {now.stage}: {now.sent} requests, {now.fine} answered, "
        f"{now.failed} failed, {now.down} of 2 servers down, taken out {now.times_down} times"
    )
