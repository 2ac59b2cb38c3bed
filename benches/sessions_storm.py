"""S6, the API storm: a backup comes up while automation works and monitoring polls.

The vCenter works off 200 units a second. Backup jobs begin three times a second for a minute; each logs in, makes a
view and lists all machines ten times, once a second, at 8 units a time: 30 calls/s and 252 units/s. Thirty scripts work
through twenty machines each meanwhile, and fifty monitors read one machine every ten seconds. Everything together is
more than the vCenter can do in that minute; the half minute after it is for the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Caller, Calls, Ref, Target
from tidegate.lab.vcenter_habits import ScriptsSpec
from tidegate.lab.vcenter_scenario import PASSWORD, USER
from tidegate.lab.vcenter_scripts import Scripts
from tidegate.lab.vcenter_session import Session

BACKUP, MONITORS = "backup@vsphere.local", "monitoring@vsphere.local"
USERS = ",".join((USER, BACKUP, MONITORS))
_SETTLE_S = 45.0
"""How long after the storm may be worked on, in seconds of the world."""


@dataclass(frozen=True)
class Storm:
    """Its size. Lengths of time are the world's; ``speed`` divides them."""

    speed: float = 4.0
    calm_s: float = 10.0
    storm_s: float = 60.0
    jobs_per_s: float = 3.0
    lists: int = 10
    every_s: float = 1.0
    cost: float = 8.0
    units_per_s: float = 200.0
    workers: int = 10
    monitors: int = 50
    poll_s: float = 10.0
    scripts: int = 30
    patience_s: float = 30.0

    def told(self) -> dict[str, Any]:
        """Return what the vCenter is told of it."""
        unit_ms = self.workers / self.units_per_s * 1000 / self.speed
        costs = {f"{BACKUP}/RetrievePropertiesEx": self.cost}
        return {"users": USERS, "workers": self.workers, "unit_ms": unit_ms, "costs": costs}


QUICK = Storm(calm_s=4.0, storm_s=30.0, scripts=15)


@dataclass
class Seen:
    """What became of the calls of each."""

    backup: Calls = field(default_factory=Calls)
    monitors: Calls = field(default_factory=Calls)
    scripts: Calls = field(default_factory=Calls)

    def all(self) -> tuple[Calls, Calls, Calls]:
        """Return all three."""
        return self.backup, self.monitors, self.scripts


async def play(storm: Storm, target: Target, ca: str, seed: int) -> Seen:
    """Play it once."""
    seen, over = Seen(), asyncio.Event()
    spec = ScriptsSpec(
        target.host,
        target.port,
        target.name,
        ca,
        USER,
        PASSWORD,
        scripts=storm.scripts,
        spread_s=storm.storm_s / storm.speed,
        pause_s=5 / storm.speed,
        patience_s=storm.patience_s / storm.speed,
        window_s=(storm.storm_s + _SETTLE_S) / storm.speed,
        seed=seed,
    )
    scripts = Scripts(spec)
    scripts.calls = seen.scripts

    def caller(agent: str, calls: Calls) -> Caller:
        return Caller(target, calls, patience_s=storm.patience_s / storm.speed, agent=agent)

    async with asyncio.TaskGroup() as group:
        for number in range(storm.monitors):
            after_s = number / storm.monitors * storm.poll_s
            group.create_task(_monitor(storm, caller(f"monitor-{number}", seen.monitors), seen.monitors, after_s, over))
        await asyncio.sleep(storm.calm_s / storm.speed)
        working = [group.create_task(scripts.play())]
        for number in range(round(storm.storm_s * storm.jobs_per_s)):
            working.append(group.create_task(_job(storm, caller(f"backup-{number}", seen.backup), seen.backup)))
            await asyncio.sleep(1 / storm.jobs_per_s / storm.speed)
        _, late = await asyncio.wait(working, timeout=_SETTLE_S / storm.speed)
        for task in late:
            seen.backup.fail("unfinished")
            task.cancel()
        over.set()
    return seen


async def _job(storm: Storm, caller: Caller, calls: Calls) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(CallFailed):
        session = await Session.begin(caller, calls, BACKUP, PASSWORD)
        due = loop.time()
        for _ in range(storm.lists):
            await session.machines()
            due += storm.every_s / storm.speed
            await asyncio.sleep(max(0.0, due - loop.time()))
        await session.destroy_view()
        await session.end()
    caller.close()


async def _monitor(storm: Storm, caller: Caller, calls: Calls, after_s: float, over: asyncio.Event) -> None:
    session: Session | None = None
    machine: Ref | None = None
    await _unless(over, after_s / storm.speed)
    while not over.is_set():
        try:
            if session is None or machine is None:
                session = await Session.begin(caller, calls, MONITORS, PASSWORD)
                machine = (await session.machines())[0]
            await session.read(machine)
        except CallFailed as error:
            if error.why == "NotAuthenticated":
                session = None
        await _unless(over, storm.poll_s / storm.speed)
    caller.close()


async def _unless(over: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await over.wait()
