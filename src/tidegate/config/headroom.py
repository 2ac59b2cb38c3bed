"""How many source ports of every server are kept for probes, where the file leaves it to the gate."""

from __future__ import annotations

from tidegate.config.model import Config, Monitor

__all__ = ["HEADROOM_MOST", "headroom", "needs"]

HEADROOM_MOST = 999
"""Derived ones, where the range is left to the gate: it takes none of fewer than 1000 ports (``ports/host.rs``)."""

_LEAST = 8
"""Ports for probes: an inquiry takes three, and a port that was refused rests for a minute."""


def headroom(config: Config) -> int:
    """Return how many ports of every bucket are for probes: as configured, else what the monitors need, at least 8."""
    if config.gate.ports.headroom is not None:
        return config.gate.ports.headroom
    monitors = [service.monitor for service in config.service.values() if service.monitor]
    return max(_LEAST, *map(needs, monitors), _LEAST)


def needs(monitor: Monitor) -> int:
    """Return how many ports a monitor may need at one server: four for each interval that a probe may take.

    A probe may take two more attempts, and a port of one before it may still be held by the other side.
    """
    interval = monitor.interval.nanoseconds
    timeout = monitor.timeout.nanoseconds if monitor.timeout else interval
    return 4 * -(-timeout // max(interval, 1))
