"""Plays a scenario once, without or with the gate, and measures.

All times that come out are wall seconds since ``go``, in the sped-up world.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.config.write import to_toml
from tidegate.errors import GateUnreachable, LabError
from tidegate.gate.admin import AdminClient
from tidegate.lab.scenario import WINDOW_FLOORS, Scenario
from tidegate.lab.world import World, lab_binary

__all__ = ["Moment", "Result", "play"]

_LOOK_S = 0.25
"""Seconds between two looks at the gate's status."""
_GRACE_S = 5.0
"""How long after the window the storm may take to say its last word."""

Sample = dict[str, Any]


@dataclass(slots=True)
class Moment:
    """How things stand, for who watches."""

    t: float = 0.0
    window_s: float = 0.0
    floor_s: float = 0.0
    connected: int = 0
    waiting_retry: int = 0
    failed_attempts: int = 0
    timeouts: int = 0
    in_flight: int = 0
    limit: int | None = None
    batch: int | None = None
    """Of the clients that the gate lets back in, while it does so batch by batch."""
    held: int = 0
    turned_away: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Result:
    """What one run came to."""

    gate: bool
    window_s: float = 0.0
    floor_s: float = 0.0
    provider: Sample = field(default_factory=dict)
    storm: Sample = field(default_factory=dict)
    counters: Sample | None = None
    """The gate's counters at the end; ``None`` without a gate."""
    limit_found: int | None = None
    """The limit with which the provider got most done, as far as the gate knows."""
    provider_samples: list[Sample] = field(default_factory=list)
    storm_samples: list[Sample] = field(default_factory=list)
    gate_samples: list[Sample] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """Return the figures of this run under their stable names."""
        counters = self._counters()
        shares = [float(process.get("cpu_share") or 0.0) for process in (self.provider, self.storm)]
        return {
            "connected": self.storm["connected"],
            "last_connected_s": _rounded(self.storm["last_connected_s"]),
            "failed_attempts": self.storm["failed_attempts"],
            "wasted_work": round(float(self.provider["wasted_work"]), 4),
            "max_in_flight": self.provider["max_in_flight"],
            "timeouts": self.storm["timeouts"],
            **counters,
            "lab_cpu_share": round(max(shares), 3),
        }

    def _counters(self) -> dict[str, int]:
        if self.counters is not None:
            away = sum(self.counters["turned_away"].values())
            names = ("arrived", "admitted", "client_gone")
            return {**{name: self.counters[name] for name in names}, "turned_away": away}
        # Nobody stands in the way: what arrives is admitted, unless the provider's own backlog refuses it.
        requests, refused = int(self.provider["requests"]), int(self.provider["refused"])
        return {"arrived": requests + refused, "admitted": requests, "client_gone": 0, "turned_away": refused}

    def bottleneck(self) -> str | None:
        """Return the sentence that says that the lab itself was too slow for its figures to mean anything."""
        return self.provider.get("bottleneck") or self.storm.get("bottleneck")


def play(scenario: Scenario, *, gate: bool, watch: Callable[[Moment], None], keep: bool = False) -> Result:
    """Play ``scenario`` once.

    Parameters
    ----------
    gate
        Whether the gate stands between the hosts and the provider.
    watch
        Called a few times a second with how things stand.
    keep
        Leave the world's folder.

    Raises
    ------
    LabError
        When a process of the world does not start, or ends before its time.
    """
    with World(keep=keep) as world:
        return _Run(world, scenario, gate, watch).result()


