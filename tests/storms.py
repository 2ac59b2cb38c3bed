"""Two runs of a storm as they could have been measured, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from tidegate.lab.play import Result

__all__ = ["NUMBERS", "through", "without"]


def without() -> Result:
    """Return a run in which the provider collapsed."""
    result = Result(gate=False, window_s=19.3, floor_s=6.43)
    result.storm = {"connected": 2, "last_connected_s": None, "failed_attempts": 596, "timeouts": 595, "cpu_share": 0.1}
    result.provider = {"wasted_work": 0.98771, "max_in_flight": 613, "requests": 893, "refused": 4, "cpu_share": 0.2}
    result.storm_samples = [{"t": 0.0, "connected": 0}, {"t": 0.25, "connected": 2}]
    result.provider_samples = [{"t": 0.0, "in_flight": 300}, {"t": 0.25, "in_flight": 613}]
    return result


def through() -> Result:
    """Return a run in which the gate kept its promise."""
    result = Result(gate=True, window_s=19.3, floor_s=6.43)
    result.storm = {"connected": 300, "last_connected_s": 6.9, "failed_attempts": 7, "timeouts": 0, "cpu_share": 0.1}
    result.provider = {"wasted_work": 0.0, "max_in_flight": 22, "requests": 1300, "refused": 0, "cpu_share": 0.05}
    result.counters = {
        "arrived": 1307,
        "admitted": 1300,
        "client_gone": 0,
        "turned_away": {"too-late": 7, "deadline": 0},
    }
    result.limit_found = 21
    result.storm_samples = [{"t": 0.0, "connected": 0}, {"t": 0.25, "connected": 300}]
    result.provider_samples = [{"t": 0.0, "in_flight": 22}, {"t": 0.25, "in_flight": 3}]
    result.gate_samples = [
        {"t": 0.1, "held": {"new-session": 270, "steady": 0}, "turned_away": {}},
        {"t": 0.3, "held": {"new-session": 0, "steady": 0}, "turned_away": {"too-late": 7}},
    ]
    return result


NUMBERS: dict[str, Any] = {
    "floor_s": 6.43,
    "window_s": 19.3,
    "limit_found": through().limit_found,
    "without_gate": without().numbers(),
    "with_gate": through().numbers(),
}
"""The part of the demo's JSON that page and table show."""
