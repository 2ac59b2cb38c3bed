"""What a person sees of paced work: a bar, why it holds, what failed, and a table at the end."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from rich import box
from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from tidegate.cli.printer import Printer
from tidegate.errors import UsageError
from tidegate.fleet.pace import Hold
from tidegate.fleet.pace_plan import PacePlan
from tidegate.fleet.pace_run import Pacer
from tidegate.fleet.pace_work import Told, Worked
from tidegate.harmless import harmless

__all__ = ["PaceView", "dry_run_text", "summary", "worked_json"]

_SHOWN = 20


class PaceView:
    """Shows what happens while it happens; on a terminal with a bar."""

    def __init__(self, printer: Printer, total: int, settled: int, logs: Path | None) -> None:
        self._printer = printer
        self._logs = logs
        self._pacer: Pacer | None = None
        self._held = self._why = ""
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        on = printer.errors.is_terminal and printer.is_text
        self._progress = Progress(*columns, console=printer.errors, transient=True, disable=not on)
        self._task = self._progress.add_task("", total=total, completed=settled)

    def __enter__(self) -> Self:
        if self._logs is not None:
            try:
                self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"the folder {self._logs} cannot be made: {error.strerror}") from None
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def follow(self, pacer: Pacer) -> None:
        """Show where this one stands."""
        self._pacer = pacer
        self._describe()

    def say(self, sentence: str) -> None:
        """Say something above the bar."""
        self._printer.words(sentence)

    def held(self, hold: Hold | None) -> None:
        """Show why work holds; in lines only where a guard holds it, once for each guard."""
        self._why = hold.why if hold else ""
        self._describe()
        before, self._held = self._held, hold.guard if hold else ""
        if hold is None or not hold.guard or hold.guard == before:
            return
        guard = hold.guard
        trouble = self._pacer.troubles.get(guard, "") if self._pacer else ""
        if self._printer.output == "jsonl":
            self._printer.data({"event": "held", "guard": guard, "why": hold.why, "trouble": trouble})
        else:
            self.say(f"holding: {guard}: {hold.why}{f' ({trouble})' if trouble else ''}")

    def told(self, told: Told) -> None:
        """Show what happened to one machine."""
        self._describe()
        if told.did != "began":
            self._progress.advance(self._task)
            self._keep(told)
        if told.did == "failed":
            last = told.stderr.strip().rpartition("\n")[2]
            self.say(f"{told.vm}: {told.why}{f': {last}' if last else ''}")
        if self._printer.output == "jsonl":
            event: dict[str, Any] = {"event": told.did, "vm": told.vm, "batch": told.batch}
            if told.did != "began":
                event |= {"elapsed_s": round(told.elapsed_s, 3), "why": told.why}
            if told.did == "failed":
                event |= {"stdout": told.stdout, "stderr": told.stderr}
            self._printer.data(event)

    def _describe(self) -> None:
        if self._pacer is not None:
            pace, why = self._pacer.pace, self._why
            words = f"batch {pace.batch}, {pace.in_flight} of {pace.concurrency} under way"
            self._progress.update(self._task, description=harmless(f"{words}; {why}" if why else words))

    def _keep(self, told: Told) -> None:
        if self._logs is None:
            return
        for kind, text in (("out", told.stdout), ("err", told.stderr)):
            path = self._logs / f"{quote(told.vm, safe='')[:200]}.{kind}"
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as stream:
                    stream.write(text)
            except OSError as error:
                self.say(f"warning: {path} cannot be written: {error.strerror}")


def worked_json(names: list[str], worked: Worked) -> dict[str, Any]:
    """Return what became of everything, as data."""
    return {
        "format": 1,
        "vms": len(names),
        "done": len(worked.done),
        "done_before": worked.before,
        "failed": worked.failed,
        "unknown": worked.unknown,
        "left": len(worked.left),
        "stopped": worked.stopped,
    }


def summary(names: list[str], worked: Worked) -> RenderableType:
    """Return what became of everything, for people."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("machines", "done", "done before", "failed", "unknown", "left"):
        table.add_column(heading, justify="right")
    counts = (len(names), len(worked.done), worked.before, len(worked.failed), len(worked.unknown), len(worked.left))
    table.add_row(*map(str, counts))
    lines = [Text(harmless(f"{vm}: {why}")) for told in (worked.failed, worked.unknown) for vm, why in told.items()]
    more = [Text(f"and {len(lines) - _SHOWN} more: --output json names all")] if len(lines) > _SHOWN else []
    return Group(table, *lines[:_SHOWN], *more)


def dry_run_text(plan: PacePlan, batches: list[list[str]], commands: list[list[list[str]]]) -> RenderableType:
    """Return the batches and every command."""
    pace = plan.pace
    count = f"{sum(map(len, batches))} machines in {len(batches)} batch{'' if len(batches) == 1 else 'es'}"
    head = f"{count}, {pace.concurrency} at a time, {pace.pause} between batches"
    lines = [Text(head)]
    for number, batch in enumerate(commands, start=1):
        lines.append(Text(f"batch {number}: {len(batch)}"))
        lines += [Text(harmless(f"  {shlex.join(arguments)}")) for arguments in batch]
    return Group(*lines)
