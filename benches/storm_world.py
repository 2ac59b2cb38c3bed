"""One storm, played once: the lab's server and hosts as real processes on one CPU, a peer between them on the other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benches.peers import ORIGIN_CPU
from benches.peers.storm import Knobs, Place, launch
from benches.process import BenchError, Process, free_port
from benches.storm_scenarios import FLAP_S, POLL_S, RETRY_S, Event, Scenario
from tidegate.lab.world import Child, World, lab_binary

CENSORED_FLOORS = 6.0
"""A run in which not all hosts are in after so many floors ends there, as "never"."""
SPREAD_S = 2.0
LOOK_S = 0.02
GRACE_S = 10.0
"""Wall seconds that a lab process may take for its last word."""


@dataclass(frozen=True)
class Terms:
    """What all runs of a benchmark have in common."""

    speed: float
    best: Knobs


@dataclass
class Outcome:
    """What came of it. Times are the world's; the curve is (seconds since the start, hosts connected)."""

    scenario: Scenario
    work_floor_s: float
    counted_from_s: float = 0.0
    hosts: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    curve: list[tuple[float, int]] = field(default_factory=list)
    speed: float = 1.0

    @property
    def floor_s(self) -> float:
        """The least time in which all hosts could be in: that of the work, and of waits that no gate can shorten."""
        return self.work_floor_s + self.scenario.least_wait_s

    @property
    def last_connected_s(self) -> float | None:
        """Seconds until the last host was in, from where the scenario counts; None: not before it was censored."""
        last = self.hosts["last_connected_s"]
        if last is None or last * self.speed - self.counted_from_s > CENSORED_FLOORS * self.floor_s:
            return None
        return float(last * self.speed - self.counted_from_s)

    @property
    def bottleneck(self) -> str | None:
        """Why the figures may be about the lab itself, if they may."""
        why: str | None = self.server.get("bottleneck") or self.hosts.get("bottleneck")
        return why

    def metrics(self) -> Iterator[tuple[str, float | None, str]]:
        """Yield (metric, value, unit)."""
        last = self.last_connected_s
        yield "last_connected_over_floor", None if last is None else round(last / self.floor_s, 4), "x"
        yield "failed_attempts_per_host", round(self.hosts["failed_attempts"] / self.scenario.hosts, 3), "1"
        yield "wasted_work", round(self.server["wasted_work"], 5), "share"
        yield "timeouts", self.hosts["timeouts"], "1"
        yield "max_in_flight", self.server["max_in_flight"], "calls"


def play(scenario: Scenario, peer: str, seed: int, terms: Terms) -> Outcome:
    """Play `scenario` once through `peer`.

    Raises
    ------
    BenchError
        The peer does not start, or a process ends before its time.
    LabError
        A lab process does not start.
    """
    with World() as world:
        return _Run(world, scenario, peer, seed, terms).outcome()


