"""Carries out a run: asks the machine, does what it says, writes down what happened, and asks again.

All the decisions are the machine's. Here is what it knows nothing of: tasks, probes, the journal, the clock (which is
handed in). An intent is in the journal before the act begins. A step that fails is a failed host. When the journal is
lost, nothing more is begun; what is under way is waited for, and it is said which hosts it is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tidegate.errors import FleetError
from tidegate.fleet import events as e
from tidegate.fleet.act import Evidence, Guard, Host, Probe, Readings, Remembers, Trip, Work
from tidegate.fleet.journal import Journal
from tidegate.fleet.machine import Do, Leave, Record, Seen, Wait, decide
from tidegate.fleet.sampling import sampled
from tidegate.fleet.state import Run, fold

__all__ = ["Pace", "Runner", "Tools", "plan_run"]

Result = TypeVar("Result")
Call = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the runner looks around, in seconds."""

    tick_s: float = 1.0
    """Between two looks at guards and wishes, at the most."""
    sample_s: float = 5.0
    """Between two samples of a probe."""
    keep_s: float = 10.0
    """Between two samples of a probe that the journal keeps."""


async def plan_run(
    work: Work,
    hosts: Sequence[Host],
    policy: e.Policy,
    source: tuple[str, str] = ("", ""),
    *,
    at: float,
) -> e.Planned:
    """Return the first event of a run; the work has looked at everything once.

    Parameters
    ----------
    work, hosts, policy
        What is done, to whom, and how fast.
    source
        The plan's file and its text.
    at
        Now.

    Raises
    ------
    FleetError
        When the work refuses, or a phase would take a whole cluster.
    """
    # Late: targets read files, and the runner does not.
    from tidegate.fleet.machine import phases_of
    from tidegate.fleet.targets import refuse_whole_clusters

    refuse_whole_clusters(hosts, list(work.phases))
    notes = await work.prepare(hosts)
    return e.Planned(
        at=at,
        plan=work.name,
        file=source[0],
        text=source[1],
        hosts=tuple(hosts),
        phases=phases_of(work),
        policy=policy,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class Tools:
    """What a controller works with.

    Parameters
    ----------
    guards, probes
        What stops the run, and what they go by.
    by
        Who this controller is ("db1:4711").
    clock
        Seconds since 1970.
    call
        Calls the journal, which blocks: in a thread, unless a test says otherwise.
    watch
        Is told every event, with the run as it stands after it.
    pace
        How often to look around.
    """

    guards: Sequence[Guard] = ()
    probes: Sequence[Probe] = ()
    by: str = ""
    clock: Callable[[], float] = time.time
    call: Call = asyncio.to_thread
    watch: Callable[[Run, e.Event], None] | None = None
    pace: Pace = Pace()


def _named(hosts: Iterable[str]) -> str:
    names = sorted(hosts)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


class Runner:
    """The controller of the run ``run`` in ``journal``, whose lock the caller holds."""

    def __init__(self, journal: Journal, run: str, work: Work, tools: Tools | None = None) -> None:
        self._journal, self._name, self._work = journal, run, work
        self._tools = tools or Tools()
        self._clock, self._call, self._pace = self._tools.clock, self._tools.call, self._tools.pace
        self._readings = Readings()
        self._kept: dict[str, float] = {}
        self._unread: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._busy: dict[str, Do] = {}
        self._looked: set[str] = set()
        self._known: dict[str, str] = {}
        self._seq = 0
        self._heard_at = float("-inf")
        self._quiet_since: float | None = None
        self._lost: FleetError | None = None
        self._unwritten: list[str] = []
        self._wants_pause = False
        self._run: Run | None = None
        self.waits: Wait | None = None
        """What the run waits for, while it does."""

    @property
    def run(self) -> Run:
        """The run as it stands."""
        if self._run is None:
            raise FleetError("the run has not been read yet")
        return self._run

    def ask_pause(self) -> None:
        """Pause after the hosts that are being worked on; safe to call from a signal handler of the loop."""
        self._wants_pause = True
        self._changed.set()

    async def drive(self) -> str:
        """Go on with the run until there is nothing more to do; return why (see :class:`Leave`).

        Raises
        ------
        JournalLost
            When the journal is lost; the hosts under way have been waited for.
        """
        events = await self._call(self._journal.events, self._name)
        self._seq = events[-1][0]
        self._run = fold(event for _, event in events)
        self._remind(event for _, event in events)
        for steps in self.run.steps:
            for name, step in steps.items():
                self._same_host(name, step.before or {})
        try:
            if self.run.ended:
                return self.run.ended
            await self._write(e.Taken(at=self._clock(), by=self._tools.by))
            self._quiet_since = self._clock()
            await asyncio.gather(*(self._sample(probe) for probe in self._tools.probes))
            return await self._among_tasks()
        finally:
            await self._work.close()

    def _remind(self, events: Iterable[e.Event]) -> None:
        """Tell the work what earlier controllers have recorded, when this one has taken the run over."""
        if isinstance(self._work, Remembers):
            for event in events:
                if isinstance(event, (e.Looked, e.Acted, e.Verified, e.Failed)):
                    self._work.remember(self.run.hosts[event.host], event.evidence)

    async def _among_tasks(self) -> str:
        async with asyncio.TaskGroup() as group:
            probing = [group.create_task(self._probe(probe)) for probe in self._tools.probes]
            why = await self._loop(group)
            for task in probing:
                task.cancel()
        if self._lost is None:
            return why
        said = []
        if self._unwritten:
            said.append(f"what became of {_named(self._unwritten)} is not written")
        if stopped := self.run.left().keys() - set(self._unwritten):
            said.append(f"STILL STOPPED: {_named(stopped)}")
        if said:
            self._lost.hint = "; ".join([*said, self._lost.hint or "`tidegate fleet resume` looks at them first"])
        raise self._lost

    async def _loop(self, group: asyncio.TaskGroup) -> str:
        while True:
            self._changed.clear()
            until, leave, again = None, "", False
            try:
                if self._lost is None:
                    await self._hear()
                    until, leave, again = await self._turn(group)
            except FleetError as error:
                self._lost = self._lost or error
            if leave or (self._lost is not None and not self._busy):
                return leave
            if not again:
                await self._pass_time(until)

    async def _turn(self, group: asyncio.TaskGroup) -> tuple[float | None, str, bool]:
        """Do what the machine says now; return until when to wait, why to leave, and whether to ask at once."""
        until, again = None, False
        self.waits = None
        for action in decide(self.run, self._clock(), self._look_around()):
            match action:
                case Record(event):
                    await self._write(event)
                    again = True
                case Do():
                    self._busy[action.host] = action
                    group.create_task(self._do(action))
                case Wait(when):
                    until, self.waits = when, action
                case Leave(why):
                    return None, why, False
        return until, "", again

    def _look_around(self) -> Seen:
        """Ask every guard."""
        now = self._clock()
        self._readings.add("hosts-failed", now, len(self.run.failed))
        asked = [(guard.kind, guard.judge(self._readings, now)) for guard in self._tools.guards]
        trips = [(kind, self._explained(trip)) for kind, trip in asked if trip is not None]
        if trips:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        return Seen(frozenset(self._busy), tuple(trips), self._quiet_since, frozenset(self._looked))

    def _explained(self, trip: Trip) -> Trip:
        """Add what the guard's probe said when it could read nothing."""
        said = self._unread.get(trip.guard)
        return replace(trip, why=f"{trip.why} ({said})") if said else trip

    async def _pass_time(self, until: float | None) -> None:
        rest = self._pace.tick_s if until is None else min(self._pace.tick_s, max(0.0, until - self._clock()) + 0.001)
        try:
            async with asyncio.timeout(rest):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _hear(self) -> None:
        """Read what others have written: an abort, an approval, a pause."""
        if self._wants_pause:
            self._wants_pause = False
            if not self.run.paused:
                await self._write(e.PauseAsked(at=self._clock(), by=self._tools.by))
        now = self._clock()
        if now - self._heard_at < self._pace.tick_s / 2:
            return
        self._heard_at = now
        async with self._writing:
            found = await self._call(self._journal.events, self._name, self._seq)
            for number, event in found:
                self._seq = number
                self._happen(event)

    async def _write(self, event: e.Event) -> None:
        """Write an event, then let it happen; what others wrote before it happens first."""
        async with self._writing:
            if self._lost is not None:
                raise self._lost
            try:
                number = await self._call(self._journal.append, self._name, event)
                found = [(number, event)]
                if number != self._seq + 1:
                    found = await self._call(self._journal.events, self._name, self._seq)
            except FleetError as error:
                self._lost = error
                raise
            for number, one in found:
                self._seq = number
                self._happen(one)

    def _happen(self, event: e.Event) -> None:
        self.run.apply(event)
        self._changed.set()
        if self._tools.watch:
            self._tools.watch(self.run, event)

    async def _do(self, do: Do) -> None:
        """Do one thing to one host and write what came of it; never fails."""
        spec, host = self.run.plan.phases[do.phase].spec, self.run.hosts[do.host]
        try:
            match do.what:
                case "look":
                    await self._look(do, spec.step, host)
                case "act":
                    await self._act(do, spec.step, host)
                case _:
                    await self._verify(do, host)
        except FleetError as error:
            self._lost = self._lost or error
            self._unwritten.append(do.host)
        finally:
            del self._busy[do.host]
            self._changed.set()

    async def _look(self, do: Do, step: str, host: Host) -> None:
        now = await self._tried(do, self._work.look(step, host))
        if now is None:
            return
        at = self._clock()
        if skip := now.get("skip"):
            await self._write(e.Skipped(at=at, phase=do.phase, host=do.host, why=str(skip)))
            return
        if first := self._same_host(do.host, now):
            why = f"{do.host} and {first} are the same host; what is to be done to it is done under the name {first}"
            await self._write(e.Failed(at=at, phase=do.phase, host=do.host, why=why))
            return
        known = self.run.steps[do.phase][do.host]
        again = known.state == "unsure"
        if not again:
            await self._write(e.Looked(at=at, phase=do.phase, host=do.host, evidence=dict(now)))
        if self._work.done(step, now if known.before is None else known.before, now):
            event = e.Acted(at=self._clock(), phase=do.phase, host=do.host, evidence=dict(now), found=True)
            await self._write(event)
        elif again:
            self._looked.add(do.host)

    async def _act(self, do: Do, step: str, host: Host) -> None:
        self._looked.discard(do.host)
        if not self.run.steps[do.phase][do.host].meant:
            await self._write(e.Acting(at=self._clock(), phase=do.phase, host=do.host))
        after = await self._tried(do, self._work.act(step, host, self._before(do)))
        if after is not None:
            await self._write(e.Acted(at=self._clock(), phase=do.phase, host=do.host, evidence=dict(after)))

    async def _verify(self, do: Do, host: Host) -> None:
        spec = self.run.plan.phases[do.phase].spec
        deadline = self._clock() + spec.deadline_s
        while True:
            verdict = await self._tried(do, self._work.verify(spec.step, host, self._before(do)))
            if verdict is None:
                return
            now, evidence = self._clock(), dict(verdict.evidence)
            if verdict.sure and verdict.ok:
                says = verdict.says
                await self._write(e.Verified(at=now, phase=do.phase, host=do.host, says=says, evidence=evidence))
                return
            if verdict.sure or now >= deadline:
                why = verdict.says if verdict.sure else f"{verdict.says}, {spec.deadline_s:g} s after the {spec.step}"
                await self._write(e.Failed(at=now, phase=do.phase, host=do.host, why=why, evidence=evidence))
                return
            await asyncio.sleep(spec.again_s)

    def _same_host(self, host: str, evidence: Evidence) -> str:
        """Return under which other name this host has been looked at already; empty when it has not.

        What was begun under this name is gone on with, whatever the host looks like now.
        """
        ids = [f"{key}={evidence[key]}" for key in ("host_id", "boot_id") if evidence.get(key)]
        firsts = [self._known.setdefault(one, host) for one in ids]
        if any(host in steps and steps[host].began for steps in self.run.steps):
            return ""
        return next((first for first in firsts if first != host), "")

    def _before(self, do: Do) -> Evidence:
        return self.run.steps[do.phase][do.host].before or {}

    async def _tried(self, do: Do, step: Awaitable[Result]) -> Result | None:
        """Return what ``step`` gives; what it raises is written as the host's failure."""
        try:
            return await step
        except FleetError as error:
            why = error.message
        except Exception as error:  # noqa: BLE001 (a defect in one step must not end what others are in the middle of)
            why = f"unexpected {type(error).__name__}: {error}"
        await self._write(e.Failed(at=self._clock(), phase=do.phase, host=do.host, why=why))
        return None

    async def _probe(self, probe: Probe) -> None:
        while True:
            await asyncio.sleep(self._pace.sample_s)
            await self._sample(probe)

    async def _sample(self, probe: Probe) -> None:
        value = await sampled(probe)
        if isinstance(value, str):
            self._unread[probe.name] = value  # no sample is what the guard judges by
            return
        self._unread.pop(probe.name, None)
        now = self._clock()
        self._readings.add(probe.name, now, value)
        self._changed.set()
        if now - self._kept.get(probe.name, float("-inf")) < self._pace.keep_s:
            return
        self._kept[probe.name] = now
        try:
            await self._write(e.Sampled(at=now, name=probe.name, value=value))
        except FleetError as error:
            self._lost = self._lost or error
