"""Paced work from its list to its end: one command per machine, each start and end written down first.

Nothing is ever tried again by itself. What was done before is left out; what failed or is unknown is done again only
when asked (``again``), and an unknown one whose command still runs not even then. When the state file cannot be written
any more, nothing new begins; what is under way comes to its end, and stays unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.errors import FleetError, Stopped
from tidegate.fleet.pace_command import Outcome, environment, filled, run_command
from tidegate.fleet.pace_run import Pacer
from tidegate.fleet.pace_state import Past, StateFile, is_running

__all__ = ["Command", "Told", "Worked", "Worker", "left_over"]


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to one machine: ``began``, ``done`` or ``failed``."""

    vm: str
    did: str
    batch: int
    why: str = ""
    elapsed_s: float = 0.0
    stdout: str = ""
    stderr: str = ""


@dataclass(slots=True)
class Worked:
    """What became of everything."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """What has not begun."""
    before: int = 0
    """How many were done before."""
    stopped: str = ""
    """Why it did not go on."""
    lost: bool = False
    """Whether that is the state file, which cannot be written any more."""


def left_over(
    vms: Sequence[str], past: Mapping[str, Past], *, again: bool, running: Callable[[Past], bool] = is_running
) -> tuple[list[str], Worked]:
    """Return what is to be done, and what became of the rest before."""
    worked = Worked()
    todo: list[str] = []
    for vm in vms:
        was = past.get(vm)
        if was is None:
            todo.append(vm)
        elif was.state == "done":
            worked.before += 1
        elif was.state == "unknown" and running(was):
            worked.unknown[vm] = f"its command still runs (process {was.pid})"
        elif again:
            todo.append(vm)
        elif was.state == "unknown":
            worked.unknown[vm] = "the controller died while its command was running; nobody saw it end"
        else:
            worked.failed[vm] = f"failed before with exit code {was.code}" if was.code is not None else "failed before"
    worked.left = list(todo)
    return todo, worked


@dataclass(frozen=True, slots=True)
class Command:
    """What is run for each machine.

    Parameters
    ----------
    parts
        With a ``{vm}`` in them.
    base
        The environment that it gets, and ``without`` the variables that it does not.
    """

    parts: tuple[str, ...]
    timeout_s: float = 3600.0
    output_max: int = 65536
    base: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


class Worker:
    """Does the work; ``tell`` is told what happens."""

    def __init__(
        self, command: Command, tell: Callable[[Told], None] = lambda _: None, now: Callable[[], float] = time.time
    ) -> None:
        self._command = command
        self._tell = tell
        self._now = now
        self._running: set[asyncio.Task[Outcome]] = set()
        self._broken_off = False
        self._lost = False

    async def work(self, todo: Sequence[str], worked: Worked, state: StateFile, pacer: Pacer) -> Worked:
        """Do everything; return what became of it."""
        for vm in todo:
            filled(self._command.parts, vm)  # refuses names before anything begins
        names = iter(todo)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(pacer.pace.rules.concurrency):
                    group.create_task(self._one_after_the_other(names, worked, state, pacer))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        worked.lost = self._lost
        if pacer.stopped is not None:
            worked.stopped = f"{pacer.stopped.guard}: {pacer.stopped.why}"
        return worked

    def break_off(self) -> None:
        """End what is under way, now."""
        self._broken_off = True
        for task in self._running:
            task.cancel()

    async def _one_after_the_other(self, names: Iterator[str], worked: Worked, state: StateFile, pacer: Pacer) -> None:
        for vm in names:
            try:
                async with pacer.slot(vm) as slot:
                    begun = self._now()
                    if not self._written(pacer, lambda vm=vm, at=begun: state.began(vm, at)):  # type: ignore[misc]
                        return
                    worked.left.remove(vm)
                    slot.ok = await self._one(vm, begun, worked, state, pacer)
            except Stopped:
                return

    def _written(self, pacer: Pacer, write: Callable[[], None]) -> bool:
        """Write to the state file, if that can still be written; else nothing more begins."""
        if not self._lost:
            try:
                write()
            except FleetError as error:
                self._lost = True
                pacer.halt("state", error.message)
        return not self._lost

    async def _one(self, vm: str, begun: float, worked: Worked, state: StateFile, pacer: Pacer) -> bool:
        batch = pacer.pace.batch
        token = pacer.session.token if pacer.session else None
        worked.unknown[vm] = "its command is under way"
        self._tell(Told(vm, "began", batch))

        def started(pid: int) -> None:
            self._written(pacer, lambda: state.runs(vm, self._now(), pid))

        outcome = await self._outcome(vm, token, started)
        if self._written(pacer, lambda: state.ended(vm, self._now(), ok=outcome.ok, code=outcome.code)):
            del worked.unknown[vm]
            if outcome.ok:
                worked.done.append(vm)
            else:
                worked.failed[vm] = outcome.why
        else:
            worked.unknown[vm] = f"{outcome.why or 'its command went well'}, and that could not be written down"
        elapsed, secret = self._now() - begun, token or ""
        did = "done" if outcome.ok else "failed"
        outputs = outcome.stdout.text(secret), outcome.stderr.text(secret)
        self._tell(Told(vm, did, batch, outcome.why, elapsed, *outputs))
        return outcome.ok

    async def _outcome(self, vm: str, token: str | None, started: Callable[[int], None]) -> Outcome:
        running = asyncio.get_running_loop().create_task(
            run_command(
                filled(self._command.parts, vm),
                environment(vm, token, self._command.base, self._command.without),
                timeout_s=self._command.timeout_s,
                output_max=self._command.output_max,
                started=started,
            )
        )
        self._running.add(running)
        try:
            return await running
        except asyncio.CancelledError:
            if not self._broken_off:
                raise
            return Outcome.broken_off()
        finally:
            self._running.discard(running)
