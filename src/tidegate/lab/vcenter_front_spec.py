"""What the lab's vCenter is told to be like, and what it counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Counters", "Spec"]


@dataclass(slots=True, kw_only=True)
class Spec:
    """The limits of a vCenter (vsphere.md §2.3), and the work model. All of it has a default.

    Parameters
    ----------
    listen
        ``IP:PORT``; port 0 is a free one.
    certificate, key
        PEM files; without them it speaks plain HTTP.
    vcsim
        The program; as a rule it is found.
    users, password
        Who may log in: names with commas between them.
    inventory
        How many of what vcsim makes, by its flags (``cluster``, ``host``, ``standalone-host``, ``vm``, ``ds``).
    sessions_max
        Room for SOAP sessions; the next login gets 503.
    session_idle_s
        One that is not used for so many seconds ends.
    requests_max
        Calls that are looked at together; the next ones wait, and all become slower by how many wait.
    collectors_max
        History collectors of one session.
    rest_per_user_max, rest_creating_max
        REST sessions of one user, and of those that are being made at the same time.
    workers, unit_ms
        So many calls are worked on together, each for ``unit_ms`` milliseconds per unit of its cost; 0: no work.
    costs
        Units by operation, by ``USER/OPERATION`` or by ``USER/*``; everything else costs one.
    host_workers, task_s, tasks_s
        A host works on so many tasks and leases together; a task takes so many seconds, or those of its operation.
    token_life_s
        A task or lease that waited longer for its host fails (KB 440879): 300 s, or less where time runs faster.
    lease_s
        An NFC lease without progress for so many seconds is aborted.
    """

    listen: str = "127.0.0.1:0"
    certificate: str | None = None
    key: str | None = None
    vcsim: str | None = None
    users: str = "operator"
    password: str = "correct horse"  # noqa: S105 (of a simulator on loopback)
    inventory: dict[str, int] = field(default_factory=dict)
    sessions_max: int = 2000
    session_idle_s: float = 1800.0
    requests_max: int = 640
    collectors_max: int = 32
    rest_per_user_max: int = 550
    rest_creating_max: int = 160
    workers: int = 16
    unit_ms: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)
    host_workers: int = 8
    task_s: float = 0.1
    tasks_s: dict[str, float] = field(default_factory=dict)
    token_life_s: float = 300.0
    lease_s: float = 300.0


@dataclass(slots=True)
class Counters:
    """What it has seen.

    ``in_flight`` are calls that are not answered, waiting ones too; ``refused`` counts answers 503 by what there was no
    room for; ``not_authenticated`` counts by shape (vsphere.md §2.2), and tokens that expired in a host's queue are
    counted by themselves. ``peak_tasks`` are tasks of hosts that waited or were worked on at once, ``peak_leases``
    leases of one host.
    """

    logins: int = 0
    clones: int = 0
    connections: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    expired_in_queue: int = 0
    tasks_queued: int = 0
    tasks_done: int = 0
    peak_tasks: int = 0
    peak_leases: int = 0
    not_authenticated: Counter[str] = field(default_factory=lambda: Counter({"1": 0, "2": 0, "3": 0}))
    refused: Counter[str] = field(default_factory=lambda: Counter({"sessions": 0, "rest_sessions": 0}))
    by_operation: Counter[str] = field(default_factory=Counter)

    def told(self, **more: Any) -> dict[str, Any]:
        """Return them as JSON shows them."""
        return {
            "logins": self.logins,
            "clones": self.clones,
            "calls": self.by_operation.total(),
            "connections": self.connections,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "not_authenticated": dict(self.not_authenticated),
            "expired_in_queue": self.expired_in_queue,
            "refused": dict(self.refused),
            "tasks_queued": self.tasks_queued,
            "tasks_done": self.tasks_done,
            "peak_tasks": self.peak_tasks,
            "peak_leases": self.peak_leases,
            "by_operation": dict(self.by_operation),
            **more,
        }
