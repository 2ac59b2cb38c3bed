"""What tests of runs share: plans that need no host, and a world of hosts that count what is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Verdict
from tidegate.fleet.events import Phase, Planned, Policy
from tidegate.fleet.machine import phases_of
from tidegate.fleet.model import Plan

__all__ = ["CURRENT", "MAINTENANCE", "ROLLING", "STOP_ALL", "FakeWork", "Service", "hosts_named", "planned", "work"]

STOP_ALL = (
    PhaseSpec("stop all", "stop", batched=False, concurrency=3, approval=True, says="stops all"),
    PhaseSpec("start", "start", concurrency=4, deadline_s=60, again_s=5),
)
ROLLING = (PhaseSpec("restart", "restart", concurrency=4, deadline_s=60, again_s=5),)
MAINTENANCE = (PhaseSpec("convert", "convert", concurrency=1, spare_cluster=True, deadline_s=60, again_s=5),)


def hosts_named(count: int, clusters: int = 0) -> tuple[Host, ...]:
    """Return ``count`` hosts, spread over so many clusters."""
    return tuple(
        Host(f"esx{n:02}", f"192.0.2.{n}", f"c{n % clusters}" if clusters else "") for n in range(1, count + 1)
    )


@dataclass
class Service:
    """The service of one host; ``starts`` and ``stops`` are counted by itself."""

    running: bool = True
    pid: int = 1
    starts: int = 0
    stops: int = 0

    def evidence(self) -> Evidence:
        return {"state": "running" if self.running else "stopped", "pid": self.pid}

    def do(self, step: str) -> None:
        """Do a step as a script under /etc/init.d would: what is so already stays so."""
        if step in {"stop", "restart", "convert"} and self.running:
            self.running = False
            self.stops += 1
        if step in {"start", "restart", "convert"} and not self.running:
            self.running = True
            self.starts += 1
            self.pid += 1


@dataclass
class FakeWork:
    """Does steps to services in this process. ``broken``: (step, host) → the sentence that it fails with."""

    phases: Sequence[PhaseSpec]
    services: dict[str, Service] = field(default_factory=dict)
    broken: dict[tuple[str, str], str] = field(default_factory=dict)
    skip: dict[str, str] = field(default_factory=dict)
    never: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    log: list[tuple[str, str, str]] = field(default_factory=list)
    name: str = "fake"

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        del hosts
        return list(self.notes)

    async def look(self, step: str, host: Host) -> Evidence:
        self.log.append(("look", step, host.name))
        if why := self.skip.get(host.name):
            return {"skip": why}
        return self._service(host).evidence()

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:
        if step == "stop":
            return now["state"] == "stopped"
        if step == "start":
            return now["state"] == "running"
        return now["state"] == "running" and before["pid"] != now["pid"]

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        del before
        self.log.append(("act", step, host.name))
        if why := self.broken.get((step, host.name)):
            raise FleetError(why)
        self._service(host).do(step)
        return self._service(host).evidence()

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        del before
        if host.name in self.never and step != "stop":
            return Verdict(ok=False, sure=False, says="has not reconnected")
        return Verdict(ok=True, sure=True, says="fine", evidence=self._service(host).evidence())

    def commands(self, step: str, host: Host) -> list[str]:
        return [f"ssh {host.address} /etc/init.d/vvold {step}"]

    def undo(self, step: str) -> str | None:
        return {"stop": "start", "restart": "start", "convert": "exit"}.get(step)

    async def close(self) -> None:
        self.log.append(("close", "", ""))

    def _service(self, host: Host) -> Service:
        return self.services.setdefault(host.name, Service())


def planned(
    work: FakeWork,
    hosts: Sequence[Host],
    *,
    policy: Policy | None = None,
    at: float = 1000.0,
    notes: Sequence[str] = (),
) -> Planned:
    """Return the first event of a run."""
    phases: tuple[Phase, ...] = phases_of(work)
    return Planned(
        at=at,
        plan=work.name,
        file="plan.toml",
        text="",
        hosts=tuple(hosts),
        phases=phases,
        policy=policy or Policy(size=2, most=4, pause_s=150),
        notes=tuple(notes),
    )


CURRENT: list[FakeWork] = []
"""What :func:`work` gives out: the newest is the one."""


def work(plan: Plan) -> FakeWork:
    """Stand in for a built-in plan's factory: tests name it in the registry."""
    if plan.options:
        raise FleetError("this plan has no options", hint="leave [options] out")
    return CURRENT[-1]
