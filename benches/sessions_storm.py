"""S6, the API storm: a backup comes up while automation works and monitoring polls.

The vCenter works off 300 units a second. For forty seconds a backup lists all machines thirty times a second, at 8
units a time, with a session for each, as proxies do that log in per machine: 360 units/s. Thirty scripts work through
twenty machines each meanwhile, and fifty monitors read one machine every ten seconds. Everything together is more than
the vCenter can do in that time, and less than it can do by the time that the last call loses its patience.
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

    speed: float = 2.0
    calm_s: float = 5.0
    storm_s: float = 40.0
    backups_per_s: float = 30.0
    cost: float = 8.0
    units_per_s: float = 300.0
    workers: int = 15
    monitors: int = 50
    poll_s: float = 10.0
    scripts: int = 30
    patience_s: float = 30.0

    def told(self) -> dict[str, Any]:
        """Return what the vCenter is told of it."""
        unit_ms = self.workers / self.units_per_s * 1000 / self.speed
        costs = {f"{BACKUP}/RetrievePropertiesEx": self.cost}
        return {"users": USERS, "workers": self.workers, "unit_ms": unit_ms, "costs": costs}


QUICK = Storm(calm_s=2.0, storm_s=20.0, scripts=15)


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
    seen, over, loop = Seen(), asyncio.Event(), asyncio.get_running_loop()
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
        began = loop.time()
        for number in range(round(storm.storm_s * storm.backups_per_s)):
            working.append(group.create_task(_backup(caller(f"backup-{number}", seen.backup), seen.backup)))
            await asyncio.sleep(max(0.0, began + (number + 1) / storm.backups_per_s / storm.speed - loop.time()))
        _, late = await asyncio.wait(working, timeout=_SETTLE_S / storm.speed)
        for task in late:
            seen.backup.fail("unfinished")
            task.cancel()
        over.set()
    return seen


async def _backup(caller: Caller, calls: Calls) -> None:
    with contextlib.suppress(CallFailed):
        session = await Session.begin(caller, calls, BACKUP, PASSWORD)
        await session.machines()
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
