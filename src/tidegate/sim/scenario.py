"""What may stand in a scenario's file: a storm to rehearse, one frozen model per table, every default in one place.

Work is counted in units; opening a session is one. The defaults are the world of KB 412434 as far as its figures are
public: a session of one unit and three follow-ups of a third each, a poll every 10 s, 30 s of patience, and another try
10 to 12 s after a failure.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field

from tidegate.config.fields import Name, Table, duration
from tidegate.config.model import Role
from tidegate.sim.policies import Policy
from tidegate.units import Duration

__all__ = [
    "Bulk",
    "Change",
    "Fixed",
    "Flap",
    "GateTable",
    "Greedy",
    "Hosts",
    "Jittered",
    "Network",
    "Poll",
    "RetryAfter",
    "Scenario",
    "ScenarioTable",
    "Server",
    "Step",
]

Law = Literal["usl", "cliff", "convoy"]
"""How a server's throughput falls past its knee."""
Units = Annotated[float, Field(gt=0, le=10_000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**62)]
Places = Annotated[int, Field(ge=1, le=65_536)]

USL_SIGMA = 0.02
"""The share of the work that is serial when only the knee is given."""


class ScenarioTable(Table):
    """``[scenario]``: the run itself."""

    title: str = "A storm of reconnects"
    """What tables and pages are headed with."""
    seed: Seed = 1
    """Of all randomness: the same seed gives the same storm."""
    window: Duration = duration("10m")
    """When the run ends if not all hosts are connected by then."""
    sample: Duration = duration("500ms")
    """Between two points of a curve."""


class Change(Table):
    """``[[server.NAME.change]]``: what happens to a server while the storm is on."""

    at: Duration
    knee: Places | None = None
    """From now on it does most work at so many calls in flight."""
    unit: Duration | None = None
    """From now on one unit of work takes so long."""
    restart_for: Duration | None = None
    """It restarts, and refuses connections for so long; its sessions are lost."""


class Server(Table):
    """``[server.NAME]``: one server, and how it gives way under load."""

    law: Law = "usl"
    """How its throughput falls past its knee."""
    knee: Places | None = None
    """Calls in flight at which it gets most work done."""
    sigma: Annotated[float, Field(ge=0, lt=1)] | None = None
    """With ``kappa`` in place of a knee: the share of the work that is serial."""
    kappa: Annotated[float, Field(gt=0, lt=1)] | None = None
    """What each pair of calls in flight costs in coherency."""
    unit: Duration
    """How long one unit of work takes when the server has nothing else to do."""
    threads: Places = 200
    """Calls that it works on at once, at the most."""
    backlog: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    """Calls that wait for a thread, at the most."""
    full: Literal["reset", "busy"] = "reset"
    """What it does with a call when its backlog is full."""
    session_idle: Duration = duration("5m")
    """A session that nobody uses for so long is lost."""
    down_until: Duration = duration("0s")
    """It refuses connections until then: it restarts when the storm begins."""
    crash_at: Places | None = None
    """It crashes when so many calls are in flight."""
    crash_down: Duration = duration("10s")
    """How long it is down after a crash."""
    cold: Duration = duration("0s")
    """For so long after each start its caches are cold."""
    cold_factor: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Work takes so many times as long while it is cold."""
    change: tuple[Change, ...] = ()

    @property
    def best_in_flight(self) -> int:
        """The calls in flight at which it gets most work done, at least 1."""
        if self.knee is not None:
            return self.knee
        return max(1, round(math.sqrt((1 - (self.sigma or 0.0)) / (self.kappa or 1.0))))

    @property
    def best_rate(self) -> float:
        """The units of work per second that it gets done at best."""
        knee, drag = self.best_in_flight, 1.0
        if self.law == "usl":
            sigma = USL_SIGMA if self.sigma is None else self.sigma
            kappa = (1 - sigma) / knee**2 if self.kappa is None else self.kappa
            drag = 1 + sigma * (knee - 1) + kappa * knee * (knee - 1)
        return knee / (self.unit.seconds * drag)


class Step(Table):
    """One call of a host's way to being connected, or several alike."""

    operation: str
    role: Role
    units: Units
    times: Annotated[int, Field(ge=1, le=1000)] = 1


class Poll(Table):
    """``[hosts.NAME.poll]``: what a connected host asks for again and again."""

    every: Duration = duration("10s")
    operation: str = "getEvents"
    units: Units = 0.01


