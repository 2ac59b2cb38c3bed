"""The storms that are played: hosts, server, and what goes wrong in the middle. All times are the world's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from benches.process import BenchError

What = Literal["crash", "expire", "flap", "kill"]
DOWN_S = 10.0
"""How long a crashed server is away."""
FLAP_S = 20.0
"""How long the network of the hosts is away."""
RETRY_S = (10.0, 12.0)
"""How long a host waits after a failure."""
SESSION_UNITS, POLL_UNITS, POLL_S = 2.0, 0.01, 10.0


@dataclass(frozen=True)
class Event:
    """Something that goes wrong: so many floors after the start or the end of the last one, or once all are in."""

    what: What
    after_floors: float
    once_all_in: bool = False

    @property
    def lasts_s(self) -> float:
        """How long it lasts."""
        return {"crash": DOWN_S, "flap": FLAP_S}.get(self.what, 0.0)


@dataclass(frozen=True)
class Scenario:
    """One storm, and from when the time to its last host counts: its start, or the end of its last event."""

    name: str
    says: str
    hosts: int = 300
    knee: int = 22
    unit_s: float = 0.5
    spread_floors: float = 0.0
    greedy: float = 0.0
    tls: bool = False
    events: tuple[Event, ...] = ()
    counts_from_last_event: bool = True
    least_wait_s: float = 0.0

    def provider(self, speed: float, seed: int) -> dict[str, Any]:
        """Return the specification of the server: it is down until the storm begins."""
        return {
            "knee": self.knee,
            "unit_s": self.unit_s,
            "crash_down_s": DOWN_S,
            "start_down": True,
            "speed": speed,
            "seed": seed,
            "sample_s": speed,
        }

    def floor_s(self, best_rate: float) -> float:
        """Return the least time: all work, polls of half the hosts included, at the best rate.

        Raises
        ------
        BenchError
            The polls alone are more than the server can do.
        """
        polls = self.hosts / 2 * POLL_UNITS / POLL_S
        if best_rate <= polls:
            raise BenchError(f"{self.name}: the polls of {self.hosts} hosts are too much for this server")
        return self.hosts * SESSION_UNITS / (best_rate - polls)

    def small(self, hosts: int) -> Scenario:
        """Return the same storm with fewer hosts."""
        return replace(self, hosts=hosts)


SCENARIOS = (
    Scenario("s1", "restart: the server comes up and every host begins within 2 s"),
    Scenario("s1-1000", "the same with 1000 hosts", hosts=1000),
    Scenario("s2", "new certificates: as s1, all over TLS, full handshakes with client certificates", tls=True),
    Scenario(
        "s3",
        "network flap: all hosts are in, then none can connect for 20 s",
        spread_floors=1.5,
        events=(Event("flap", 3.5, once_all_in=True),),
    ),
    Scenario("s4", "as s1, but the server has a third of the capacity it was tuned for", knee=7, unit_s=0.57),
    Scenario(
        "s5",
        "as s1, and the server crashes twice, away for 10 s each time, all sessions lost",
        events=(Event("crash", 0.5), Event("crash", 0.5)),
    ),
    Scenario("s7", "as s1, and one host in ten tries again after 0.5 s", greedy=0.1),
    Scenario(
        "s8",
        "as s1, and the gate is killed half-way and started again at once",
        events=(Event("kill", 0.5),),
        counts_from_last_event=False,
        least_wait_s=RETRY_S[0],
    ),
    Scenario(
        "s12",
        "all hosts are in, then all sessions expire together",
        spread_floors=1.5,
        events=(Event("expire", 3.5, once_all_in=True),),
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
