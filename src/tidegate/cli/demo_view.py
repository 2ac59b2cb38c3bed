"""What the demo shows while it runs: two panels side by side on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tidegate.lab.play import Moment
from tidegate.lab.scenario import Scenario

__all__ = ["View", "bar", "view_on"]

Watch = Callable[[Moment], None]

_LINE_EVERY_S = 2.0
"""Seconds between two lines where there is no terminal."""
_BAR = 30
_TITLES = {False: "without the gate", True: "through the gate"}


class View(Protocol):
    """Shows a run as it goes."""

    def watch(self, *, gate: bool) -> Watch:
        """Return what is to be called with each moment of the run without (False) or with (True) the gate."""


@contextmanager
def view_on(console: Console, scenario: Scenario) -> Iterator[View]:
    """Show on ``console``: live where it is a terminal, in lines elsewhere."""
    console.print(_intro(scenario), markup=False)
    if not console.is_terminal:
        yield _Lines(console, scenario)
        return
    panels = _Panels(scenario)
    with Live(panels, console=console, refresh_per_second=8):
        yield panels


def _intro(scenario: Scenario) -> str:
    pace = "in real time" if scenario.speed == 1 else f"every duration divided by {scenario.speed:g}"
    tls = ", TLS passed through" if scenario.passthrough else ""
    limit = "is told no limit, and finds one" if scenario.limit is None else f"has the limit {scenario.limit}"
    return (
        f"A VASA provider restarts and {scenario.hosts} hosts reconnect at once ({pace}; times are wall seconds).\n"
        f"Provider: law {scenario.law}, most work at {scenario.knee} calls in flight{tls}. Seed {scenario.seed}.\n"
        f"The gate {limit}."
    )


class _Lines:
    def __init__(self, console: Console, scenario: Scenario) -> None:
        self._console, self._scenario = console, scenario

    def watch(self, *, gate: bool) -> Watch:
        said = -_LINE_EVERY_S

        def tell(now: Moment) -> None:
            nonlocal said
            if now.t - said < _LINE_EVERY_S:
                return
            said = now.t
            self._console.print(
                f"{_TITLES[gate]}: {now.t:5.1f} s, {now.connected}/{self._scenario.hosts} connected, "
                f"{now.in_flight} in flight, {now.held} held, {sum(now.turned_away.values())} turned away, "
                f"{now.timeouts} timed out{f', limit {limit}' if (limit := _limit(now)) else ''}",
                markup=False,
            )

        return tell


class _Panels:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._moments: dict[bool, Moment | None] = {False: None, True: None}
        self._current = False

    def watch(self, *, gate: bool) -> Watch:
        self._current = gate

        def tell(now: Moment) -> None:
            self._moments[gate] = replace(now)

        return tell

    def __rich__(self) -> RenderableType:
        both = Table.grid(expand=True, padding=(0, 1))
        both.add_column(ratio=1)
        both.add_column(ratio=1)
        both.add_row(self._panel(False), self._panel(True))
        return both

    def _panel(self, gate: bool) -> Panel:
        now = self._moments[gate]
        if now is None:
            waits = "starting" if gate == self._current else "next"
            return Panel(Text(waits, style="dim"), title=_TITLES[gate], height=11)
        running = gate == self._current
        clock = f"{now.t:.1f} s of {now.window_s:.1f} s" + ("" if running else " (over)")
        return Panel(Group(*self._lines(now, gate)), title=_TITLES[gate], subtitle=clock, height=11)

    def _lines(self, now: Moment, gate: bool) -> list[RenderableType]:
        hosts, knee = self._scenario.hosts, self._scenario.knee
        rows = Table.grid(padding=(0, 1))
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(no_wrap=True)
        rows.add_column(justify="right", no_wrap=True)
        done = "green" if now.connected == hosts else "cyan"
        rows.add_row("connected", bar(now.connected, hosts, done), f"{now.connected}/{hosts}")
        over = "red" if now.in_flight > knee + 1 else "green"
        rows.add_row("in flight", bar(now.in_flight, 3 * knee, over, mark=knee), f"{now.in_flight} (knee {knee})")
        if gate:
            rows.add_row("limit", Text(_limit(now)), "")
            rows.add_row("held", bar(now.held, hosts, "yellow"), str(now.held))
            away = ", ".join(f"{reason} {count}" for reason, count in now.turned_away.items())
            rows.add_row("turned away", Text(away or "none"), "")
        else:
            rows.add_row("waiting to retry", bar(now.waiting_retry, hosts, "yellow"), str(now.waiting_retry))
        rows.add_row("failed attempts", Text(str(now.failed_attempts)), "")
        rows.add_row("timed out", Text(str(now.timeouts), style="red" if now.timeouts else ""), "")
        rows.add_row("", Text(f"the least possible time is {now.floor_s:.1f} s", style="dim"), "")
        return [rows]


def _limit(now: Moment) -> str:
    """Return the gate's limit, and the batch that it lets in."""
    if now.limit is None:
        return ""
    return str(now.limit) if now.batch is None else f"{now.limit}, batch {now.batch}"


def bar(value: int, whole: int, style: str, *, mark: int | None = None) -> Text:
    """Return a bar of fixed width; what is more than ``whole`` ends in ``>``, and ``mark`` shows as ``|``."""
    filled = min(_BAR, round(value / whole * _BAR)) if whole else 0
    cells = ["█"] * filled + ["·"] * (_BAR - filled)
    if value > whole:
        cells[-1] = ">"
    text = Text("".join(cells))
    text.stylize(style, 0, filled)
    text.stylize("dim", filled)
    if mark is not None and whole:
        at = min(_BAR - 1, round(mark / whole * _BAR))
        text = Text.assemble(text[:at], Text("|", style="bold"), text[at + 1 :])
    return text