class Fixed(Table):
    """Try again after ``min`` to ``max``."""

    kind: Literal["fixed"]
    min: Duration = duration("10s")
    max: Duration = duration("12s")


class Greedy(Table):
    """Try again after ``after``, always."""

    kind: Literal["greedy"]
    after: Duration = duration("500ms")


class Jittered(Table):
    """Try again after a random time whose bound doubles from ``base`` to ``cap``."""

    kind: Literal["jittered"]
    base: Duration = duration("1s")
    cap: Duration = duration("30s")


class RetryAfter(Table):
    """Try again when the answer says so, else after ``min`` to ``max``."""

    kind: Literal["retry-after"]
    min: Duration = duration("10s")
    max: Duration = duration("12s")


class Hosts(Table):
    """``[hosts.NAME]``: clients that open a session each, complete it, and then poll."""

    count: Count
    begin: Duration = duration("0s")
    """When they lose their sessions and come back."""
    spread: Duration = duration("2s")
    """All of them have come back after so long."""
    timeout: Duration = duration("30s")
    """How long one waits for an answer."""
    script: tuple[Step, ...] = (
        Step(operation="setContext", role="open", units=1.0),
        Step(operation="queryArrays", role="call", units=0.3333, times=3),
    )
    """The calls until one is connected, in order; each must succeed."""
    poll: Poll = Poll()
    retry: Annotated[Fixed | Greedy | Jittered | RetryAfter, Field(discriminator="kind")] = Fixed(kind="fixed")

    @property
    def session_units(self) -> float:
        """The work until one is connected."""
        return sum(step.units * step.times for step in self.script)


class Bulk(Table):
    """``[bulk.NAME]``: principals that ask for heavy work at a steady rate, come what may."""

    principals: Annotated[int, Field(ge=1, le=10_000)]
    rate: Annotated[float, Field(gt=0, le=100_000)]
    """Calls per second of all of them together."""
    units: Units
    """The work of one call."""
    operation: str = "bulk"
    begin: Duration = duration("0s")
    timeout: Duration = duration("60s")


class Flap(Table):
    """``[[network.flap]]``: the network cuts every client off for a while."""

    at: Duration
    down: Duration
    """For so long; connections die, sessions at the server stay."""


class Network(Table):
    """``[network]``: what lies between clients, gate and server."""

    delay: Duration = duration("500us")
    """One way."""
    flap: tuple[Flap, ...] = ()


class GateTable(Table):
    """``[gate]``: what happens to the gate itself; nothing about it is tuned to the storm."""

    restart_at: tuple[Duration, ...] = ()
    """It dies at these times; held calls die with it."""
    down: Duration = duration("1s")
    """How long it takes to start again."""
    expected_hosts: Count | None = None
    """Bounds of held calls and of remembered clients follow this."""


class Scenario(Table):
    """One file: one storm to rehearse."""

    format: Literal[1]
    scenario: ScenarioTable
    server: Annotated[dict[Name, Server], Field(min_length=1)]
    hosts: Annotated[dict[Name, Hosts], Field(min_length=1)]
    bulk: dict[Name, Bulk] = Field(default_factory=dict)
    network: Network = Network()
    gate: GateTable = GateTable()
    policy: dict[Name, Policy] = Field(default_factory=dict)
    """More policies to compare, beside those that are built in."""

    def played_with(
        self, *, seed: int | None = None, window_s: float | None = None, sample_s: float | None = None
    ) -> Self:
        """Return the same storm with another seed, window or distance between samples."""
        run = self.scenario
        changed = run.model_copy(
            update={
                "seed": run.seed if seed is None else seed,
                "window": run.window if window_s is None else Duration.from_seconds(window_s),
                "sample": run.sample if sample_s is None else Duration.from_seconds(sample_s),
            }
        )
        return self.model_copy(update={"scenario": changed})

    @property
    def down_until_s(self) -> float:
        """When every server that restarts as the storm begins is there again, in seconds."""
        return max(server.down_until.seconds for server in self.server.values())

    @property
    def host_count(self) -> int:
        """The hosts of all populations together."""
        return sum(hosts.count for hosts in self.hosts.values())

    @property
    def best_in_flight(self) -> int:
        """What a peer's limit per server is tuned to: the smallest knee of all servers."""
        return min(server.best_in_flight for server in self.server.values())

    @property
    def best_rate(self) -> float:
        """The units of work per second that all servers together get done at best."""
        return sum(server.best_rate for server in self.server.values())
