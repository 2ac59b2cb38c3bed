"""A run over time, for the page about it: lanes of hosts, batches, what the probes read, and what cut in (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.fleet import events as e
from tidegate.fleet.act import Guard
from tidegate.fleet.guards import FRESH_S, DatastoreLatency, Measured
from tidegate.fleet.state import Run, fold

__all__ = ["timeline"]

_MS = ("ms", 1000.0)
_FACTORS = {"s": _MS, "%": ("percent", 100.0)}
"""How a guard's values are drawn: the unit of the axis, and what samples are multiplied by."""
_OVER = (e.Verified, e.Failed, e.Skipped)

Bar = tuple[float, float, str, str]
"""From, to (seconds since the run was planned), what it is, and what is said about it."""


@dataclass(slots=True)
class _Lanes:
    """Bars by host, and for those that are in the middle of something: since when, and of what."""

    bars: dict[str, list[Bar]]
    since: dict[str, tuple[float, str]] = field(default_factory=dict)

    def turn(self, host: str, at: float, kind: str = "") -> None:
        """End what the host is in the middle of, and begin ``kind``."""
        if host in self.since:
            began, before = self.since.pop(host)
            self.bars[host].append((began, at, before, ""))
        if kind:
            self.since[host] = (at, kind)

    def mark(self, host: str, at: float, kind: str, why: str) -> None:
        """Put something on the lane that takes no time."""
        self.bars[host].append((at, at, kind, why))


def timeline(events: Sequence[e.Event], guards: Sequence[Guard] = ()) -> dict[str, Any]:
    """Return all that the page draws; times are seconds since the run was planned, which was at ``from``.

    Parameters
    ----------
    events
        Of the run, all.
    guards
        Of its plan: they say at which value a probe stops the run, and in what unit.
    """
    run = fold(events[:1])
    began, last = run.plan.at, sum(not one.extra for one in run.plan.phases) - 1
    lanes = _Lanes({host: [] for host in run.hosts})
    batches: list[dict[str, Any]] = []
    done: set[str] = set()
    verified: list[tuple[float, int]] = [(0.0, 0)]
    samples: dict[str, list[tuple[float, float]]] = {}
    cuts: list[tuple[float, str, str]] = []
    for event in events[1:]:
        run.apply(event)
        at = round(event.at - began, 3)
        match event:
            case e.Acting(host=host):
                lanes.turn(host, at, "act")
            case e.Acted(host=host):
                lanes.turn(host, at, "settle")
            case e.Verified() | e.Failed() | e.Skipped():
                _came_out(lanes, run, event, at)
                if isinstance(event, e.Verified) and event.phase == last:
                    done.add(event.host)
                    verified.append((at, len(done)))
            case e.Sampled():
                samples.setdefault(event.name, []).append((at, event.value))
            case e.Tripped():
                cuts.append((at, "stop", f"{event.guard}: {event.why}"))
            case e.Taken():
                cuts.append((at, "taken", f"taken by {event.by}"))
        _of_batch(batches, run, event, at)
    until = round(run.at - began, 3)
    for host in run.hosts:
        lanes.turn(host, until)
    verified.append((until, len(done)))
    known = {guard.name: guard for guard in guards}
    return {
        "from": began,
        "until": until,
        "hosts": [{"host": host, "bars": lanes.bars[host]} for host in run.hosts],
        "batches": batches,
        "verified": _columns(verified),
        "samples": [_curve(name, points, known.get(name)) for name, points in samples.items()],
        "cuts": cuts,
    }


def _came_out(lanes: _Lanes, run: Run, event: e.Verified | e.Failed | e.Skipped, at: float) -> None:
    """End a step on a host's lane; who is stopped by now is so until it is started."""
    stopped = any(one.mends and run.due(phase, event.host) for phase, one in enumerate(run.plan.phases))
    lanes.turn(event.host, at, "down" if stopped else "")
    if not isinstance(event, e.Verified):
        lanes.mark(event.host, at, "failed" if isinstance(event, e.Failed) else "skipped", event.why)


def _of_batch(batches: list[dict[str, Any]], run: Run, event: e.Event, at: float) -> None:
    if isinstance(event, e.Opened):
        one = {"phase": run.plan.phases[event.phase].spec.name, "hosts": len(event.hosts), "mending": event.mending}
        batches.append({**one, "from": at, "to": None, "verified": 0, "failed": 0, "skipped": 0})
    elif batches and isinstance(event, _OVER):
        batches[-1][type(event).__name__.lower()] += 1
    elif batches and isinstance(event, e.Closed):
        batches[-1]["to"] = at


def _curve(name: str, points: Sequence[tuple[float, float]], guard: Guard | None) -> dict[str, Any]:
    """Return one probe's samples in the unit of its guard; where they are too far apart to count, a gap."""
    unit, factor, stops = "as the probe reads it", 1.0, None
    match guard:
        case Measured(stop=stop):
            (unit, factor), stops = _FACTORS[guard.unit], stop
        case DatastoreLatency(stop=stop):
            (unit, factor), stops = _MS, stop
    drawn: list[tuple[float, float | None]] = []
    for at, value in points:
        if drawn and at - drawn[-1][0] > FRESH_S:
            drawn.append((drawn[-1][0] + FRESH_S, None))
        drawn.append((at, round(value * factor, 3)))
    what = guard.what if isinstance(guard, Measured) else "datastore latency" if unit == "ms" else ""
    stops_at = None if stops is None else round(stops * factor, 3)
    return {"name": name, "what": what, "unit": unit, "stops_at": stops_at, "points": _columns(drawn)}


def _columns(points: Sequence[tuple[float, float | None]]) -> list[list[float | None]]:
    return [list(column) for column in zip(*points, strict=True)]
