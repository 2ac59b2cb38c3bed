"""Asks a vCenter for unfinished tasks, the latency of datastores, and sessions; each only if a rule wants it.

Least privilege: an account with the role Read-only on the vCenter object, propagated, tells tasks and latencies. Only
``vcenter.sessions`` needs more: vCenter shows its sessions to whoever may end them (Sessions.TerminateSession). It
logs in once and stays logged in, so it is one session itself; it changes nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from tidegate.clients.vcenter import RunningTask, Vcenter
from tidegate.clients.vcenter_counters import Counters
from tidegate.clients.vcenter_read import read_one
from tidegate.errors import FleetError
from tidegate.watch.live.probe_hits import Told
from tidegate.watch.measures import LIVE
from tidegate.watch.ports import Measured

__all__ = ["VcenterProbe", "latency_values", "task_values"]

_Values = dict[str, tuple[Measured, ...]]


class VcenterProbe:
    """One vCenter. ``now`` is given by tests."""

    measures = frozenset(name for name in LIVE if name.startswith("vcenter."))

    def __init__(self, vcenter: Vcenter, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._vcenter, self._now = vcenter, now
        self._counters = Counters(vcenter)
        self.address = vcenter.options.address

    async def ask(self, wanted: frozenset[str]) -> Told:
        """Return what is wanted.

        Raises
        ------
        FleetError
            When it does not answer, refuses, or the account may not see the sessions.
        """
        values: _Values = {}
        if wanted & {"vcenter.running_tasks", "vcenter.oldest_task_s"}:
            values |= task_values(await self._vcenter.running_tasks(), self._now())
        if "vcenter.datastore_ms" in wanted:
            values |= latency_values(await self._counters.latencies())
        if "vcenter.sessions" in wanted:
            users = await self._vcenter.session.call(_users)
            values["vcenter.sessions"] = _by_user(users, "session", "sessions")
        return Told(values=values)

    async def close(self) -> None:
        """Log out."""
        await self._vcenter.close()


def task_values(tasks: Iterable[RunningTask], now: datetime) -> _Values:
    """Return how many unfinished tasks each user has, and how old the oldest of all is, in seconds."""
    tasks = list(tasks)
    begun = [(task.since, task) for task in tasks if task.since is not None]
    oldest: tuple[Measured, ...] = ()
    if begun:
        since, task = min(begun, key=lambda pair: pair[0])
        age = max(0.0, (now - since).total_seconds())
        on = f" on {task.entity}" if task.entity else ""
        oldest = (Measured("tasks", age, f"{task.name}{on} of {task.user or 'nobody'}: {task.state} for {age:.0f} s"),)
    return {
        "vcenter.running_tasks": _by_user([task.user for task in tasks], "unfinished task", "unfinished tasks"),
        "vcenter.oldest_task_s": oldest,
    }


def latency_values(latencies: dict[str, float]) -> _Values:
    """Return the latency of each datastore that has a fresh sample, in ms."""
    return {
        "vcenter.datastore_ms": tuple(
            Measured(name, ms, f"datastore {name}: {ms:.0f} ms") for name, ms in latencies.items() if math.isfinite(ms)
        )
    }


def _by_user(users: Iterable[str], one: str, many: str) -> tuple[Measured, ...]:
    counts = Counter(user or "nobody" for user in users)
    return tuple(
        Measured(user, float(count), f"{user}: {count} {one if count == 1 else many}") for user, count in counts.items()
    )


def _users(_: Any, content: Any) -> list[str]:
    """Return whose each session is (blocks)."""
    seen = read_one(content, content.sessionManager, ("sessionList",))
    if "sessionList" not in seen:
        raise FleetError(
            "the account may not see vCenter's sessions",
            hint="give it Sessions.TerminateSession on the vCenter object, or leave vcenter.sessions out of the rules",
            slug="no-permission",
        )
    return [session.userName for session in seen["sessionList"]]