class _Run:
    def __init__(self, world: World, scenario: Scenario, peer: str, seed: int, terms: Terms) -> None:
        self._world, self._scenario, self._peer, self._terms = world, scenario, peer, terms
        certificates = world.folder if scenario.tls else None
        if certificates:
            world.run([lab_binary(), "certificates", world.folder, "--hosts", str(scenario.hosts)], within_s=120)
        self._server, ready = self._start("provider", scenario.provider(terms.speed, seed))
        self._outcome = Outcome(scenario, scenario.floor_s(float(ready["best_rate"])), speed=terms.speed)
        target = server = str(ready["address"])
        self._place = Place(world.folder, server, free_port(), terms.speed, seed, "vasa", certificates, terms.best)
        self._gate: Process | None = None
        if peer != "none":
            self._gate = launch(peer, self._place)
            target = f"127.0.0.1:{self._place.port}"
        try:
            self._hosts, _ = self._start("storm", self._storm(target, seed))
        except BaseException:
            self._stop_gate()
            raise

    def _start(self, task: str, spec: dict[str, Any]) -> tuple[Child, dict[str, Any]]:
        path = self._world.write(f"{task}.json", json.dumps(spec))
        command = ["taskset", "--cpu-list", str(ORIGIN_CPU), str(lab_binary()), task, f"@{path}"]
        return self._world.start(task, command, within_s=60)

    def _storm(self, target: str, seed: int) -> dict[str, Any]:
        scenario, floor = self._scenario, self._outcome.floor_s
        longest = sum(event.after_floors * floor + event.lasts_s for event in scenario.events)
        return {
            "target": target,
            "hosts": scenario.hosts,
            "spread_s": max(SPREAD_S, scenario.spread_floors * floor),
            "poll_s": POLL_S,
            "retry": {"kind": "fixed", "min_s": RETRY_S[0], "max_s": RETRY_S[1]},
            "greedy_share": scenario.greedy,
            "window_s": longest + (CENSORED_FLOORS + 1) * floor,
            "speed": self._terms.speed,
            "seed": seed,
            "sample_s": 0.1 * self._terms.speed,
            "tls": {"dir": str(self._world.folder), "name": "gate.lab"} if scenario.tls else None,
        }

    def outcome(self) -> Outcome:
        """Let the storm loose and return what came of it."""
        try:
            self._began = time.monotonic()
            for child in (self._server, self._hosts):
                child.say({"cmd": "go"})
            for event in self._scenario.events:
                self._await(event)
                self._cause(event)
            self._until(self._from() + CENSORED_FLOORS * self._outcome.floor_s)
            self._hosts.say({"cmd": "stop"})
            self._last_word("storm", self._outcome.hosts)
            self._server.say({"cmd": "stop"})
            self._last_word("provider", self._outcome.server)
        finally:
            self._stop_gate()
        return self._outcome

    def _now(self) -> float:
        """World seconds since the start."""
        return (time.monotonic() - self._began) * self._terms.speed

    def _from(self) -> float:
        return self._outcome.counted_from_s

    def _await(self, event: Event) -> None:
        at = self._from() + event.after_floors * self._outcome.work_floor_s
        while self._now() < at:
            self._hear(LOOK_S)
            if event.once_all_in and self._outcome.curve and self._outcome.curve[-1][1] == self._scenario.hosts:
                return

    def _cause(self, event: Event) -> None:
        match event.what:
            case "crash" | "expire":
                self._server.say({"cmd": event.what})
            case "flap":
                self._hosts.say({"cmd": "flap", "for_s": FLAP_S})
            case "kill" if self._gate:
                self._gate.kill()
                self._gate = launch(self._peer, self._place)
        if self._scenario.counts_from_last_event:
            self._outcome.counted_from_s = self._now() + event.lasts_s

    def _until(self, end_s: float) -> None:
        """Listen until the storm ends by itself, or its time is over."""
        while not self._outcome.hosts and self._now() < end_s:
            self._hear(LOOK_S)

    def _last_word(self, name: str, report: dict[str, Any]) -> None:
        deadline = time.monotonic() + GRACE_S
        while not report:
            if time.monotonic() > deadline:
                raise BenchError(f"{name} did not say its last word")
            self._hear(LOOK_S)

    def _hear(self, within_s: float) -> None:
        for name, message in self._world.hear(within_s):
            match name, message["kind"]:
                case "storm", "sample":
                    self._outcome.curve.append((message["t"] * self._terms.speed, message["connected"]))
                case "storm", "final":
                    self._outcome.hosts.update(message)
                case "provider", "final":
                    self._outcome.server.update(message)
                case "storm" | "provider", "ended":
                    said = self._outcome.hosts if name == "storm" else self._outcome.server
                    if not said:
                        raise BenchError(f"{name} ended before its time: {message['why']}")

    def _stop_gate(self) -> None:
        if self._gate:
            self._gate.stop()
            self._gate = None