class _Run:
    def __init__(self, world: World, scenario: Scenario, gate: bool, watch: Callable[[Moment], None]) -> None:
        self._world, self._watch, self._moment = world, watch, Moment()
        self._result = Result(gate=gate)
        lab, folder = lab_binary(), world.folder
        if scenario.passthrough:
            world.run([lab, "certificates", folder, "--hosts", str(scenario.hosts)])
        spec = world.write("provider.json", json.dumps(scenario.provider(folder)))
        self._provider, ready = world.start("provider", [lab, "provider", f"@{spec}"])
        floor = scenario.floor_s(float(ready["best_rate"]))
        self._result.floor_s = self._moment.floor_s = floor / scenario.speed
        self._result.window_s = self._moment.window_s = WINDOW_FLOORS * floor / scenario.speed
        target = ready["address"]
        self._admin: AdminClient | None = None
        if gate:
            target = self._start_gate(scenario, target)
        storm = world.write("storm.json", json.dumps(scenario.storm(folder, target, WINDOW_FLOORS * floor)))
        self._storm, _ = world.start("storm", [lab, "storm", f"@{storm}"])

    def _start_gate(self, scenario: Scenario, server: str) -> str:
        folder = self._world.folder
        file = self._world.write("gate.toml", to_toml(scenario.gate(folder, server)))
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "tidegate",
            "gate",
            "run",
            file,
            "--output",
            "jsonl",
            "--until-eof",
        ]
        _, ready = self._world.start("gate", command)
        self._admin = AdminClient(folder / "admin.sock")
        return str(ready["services"]["vasa"])

    def result(self) -> Result:
        """Let the storm loose and return what came of it."""
        for child in (self._provider, self._storm):
            child.say({"cmd": "go"})
        began = time.monotonic()
        deadline = began + self._result.window_s + _GRACE_S
        while not self._result.storm:
            if time.monotonic() > deadline:
                raise LabError("the storm did not end with its window", hint="--keep leaves its log to look at")
            self._hear(_LOOK_S)
            self._look(began)
        self._settle(began)
        self._provider.say({"cmd": "stop"})
        deadline = time.monotonic() + _GRACE_S
        while not self._result.provider:
            if time.monotonic() > deadline:
                raise LabError("the provider did not say its last word", hint="--keep leaves its log to look at")
            self._hear(_LOOK_S)
        return self._result

    def _hear(self, within_s: float) -> None:
        result, moment = self._result, self._moment
        for name, message in self._world.hear(within_s):
            match name, message["kind"]:
                case "provider", "sample":
                    result.provider_samples.append(message)
                    moment.in_flight = message["in_flight"]
                case "storm", "sample":
                    result.storm_samples.append(message)
                    moment.connected, moment.t = message["connected"], message["t"]
                    moment.failed_attempts, moment.timeouts = message["failed_attempts"], message["timeouts"]
                    moment.waiting_retry = message["waiting_retry"]
                case "provider", "final":
                    result.provider = message
                case "storm", "final":
                    result.storm = message
                    return
                case _, "ended" if not self._expected_end(name):
                    raise LabError(f"{name} ended before its time: {message['why']}")

    def _expected_end(self, name: str) -> bool:
        return bool(self._result.storm if name == "storm" else name == "provider" and self._result.provider)

    def _look(self, began: float) -> dict[str, Any] | None:
        """Look at the gate's status and tell who watches."""
        service: dict[str, Any] | None = None
        if self._admin:
            try:
                service = self._admin.status()["services"][0]
            except GateUnreachable as error:
                raise LabError(f"the gate does not answer any more: {error.message}") from None
            away = {reason: n for reason, n in service["counters"]["turned_away"].items() if n}
            self._moment.held, self._moment.turned_away = service["held_total"], away
            server = service["servers"][0]
            self._moment.limit, recovery = server["limit"], server["recovery"]
            self._moment.batch = recovery["batch"] if recovery else None
            self._result.limit_found = server["why"]["best"] or server["limit"]
            t = round(time.monotonic() - began, 3)
            self._result.gate_samples.append({"t": t, "held": service["held"], "turned_away": away})
        self._watch(self._moment)
        return service

    def _settle(self, began: float) -> None:
        """Wait until the gate knows the fate of every call: its counters then add up exactly."""
        deadline = time.monotonic() + _GRACE_S
        while service := self._look(began):
            counters = service["counters"]
            self._result.counters = counters
            away = sum(counters["turned_away"].values())
            if counters["arrived"] == counters["admitted"] + away + counters["client_gone"]:
                return
            if time.monotonic() > deadline:
                raise LabError("calls are still without a fate after the storm", hint="this is a defect of the gate")
            self._hear(_LOOK_S)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)
