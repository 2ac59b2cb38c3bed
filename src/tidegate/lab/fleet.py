"""A fleet to rehearse on: hosts that are files, and the restart of their service.

The work is that of ``vvold-phased-restart`` with the transports left out. Every duration of a plan is divided by
``speed``. Whether a host has reconnected, and how long the provider took, is what the hosts have measured
(``fleet_calls``), in wall time.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Readings, Trip, Verdict
from tidegate.fleet.events import Policy
from tidegate.lab.fleet_calls import Calls, Reconnects, p95_ms
from tidegate.lab.fleet_hosts import FleetHosts, Misbehaviour

__all__ = ["FleetWorld", "LabGuard", "LabProbe", "LabWork", "Variant"]

Variant = Literal["stop-all", "rolling"]

JOURNAL = "fleet.db"
"""The journal's name in a world's folder."""
GUARD_S = 0.6
"""The provider's 95th percentile at which the guard of a world stops the run."""


@dataclass(frozen=True)
class FleetWorld:
    """One world: its folder, and how fast time passes in it. It is kept in the folder too.

    Parameters
    ----------
    hang_s
        How long a host that hangs does so, in seconds of a plan.
    unit_s
        How long a ``setContext`` alone takes at the provider, in seconds of wall time.
    """

    folder: Path
    variant: Variant = "stop-all"
    speed: float = 50.0
    seed: int = 1
    hang_s: float = 60.0
    unit_s: float = 0.06

    def make(self, count: int, misbehaving: dict[int, Misbehaviour] | None = None) -> list[Host]:
        """Make the hosts, and write down what the world is."""
        world = {**dataclasses.asdict(self), "folder": str(self.folder)}
        hosts = self.hosts.make(count, self.seed, misbehaving)
        (self.folder / "world.txt").write_text(json.dumps(world), encoding="utf-8")
        return hosts

    @classmethod
    def read(cls, folder: Path) -> FleetWorld:
        """Return the world that is in ``folder``."""
        world: dict[str, Any] = json.loads((folder / "world.txt").read_text(encoding="utf-8"))
        return cls(**{**world, "folder": folder})

    @cached_property
    def hosts(self) -> FleetHosts:
        """Its hosts."""
        return FleetHosts.of(self.folder)

    @property
    def policy(self) -> Policy:
        """The article's batches and pauses, faster."""
        return Policy(size=5, most=10, pause_s=150 / self.speed, patience_s=900 / self.speed)


class LabWork:
    """``vvold-phased-restart`` on the hosts of a world.

    Parameters
    ----------
    reconnects
        Who says whether a host has reconnected.
    """

    name = "lab-phased-restart"

    def __init__(self, world: FleetWorld, reconnects: Reconnects, clock: Callable[[], float] = time.time) -> None:
        self._world, self._hosts, self._reconnects, self._clock = world, world.hosts, reconnects, clock
        again, deadline = max(0.01, 5 / world.speed), 120 / world.speed + 2.0
        start = {"deadline_s": deadline, "again_s": again}
        if world.variant == "rolling":
            self.phases: Sequence[PhaseSpec] = (PhaseSpec("restart in batches", "restart", **start),)  # type: ignore[arg-type]
        else:
            says = "stops the service on every host: nothing reconnects until it is started again"
            self.phases = (
                PhaseSpec("stop all", "stop", batched=False, concurrency=20, approval=True, says=says, again_s=again),
                PhaseSpec("start in batches", "start", **start),  # type: ignore[arg-type]
            )

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """Say what an operator should know."""
        return [f"{len(hosts)} hosts of the lab; durations are divided by {self._world.speed:g}"]

    async def look(self, step: str, host: Host) -> Evidence:
        """Read the host's file."""
        del step
        return self._hosts.read(host.name).evidence()

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:
        """Compare identities."""
        if step == "stop":
            return now["state"] == "stopped"
        if step == "start":
            return now["state"] == "running"
        return now["state"] == "running" and (now["boot_id"], now["pid"]) != (before["boot_id"], before["pid"])

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Change the host's file, as it behaves."""
        del before
        now = self._hosts.read(host.name)
        if step in {"stop", "restart"}:
            now = now.stopped()
            self._hosts.write(now)
        await asyncio.sleep(1 / self._world.speed)
        if step in {"start", "restart"}:
            match now.misbehaves:
                case "fails":
                    raise FleetError("/etc/init.d/vvold start: exit code 1")
                case "hangs":
                    await asyncio.sleep(self._world.hang_s / self._world.speed)
                    raise HostUnreachable(f"/etc/init.d/vvold start gave no answer within {self._world.hang_s:g} s")
                case "slow":
                    await asyncio.sleep(20 / self._world.speed)
            now = now.started(self._clock())
            self._hosts.write(now)
        return now.evidence()

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Look whether the host is connected to the provider."""
        del before
        now = self._hosts.read(host.name)
        if step == "stop":
            return Verdict(ok=now.state == "stopped", sure=True, says=now.state, evidence=now.evidence())
        if now.state == "stopped":
            return Verdict(ok=False, sure=True, says="its service is stopped", evidence=now.evidence())
        if not now.starts:
            return Verdict(ok=True, sure=True, says="was never stopped", evidence=now.evidence())
        last = self._reconnects.last(host.name, now.starts)
        if last is None or last.answered is None or not last.connected:
            why = f": {last.why}" if last is not None and last.why else ""
            return Verdict(ok=False, sure=False, says=f"has not reconnected{why}", evidence=now.evidence())
        says = f"connected, after {last.answered - last.came:.2f} s"
        return Verdict(ok=True, sure=True, says=says, evidence=now.evidence())

    def commands(self, step: str, host: Host) -> list[str]:
        """Return what the article tells people to run."""
        steps = ["stop", "start"] if step == "restart" else [step]
        return [f"ssh root@{host.address} /etc/init.d/vvold {one}" for one in steps]

    def undo(self, step: str) -> str | None:
        """Start what was stopped."""
        return "start" if step in {"stop", "restart"} else None

    async def close(self) -> None:
        """Nothing is open."""


class LabProbe:
    """Reads the provider's 95th percentile in seconds, as its hosts have measured it."""

    name = "provider"

    def __init__(self, calls: Calls, clock: Callable[[], float] = time.time) -> None:
        self._calls, self._clock = calls, clock

    async def sample(self) -> float:
        """Read it."""
        return p95_ms(self._calls.read(), self._clock()) / 1000


@dataclass(frozen=True, slots=True)
class LabGuard:
    """Stops the run when the provider's 95th percentile is above ``most_s``."""

    most_s: float
    name: str = "provider"
    kind: str = "provider-response"

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Judge the newest sample."""
        last = readings.last("provider")
        if last is None or now - last.at > 60:
            return Trip(self.name, "there is no sample of the provider's response time")
        if last.value <= self.most_s:
            return None
        return Trip(self.name, f"the provider's p95 is {last.value * 1000:.0f} ms, above {self.most_s * 1000:.0f} ms")
