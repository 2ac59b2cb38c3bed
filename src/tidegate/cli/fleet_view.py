"""What a run looks like while it goes: a bar per batch and a line per host on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tidegate.cli.printer import Printer
from tidegate.fleet import events as e
from tidegate.fleet.machine import Wait, status_of
from tidegate.fleet.state import Run

__all__ = ["FleetView", "elapsed", "final_table", "line_of", "shown"]

_BAR = 24
_BATCHES = 8
"""Bars that are shown: the newest."""
_HOSTS = 16
"""Hosts that are shown: those at work first."""
_ROWS = 120
"""Rows of the final table beyond which those that are fine are only counted."""
_ORDER = {"acting": 0, "unsure": 1, "acted": 2, "looked": 3, "failed": 4, "skipped": 5, "planned": 6, "verified": 7}
_STYLE = {"verified": "green", "failed": "red", "skipped": "yellow", "acting": "cyan", "acted": "cyan"}


class FleetView:
    """Shows a run; hand :meth:`watch` to the runner."""

    def __init__(self, printer: Printer, name: str, clock: Callable[[], float] = time.time) -> None:
        self._printer, self._name, self._clock = printer, name, clock
        self._run: Run | None = None
        self._live: Live | None = None
        self._bars: list[tuple[int, int, tuple[str, ...]]] = []
        self.waits: Callable[[], Wait | None] = lambda: None

    def __enter__(self) -> Self:
        if self._printer.is_text and self._printer.errors.is_terminal:
            self._live = Live(self, console=self._printer.errors, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def watch(self, run: Run, event: e.Event) -> None:
        """Show one event."""
        self._run = run
        if isinstance(event, e.Opened):
            self._bars.append((len(self._bars) + 1, event.phase, event.hosts))
        if self._printer.output == "jsonl":
            self._printer.data(shown(run, event))
        elif self._printer.is_text and self._live is None and (line := line_of(run, event)):
            self._printer.words(line)

    def __rich__(self) -> RenderableType:
        run = self._run
        if run is None:
            return Text("reading the journal")
        counts = ", ".join(f"{count} {word}" for word, count in run.counts().items() if count)
        parts: list[RenderableType] = [Text(f"run {self._name}: {status_of(run)}; {counts}", style="bold")]
        parts.extend(self._bar(run, *bar) for bar in self._bars[-_BATCHES:])
        if run.batch:
            parts.append(self._hosts(run))
        elif (wait := self.waits()) and wait.until:
            parts.append(Text(f"{wait.why}: {elapsed(max(0.0, wait.until - self._clock()))} left", style="dim"))
        if left := run.left():
            parts.append(
                Text(f"{len(left)} hosts are stopped, the first since {elapsed(self._clock() - min(left.values()))}")
            )
        return Group(*parts)

    def _bar(self, run: Run, number: int, phase: int, hosts: tuple[str, ...]) -> Text:
        done = sum(run.step(phase, host).state in {"verified", "failed", "skipped"} for host in hosts)
        filled = round(_BAR * done / len(hosts))
        failed = any(run.step(phase, host).state == "failed" for host in hosts)
        text = Text(f"batch {number:>3} {run.plan.phases[phase].spec.name:<18.18} ")
        text.append("█" * filled + "·" * (_BAR - filled), style="red" if failed else "green")
        return text.append(f" {done}/{len(hosts)}")

    def _hosts(self, run: Run) -> Table:
        batch = run.batch
        assert batch is not None  # noqa: S101 (who calls has looked)
        table = Table.grid(padding=(0, 2))
        steps = [(host, run.step(batch.phase, host)) for host in batch.hosts]
        steps.sort(key=lambda one: _ORDER[one[1].state])
        for host, step in steps[:_HOSTS]:
            age = elapsed(self._clock() - step.since) if step.since else ""
            table.add_row(f"  {host}", Text(step.state, style=_STYLE.get(step.state, "")), age, step.why)
        if len(steps) > _HOSTS:
            table.add_row(f"  and {len(steps) - _HOSTS} more")
        return table


def shown(run: Run, event: e.Event) -> dict[str, Any]:
    """Return an event as one JSON line for programs."""
    import json

    value: dict[str, Any] = json.loads(e.encode(event))
    for secret in ("text", "evidence"):
        value.pop(secret, None)
    return {**value, "status": status_of(run)}


def line_of(run: Run, event: e.Event) -> str:
    """Return an event as a line for people; empty when it tells them nothing new."""
    match event:
        case e.Opened(phase=phase, hosts=hosts):
            line = f"batch {len(run.batches)}: {run.plan.phases[phase].spec.name}, {len(hosts)} hosts"
        case e.Verified() | e.Failed() | e.Skipped() | e.Acted(found=True):
            line = f"  {event.host}: {run.plan.phases[event.phase].spec.step} {_came_out(event)}"
        case e.Tripped(guard=guard, why=why, halve=halve):
            line = f"the guard {guard} stops the run{', and halves what goes on' if halve else ''}: {why}"
        case e.AbortAsked(by=by):
            line = f"abort asked by {by}: no further host is touched, what is stopped is started"
        case e.PauseAsked(by=by):
            line = f"pause asked by {by}"
        case e.Ended(how=how):
            line = f"the run is over: {how}"
        case _:
            line = ""
    return line


def _came_out(event: e.Event) -> str:
    match event:
        case e.Verified(says=says):
            return f"verified{f', {says}' if says else ''}"
        case e.Failed(why=why):
            return f"FAILED: {why}"
        case e.Skipped(why=why):
            return f"skipped: {why}"
    return "has happened already"


def elapsed(seconds: float) -> str:
    """Return a length of time in at most two units."""
    whole = int(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def final_table(figures: dict[str, Any]) -> Table:
    """Return the table that ends a command."""
    counts = ", ".join(f"{figures[word]} {word}" for word in ("verified", "failed", "skipped", "waiting"))
    table = Table(
        title=f"{figures['plan']}: {figures['status']}",
        caption=f"run {figures['run']}: {figures['hosts']} hosts: {counts}; {figures['batches']} batches, "
        f"the largest of {figures['max_batch']}; guards stopped it {figures['guard_stops']} times",
    )
    for head in ("host", "cluster", "outcome", "last phase", "state", "since", "why"):
        table.add_column(head)
    rows = figures["by_host"]
    if len(rows) > _ROWS:
        rows = [one for one in rows if one["outcome"] != "verified"][:_ROWS]
    for one in rows:
        stopped = figures["stopped"].get(one["host"])
        outcome = f"{one['outcome']}, STOPPED since {stopped}" if stopped else one["outcome"]
        table.add_row(one["host"], one["cluster"], outcome, one["phase"], one["state"], one["since"] or "", one["why"])
    return table
