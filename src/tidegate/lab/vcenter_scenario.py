"""What is played before a vCenter: its limits, its hosts, the scripts and the gate, all from one seed.

The lab's vCenter is a real one made small, so that minutes of an estate fit into seconds:

- **Time** is divided by ``speed`` (60): a token that idles 300 s in the host gateway's queue is refused, here 5 s; a
  session that nobody uses lives 30 min, here 30 s. The gate's file has the same lengths, divided the same way.
- **Room** is a tenth: 2000 SOAP sessions are 200 here, 640 calls at a time are 64.
- **Hosts** together finish two calls a second, the figure of the model in KB 440879's chain; so 120 here.

The scripts are as many, and work through as many machines, as they are told, and are not slowed down to fit. Whether a
login finds room, or a token outlives its queue, is for the front to see: nothing in here decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.config.model import Admission, Config, GateTable, Server, ServerTls, Service, Terminate
from tidegate.config.vcenter import Vcenter, VcenterTasks
from tidegate.config.write import sped_up
from tidegate.units import Duration

__all__ = ["VcenterScenario", "made_small"]

SESSIONS_MAX, REQUESTS_MAX = 200, 64
"""A tenth of vCenter's (vsphere.md §2.3)."""
TOKEN_LIFE_S, SESSION_IDLE_S = 300.0, 1800.0
TASKS_PER_S = 2.0
"""What the hosts finish, together, in a second of a real estate."""
CLUSTERS, HOSTS, MACHINES, DATASTORES = 8, 1, 13, 4
"""Of the inventory: so many clusters, each with so many hosts and machines; vcsim has nothing that balances hosts."""
USER, PASSWORD = "automation@vsphere.local", "correct horse"
"""One service account for all scripts, as estates have it."""


def made_small(vcenter: Vcenter, speed: float) -> Vcenter:
    """Return what a gate is told of a vCenter whose time is divided by ``speed``; latencies of storage stay."""
    return sped_up(vcenter, speed).model_copy(update={"pace": vcenter.pace})


@dataclass(frozen=True, slots=True)
class VcenterScenario:
    """One run of scripts, to be played without and with the gate."""

    scripts: int = 200
    machines: int = 20
    """How many each works through."""
    speed: float = 60.0
    seed: int = 1
    pyvmomi: int = 4
    """So many of the scripts are written with pyVmomi."""
    window_s: float = 23.0
    """Who is not done after so many seconds of the clock is stopped."""

    @property
    def token_life_s(self) -> float:
        """How long a token lives in the queue, in seconds of the clock."""
        return TOKEN_LIFE_S / self.speed

    @property
    def queue_max(self) -> int:
        """So many tasks in the hosts' queue are worked off within one life of a token."""
        return round(TOKEN_LIFE_S * TASKS_PER_S)

    def front(self, folder: Path) -> dict[str, Any]:
        """Return the specification of the vCenter."""
        hosts = CLUSTERS * HOSTS
        return {
            "certificate": str(folder / "gate.lab.pem"),
            "key": str(folder / "gate.lab.key"),
            "users": USER,
            "password": PASSWORD,
            "inventory": {"cluster": CLUSTERS, "host": HOSTS, "standalone-host": 0, "vm": MACHINES, "ds": DATASTORES},
            "sessions_max": SESSIONS_MAX,
            "requests_max": REQUESTS_MAX,
            "session_idle_s": SESSION_IDLE_S / self.speed,
            "token_life_s": self.token_life_s,
            "host_workers": 1,
            "task_s": hosts / TASKS_PER_S / self.speed,
        }

    def scripts_spec(self, folder: Path, target: str) -> dict[str, Any]:
        """Return the specification of the scripts."""
        host, _, port = target.rpartition(":")
        return {
            "host": host,
            "port": int(port),
            "name": "gate.lab",
            "ca": str(folder / "ca.pem"),
            "user": USER,
            "password": PASSWORD,
            "scripts": self.scripts,
            "machines": self.machines,
            "pyvmomi": min(self.pyvmomi, self.scripts),
            "window_s": self.window_s,
            "seed": self.seed,
        }

    def vcenter(self) -> Vcenter:
        """Return what the gate is told of the vCenter: its own defaults but for patience, divided by ``speed``.

        A script waits for an answer as long as it takes; so calls may wait for their place.
        """
        patient = Duration.parse("30m")
        return made_small(Vcenter(clone_wait=patient, tasks=VcenterTasks(wait_max=patient)), self.speed)

    def gate(self, folder: Path, server: str) -> Config:
        """Return the gate's configuration: what a vCenter's file says, and the lab's pace."""
        tls = Terminate(kind="terminate", certificate=folder / "gate.lab.pem", key=folder / "gate.lab.key")
        upstream = ServerTls(ca=folder / "ca.pem", name="gate.lab")
        service = Service(
            listen="127.0.0.1:0",
            protocol="vcenter",
            mode="enforce",
            tls=tls,
            vcenter=self.vcenter(),
            server={"vcenter": Server(address=server, tls=upstream)},
            admission=Admission(client_timeout=Duration.from_seconds(self.window_s)),
        )
        table = GateTable(admin=f"unix:{folder}/admin.sock", seed=self.seed)
        return Config(gate=table, service={"vcenter": service})
