"""A reading as JSON, and the measures that probe rules compare with thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from heapq import nlargest

from tidegate.watch.ports.advice import says, what_if
from tidegate.watch.ports.model import Bucket, Gauge, Json, Measured, PortReading

__all__ = ["as_json", "measure"]

_GAUGE_KINDS = ("process", "server", "service")
_MOST = 1000
"""Buckets that a measure is told of: the largest."""
_OF_BUCKETS: dict[str, Callable[[Bucket], float | None]] = {
    "ports.active": lambda bucket: bucket.active,
    "ports.connections": lambda bucket: bucket.connections,
    "ports.idle": lambda bucket: bucket.idle,
    "ports.share": lambda bucket: None if bucket.at_most and not bucket.said else bucket.share,
    "ports.share_at_most": lambda bucket: bucket.share,
}
_OF_GAUGES: dict[str, Callable[[Gauge], float | None]] = {
    "dropped": lambda gauge: gauge.dropped,
    "idle": lambda gauge: gauge.idle,
    "open_connections": lambda gauge: gauge.open_connections,
    "open_requests": lambda gauge: gauge.open_requests,
    "queued": lambda gauge: gauge.queued,
}
MEASURES = tuple(sorted([*_OF_BUCKETS, *(f"{kind}.{name}" for kind in _GAUGE_KINDS for name in _OF_GAUGES)]))
"""What :func:`measure` can be asked for."""


def measure(reading: PortReading, name: str) -> list[Measured]:
    """Return a measure of every bucket (at most 1000), service or server that tells it, the largest first.

    Parameters
    ----------
    reading
        Any reading.
    name
        One of :data:`MEASURES`: ``ports.share`` (0 to 1 and above; buckets that are only bounded are left out),
        ``ports.share_at_most`` (with those), ``ports.connections``, ``ports.idle``, ``ports.active``, or ``process.``,
        ``server.``, ``service.`` with ``open_connections``, ``open_requests``, ``idle``, ``queued``, ``dropped``.

    Raises
    ------
    ValueError
        With a sentence, when there is no such measure.
    """
    if name not in MEASURES:
        raise ValueError(f'"{name}" is no measure of ports; there are {", ".join(MEASURES)}')
    return sorted(_measured(reading, name), key=lambda one: (-one.value, one.scope))


def _measured(reading: PortReading, name: str) -> Iterator[Measured]:
    of_bucket = _OF_BUCKETS.get(name)
    if of_bucket is not None:
        told = [(value, bucket) for bucket in reading.buckets if (value := of_bucket(bucket)) is not None]
        for value, bucket in nlargest(_MOST, told, key=lambda one: one[0]):
            yield Measured(bucket.scope, float(value), says(bucket))
        return
    kind, _, what = name.partition(".")
    for gauge in reading.gauges:
        value = _OF_GAUGES[what](gauge) if gauge.kind == kind else None
        if value is not None:
            yield Measured(gauge.name, float(value), f"{gauge.kind} {gauge.name}: {what.replace('_', ' ')} {value:.0f}")


def as_json(reading: PortReading, *, most: int = 50) -> Json:
    """Return a reading with stable keys, the worst buckets and the largest gauges first.

    Parameters
    ----------
    reading
        Any reading.
    most
        Buckets and gauges to show, each; ``more`` counts the rest. Buckets past a watermark come first in any case.
    """
    return {
        "kind": reading.kind,
        "read": reading.read,
        "left_out": dict(reading.left_out),
        "other_lines": reading.other_lines,
        "sides": dict(reading.sides),
        "buckets": [_bucket(bucket) for bucket in reading.buckets[:most]],
        "gauges": [{**asdict(gauge), "idle": gauge.idle} for gauge in reading.gauges[:most]],
        "more": {"buckets": max(0, len(reading.buckets) - most), "gauges": max(0, len(reading.gauges) - most)},
        "what_if": [asdict(answer) for answer in what_if(reading)],
    }


def _bucket(bucket: Bucket) -> Json:
    return {
        **asdict(bucket),
        "scope": bucket.scope,
        "share": round(bucket.share, 4),
        "level": bucket.level,
        "exhausted": bucket.exhausted,
        "says": says(bucket),
    }
