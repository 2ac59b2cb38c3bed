"""A run in figures and tables under stable names, and what it would do (pure)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tidegate.fleet import events as e
from tidegate.fleet.act import Host
from tidegate.fleet.machine import Do, Leave, Record, Seen, Wait, decide, status_of
from tidegate.fleet.state import Run, fold

__all__ = ["moment", "preview", "summary"]


def summary(name: str, run: Run) -> dict[str, Any]:
    """Return how the run stands, as the commands print it in JSON."""
    batched = [size for phase, size in run.batches if run.plan.phases[phase].spec.batched]
    return {
        "format": 1,
        "run": name,
        "plan": run.plan.plan,
        "file": run.plan.file,
        "status": status_of(run),
        "ended": run.ended,
        "planned_at": moment(run.plan.at),
        "changed_at": moment(run.at),
        "hosts": len(run.hosts),
        **run.counts(),
        "batches": len(batched),
        "max_batch": max(batched, default=0),
        "guard_stops": len(run.trips),
        "trips": [
            {"at": moment(trip.at), "guard": trip.guard, "why": trip.why, "halve": trip.halve} for trip in run.trips
        ],
        "notes": list(run.plan.notes),
        "stopped": {host: moment(since) for host, since in run.left().items()},
        "by_host": [_host(run, host) for host in run.hosts.values()],
    }


def moment(at: float) -> str:
    """Return a time as everybody writes it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _host(run: Run, host: Host) -> dict[str, Any]:
    phase, step = -1, None
    for place, steps in enumerate(run.steps):
        if host.name in steps:
            phase, step = place, steps[host.name]
    return {
        "host": host.name,
        "cluster": host.cluster,
        "outcome": run.outcome(host.name),
        "phase": run.plan.phases[phase].spec.name if step else "",
        "state": step.state if step else "planned",
        "since": moment(step.since) if step and step.since else None,
        "why": run.why(host.name),
    }


def preview(plan: e.Planned, commands: Callable[[str, Host], list[str]]) -> list[dict[str, Any]]:
    """Return what the run would do if every host were fine and every guard quiet: its phases, batches and commands.

    The machine itself says it, as it will when the run is real.

    Parameters
    ----------
    plan
        The run.
    commands
        Says what a step does to a host.
    """
    run, now = fold([plan]), plan.at
    batches: dict[int, list[list[str]]] = {}
    while not run.ended:
        for action in decide(run, now, Seen(quiet_since=now)):
            match action:
                case Record(event):
                    if isinstance(event, e.Opened):
                        batches.setdefault(event.phase, []).append(list(event.hosts))
                    run.apply(event)
                case Do(_, phase, host):
                    run.apply(e.Looked(at=now, phase=phase, host=host, evidence={}))
                    run.apply(e.Acting(at=now, phase=phase, host=host))
                    run.apply(e.Acted(at=now, phase=phase, host=host))
                    run.apply(e.Verified(at=now, phase=phase, host=host))
                case Wait(until):
                    now = now if until is None else until
                case Leave():
                    for phase in range(len(plan.phases)):
                        run.apply(e.Approved(at=now, phase=phase, by=""))
    return [
        {
            "phase": one.spec.name,
            "step": one.spec.step,
            "says": one.spec.says,
            "approval": one.spec.approval,
            "batched": one.spec.batched,
            "concurrency": one.spec.concurrency,
            "batches": [
                [{"host": name, "commands": commands(one.spec.step, run.hosts[name])} for name in batch]
                for batch in batches.get(phase, [])
            ],
        }
        for phase, one in enumerate(plan.phases)
        if not one.extra
    ]
