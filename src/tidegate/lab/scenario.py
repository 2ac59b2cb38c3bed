"""What is played: a provider with a law and a knee, hosts that all reconnect at once, and the gate between them.

Everything is in *world* seconds and derived from one seed; ``speed`` divides every length of time, in the lab and in
the gate's configuration alike. The figures of the storm are those of KB 412434's world as far as they are public: a
session (1 unit of work) and three follow-ups (⅓ each), polls every 10 s (0.01 unit), 30 s of patience, a fixed retry
after 10 to 12 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tidegate.config.model import Admission, Config, GateTable, Passthrough, Server, Service, Terminate
from tidegate.config.write import sped_up
from tidegate.units import Duration

__all__ = ["Law", "Scenario"]

Law = Literal["usl", "cliff", "convoy"]

SESSION_UNITS = 2.0
"""Work of one host until it is connected: setContext 1, three follow-ups a third each."""
POLL_UNITS = 0.01
POLL_S = 10.0
TIMEOUT_S = 30.0
WINDOW_FLOORS = 3.0
"""Both runs end after so many floors at the latest."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One storm, to be played without and with the gate."""

    hosts: int = 300
    law: Law = "usl"
    knee: int = 22
    seed: int = 1
    speed: float = 5.0
    passthrough: bool = False
    limit: int | None = None
    """The gate's static limit; ``None``: it finds one."""

    @property
    def gate_limit(self) -> str:
        """The limit as the gate's file says it."""
        return f"static:{self.limit}" if self.limit else "adaptive"

    def floor_s(self, best_rate: float) -> float:
        """Return the least time until all are in, in world seconds: all work, polls included, at the best rate."""
        polls = self.hosts / 2 * POLL_UNITS / POLL_S
        return self.hosts * SESSION_UNITS / (best_rate - polls)

    def provider(self, folder: Path) -> dict[str, Any]:
        """Return the specification of the provider."""
        return {
            "listen": "127.0.0.1:0",
            "law": self.law,
            "knee": self.knee,
            "seed": self.seed,
            "speed": self.speed,
            "protocol": "vasa",
            "tls": {"dir": str(folder)} if self.passthrough else None,
            "sample_s": 0.25 * self.speed,
        }

    def storm(self, folder: Path, target: str, window_s: float) -> dict[str, Any]:
        """Return the specification of the hosts; ``window_s`` is in world seconds."""
        return {
            "target": target,
            "hosts": self.hosts,
            "spread_s": 2,
            "timeout_s": TIMEOUT_S,
            "poll_s": POLL_S,
            "follow_ups": 3,
            "retry": {"kind": "fixed", "min_s": 10, "max_s": 12},
            "greedy_share": 0,
            "window_s": window_s,
            "speed": self.speed,
            "seed": self.seed,
            "protocol": "vasa",
            "tls": {"dir": str(folder), "name": "vp.lab"} if self.passthrough else None,
            "sample_s": 0.25 * self.speed,
            "source_prefix": "127.1",
        }

    def gate(self, folder: Path, server: str) -> Config:
        """Return the gate's configuration, every duration in it divided by ``speed``."""
        tls: Passthrough | Terminate | None = Passthrough(kind="passthrough", names=("vp.lab",))
        service = Service(
            listen="127.0.0.1:0",
            protocol="vasa",
            mode="enforce",
            tls=tls if self.passthrough else None,
            server={"vp-a": Server(address=server, limit=self.gate_limit)},
            admission=Admission(client_timeout=Duration.from_seconds(TIMEOUT_S)),
        )
        table = GateTable(admin=f"unix:{folder}/admin.sock", seed=self.seed)
        return sped_up(Config(gate=table, service={"vasa": service}), self.speed)
