"""Two runs of scripts before a vCenter as they could have been measured, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from tidegate.lab.vcenter_play import VcenterMoment, VcenterResult

__all__ = ["through", "without"]


def _result(gate: bool, counts: dict[str, Any], scripts: dict[str, Any], seconds: float) -> VcenterResult:
    counted = {"clones": 0, "not_authenticated": {"1": 0, "2": 0, "3": 0}, "refused": {"sessions": 0}}
    seen = {"broken": 0, "unfinished": 0, "why": {}}
    moment = VcenterMoment(t=1.0, done=20, sessions=counts["peak_sessions"], in_flight=3, tasks_queued=40, held=7)
    samples = [VcenterMoment(), moment]
    return VcenterResult(gate, {**seen, **scripts}, {**counted, **counts}, seconds, samples)


def without() -> VcenterResult:
    """Return a run in which the vCenter ran out of sessions and tokens expired."""
    counts = {
        "logins": 590,
        "peak_sessions": 200,
        "peak_in_flight": 90,
        "not_authenticated": {"1": 0, "2": 0, "3": 0},
        "refused": {"sessions": 44},
        "expired_in_queue": 321,
    }
    scripts = {
        "calls": 9300,
        "failed_calls": 365,
        "done": 140,
        "broken": 60,
        "durations_ms": [float(n) for n in range(200)],
    }
    return _result(False, counts, scripts, 14.04)


def through() -> VcenterResult:
    """Return a run in which the gate kept its promise."""
    counts = {"logins": 1, "clones": 8, "peak_sessions": 9, "peak_in_flight": 21, "expired_in_queue": 0}
    scripts = {"calls": 9600, "failed_calls": 0, "done": 200, "durations_ms": [3.0, 1.0, 2.0]}
    return _result(True, counts, scripts, 19.66)
