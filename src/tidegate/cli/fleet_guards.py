"""The guards and probes of a plan, with the vCenter that they need, for the length of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidegate.errors import FleetError
from tidegate.fleet.act import Guard, Probe
from tidegate.fleet.model import Plan

__all__ = ["Watchers", "watchers_of"]


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watchers:
    """What stops a run, what that goes by, and how to let go of it."""

    guards: list[Guard]
    probes: list[Probe]
    close: Callable[[], Awaitable[None]] = _nothing


def watchers_of(plan: Plan) -> Watchers:
    """Return the guards and probes of ``plan``; connects to nothing yet.

    Raises
    ------
    FleetError
        When a guard needs a vCenter and the plan names none.
    """
    if not plan.guard:
        return Watchers([], [])
    # Late: most runs are looked at, not carried out.
    from tidegate.fleet.guards import guards_of
    from tidegate.fleet.probes import probes_of

    guards = guards_of(plan.guard)
    if not any(table.kind == "datastore-latency" for table in plan.guard.values()):
        return Watchers(guards, probes_of(plan.guard))
    endpoint = plan.vcenter or plan.targets.vcenter
    if endpoint is None:
        raise FleetError(
            "a guard goes by datastore latency, and the plan names no vCenter", hint="write a table [vcenter]"
        )
    from tidegate.clients.reach import vcenter_options
    from tidegate.clients.vcenter import Vcenter
    from tidegate.clients.vcenter_counters import Counters

    vcenter = Vcenter(vcenter_options(endpoint))
    return Watchers(guards, probes_of(plan.guard, Counters(vcenter).latencies), vcenter.close)
