"""Plays a phased restart over a fleet of the lab, with controllers that may be killed, and counts.

A world is the lab's provider, one process that is all the hosts, and one controller at a time. The hosts count their
restarts and time their calls themselves, the provider counts its sessions: the figures come from them and from the
journal, nothing that a killed controller could have taken with it.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.errors import LabError
from tidegate.fleet import events as e
from tidegate.fleet.batches import ordered
from tidegate.fleet.journal_sqlite import SqliteJournal
from tidegate.fleet.machine import status_of
from tidegate.fleet.runner import plan_run
from tidegate.fleet.state import Run, fold
from tidegate.fleet.summary import summary
from tidegate.lab.fleet import JOURNAL, FleetWorld, LabWork, Variant
from tidegate.lab.fleet_calls import Calls, p95_ms, p95_ms_max
from tidegate.lab.world import Child, Message, World, lab_binary

__all__ = ["FleetDemo", "FleetResult", "begin_fleet", "play_fleet"]

_RUN = "demo"
_LOOK_S = 0.05
_KILLING_S = 20.0
"""How long into the run controllers are killed; then one may finish."""
_WHOLE_S = 46.0
_STORM_S = 4.0
"""How long the storm of all hosts is watched, at the most."""
_GRACE_S = 5.0
"""How long the provider may take to say its last word."""
_PROVIDER = {"law": "usl", "knee": 8, "speed": 1.0}
"""It does most with 8 calls at once, and less with every further one."""


@dataclass(frozen=True, slots=True)
class FleetDemo:
    """What is played."""

    hosts: int = 40
    variant: Variant = "stop-all"
    kill: bool = False
    seed: int = 1
    speed: float = 50.0


@dataclass(frozen=True, slots=True)
class FleetResult:
    """What came of it: figures under stable names, and the events of the run."""

    numbers: dict[str, Any]
    events: list[e.Event]


def play_fleet(demo: FleetDemo, watch: Callable[[Run, e.Event], None], *, keep: bool = False) -> FleetResult:
    """Play it once.

    Raises
    ------
    LabError
        When a controller ends in a way that nobody asked for, or the run does not come to its end.
    """
    storm = _storm(demo)
    with World(keep=keep) as processes:
        result = _Play(demo, watch, processes).result()
    return FleetResult({**result.numbers, "storm_p95_ms": storm}, result.events)


def begin_fleet(processes: World, world: FleetWorld) -> Child:
    """Start the provider and the hosts of ``world``, which is made; return the provider."""
    spec = json.dumps({**_PROVIDER, "unit_s": world.unit_s, "seed": world.seed})
    provider, ready = processes.start("provider", [lab_binary(), "provider", spec])
    module = [sys.executable, "-m", "tidegate.lab.fleet_host_process"]
    processes.start("hosts", [*module, world.folder, ready["address"]])
    return provider


def _storm(demo: FleetDemo) -> float:
    """Let all hosts come back at once, in a world of their own; return the 95th percentile in milliseconds.

    It is watched for some seconds at the most: what has no answer then counts with its age, so that it took longer.
    """
    with World() as processes:
        world = FleetWorld(processes.folder, seed=demo.seed)
        world.make(demo.hosts)
        began = time.time()
        for host in world.hosts.all():
            world.hosts.write(host.stopped().started(began))
        begin_fleet(processes, world)
        calls, until = Calls(world.folder), time.time() + _STORM_S
        while time.time() < until and sum(call.answered is not None for call in calls.read()) < demo.hosts:
            _heard(processes)
        now = time.time()
        return round(p95_ms(calls.read(), now, now - began), 1)


def _heard(processes: World) -> list[tuple[str, Message]]:
    """Hear the processes for a moment.

    Raises
    ------
    LabError
        When one has ended that outlives every controller.
    """
    heard = list(processes.hear(_LOOK_S))
    for who, message in heard:
        if who in {"provider", "hosts"} and message["kind"] == "ended":
            raise LabError(f"the {who} ended before the run: {message['why']}")
    return heard


class _Play:
    def __init__(self, demo: FleetDemo, watch: Callable[[Run, e.Event], None], processes: World) -> None:
        self._demo, self._watch, self._processes = demo, watch, processes
        self._rng = random.Random(demo.seed)  # noqa: S311 (when a controller dies is no secret)
        self._world = FleetWorld(processes.folder, demo.variant, demo.speed, demo.seed)
        hosts = ordered(self._world.make(demo.hosts))
        self._provider, self._calls = begin_fleet(processes, self._world), Calls(processes.folder)
        self._journal = SqliteJournal(processes.folder / JOURNAL)
        work = LabWork(self._world, self._calls)
        planned = asyncio.run(plan_run(work, hosts, self._world.policy, at=time.time()))
        self._journal.plan(_RUN, planned)
        self._run, self._seq = fold([planned]), 1
        self._approve()
        self.kills, self._controllers = 0, 0

    def _approve(self) -> None:
        """Approve what the operator of a demo approves by starting it."""
        for phase, one in enumerate(self._run.plan.phases):
            if one.spec.approval:
                self._journal.append(_RUN, e.Approved(at=time.time(), phase=phase, by="demo"))

    def result(self) -> FleetResult:
        """Let controllers work until the run is over."""
        began = time.monotonic()
        while not self._run.ended:
            if time.monotonic() - began > _WHOLE_S:
                raise LabError(f"the run is not over after {_WHOLE_S:g} s: it is {status_of(self._run)}")
            self._one_life(began)
        self._follow()
        events = [event for _, event in self._journal.events(_RUN)]
        self._journal.close()
        numbers = self._numbers(time.monotonic() - began)
        return FleetResult({**numbers, "provider_sessions": self._last_words()["sessions_made"]}, events)

    def _one_life(self, began: float) -> None:
        """Start a controller; let it work to its end, or kill it."""
        self._controllers += 1
        module = [sys.executable, "-m", "tidegate.lab.fleet_controller"]
        name = f"controller-{self._controllers}"
        child, _ = self._processes.start(name, [*module, self._processes.folder, _RUN])
        born, first = time.monotonic(), self._seq
        events, age = self._dies_after()
        while True:
            for who, message in _heard(self._processes):
                if who == name and message["kind"] == "ended":
                    self._ended(child, message["why"])
                    return
            self._follow()
            now = time.monotonic()
            if self._demo.kill and now - began < _KILLING_S and (self._seq - first >= events or now - born >= age):
                child.process.kill()
                child.process.wait()
                self.kills += 1
                return
            if now - began > _WHOLE_S:
                return

    def _dies_after(self) -> tuple[int, float]:
        """Return after how many events, or seconds, this controller dies; the first one always does."""
        if self.kills and self._rng.getrandbits(1):
            return sys.maxsize, self._rng.uniform(0.2, 2.5)
        return self._rng.randrange(3, max(5, self._demo.hosts * 2)), float("inf")

    def _ended(self, child: Child, why: str) -> None:
        self._follow()
        if child.process.wait(5) and not self._run.ended:
            raise LabError(f"a controller failed: {why}", hint="--keep leaves its log to look at")

    def _follow(self) -> None:
        """Read what the controllers have written since."""
        for number, event in self._journal.events(_RUN, self._seq):
            self._seq = number
            self._run.apply(event)
            self._watch(self._run, event)

    def _last_words(self) -> Message:
        """Return what the provider has counted."""
        self._provider.say({"cmd": "stop"})
        for who, message in self._processes.hear(_GRACE_S):
            if who == "provider" and message["kind"] == "final":
                return message
        raise LabError("the provider did not say its last word", hint="--keep leaves its log to look at")

    def _numbers(self, seconds: float) -> dict[str, Any]:
        hosts, figures = list(self._world.hosts.all()), summary(_RUN, self._run)
        return {
            "format": 1,
            "hosts": len(hosts),
            "restarted": sum(host.starts > 0 and host.state == "running" for host in hosts),
            "batches": figures["batches"],
            "max_batch": figures["max_batch"],
            "guard_stops": figures["guard_stops"],
            "restarted_twice": sum(host.starts > 1 for host in hosts),
            "kills": self.kills,
            "provider_p95_ms_max": round(p95_ms_max(self._calls.read()), 1),
            "status": figures["status"],
            "verified": figures["verified"],
            "failed": figures["failed"],
            "controllers": self._controllers,
            "variant": self._demo.variant,
            "seed": self._demo.seed,
            "speed": round(self._demo.speed, 1),
            "seconds": round(seconds, 1),
        }
