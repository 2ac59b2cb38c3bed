"""What the readers of proxies share: connections per server, told as sums and without source ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tidegate.watch.ports.model import LINUX, WIDE, Bucket, Gauge, PortReading

__all__ = ["Held", "Servers"]


@dataclass(slots=True)
class Held:
    """What one entry of a dump says of a server; entries of one server are added up."""

    connections: int
    idle: int | None = None
    active: int | None = None
    shareable: bool = True
    at_most: bool = False
    said: str = ""

    def add(self, other: Held) -> None:
        """Add another entry; what only one of them tells is not known of both."""
        self.connections += other.connections
        self.idle = None if self.idle is None or other.idle is None else self.idle + other.idle
        self.active = None if self.active is None or other.active is None else self.active + other.active
        self.shareable &= other.shareable
        self.at_most |= other.at_most
        self.said = self.said or other.said


@dataclass(slots=True)
class Servers:
    """Connections of one balancer, by source and server."""

    source: str
    """The balancer's name, where the dump tells no source."""
    capacity: int | None = None
    linux: bool = True
    """Whether the balancer draws from the Linux kernel's range, as long as its counts fit in."""
    left_out: Counter[str] = field(default_factory=Counter)
    other_lines: int = 0
    sums: dict[tuple[str, str, int | None], Held] = field(default_factory=dict)

    def add(self, destination: str, port: int | None, held: Held, *, source: str = "") -> None:
        """Add connections to a server; two entries of one server share its ports."""
        key = source or self.source, destination, port
        if key in self.sums:
            self.sums[key].add(held)
        else:
            self.sums[key] = held

    def reading(self, kind: str, gauges: Iterable[Gauge]) -> PortReading:
        """Return what was added, the worst bucket first."""
        buckets = [self._bucket(key, total) for key, total in self.sums.items()]
        return PortReading(
            kind,
            tuple(sorted(buckets, key=lambda bucket: (-bucket.share, bucket.scope))),
            gauges=tuple(sorted(gauges, key=lambda gauge: (-gauge.open_connections, gauge.name))),
            read=sum(total.connections for total in self.sums.values()) + self.left_out.total(),
            left_out=dict(self.left_out),
            other_lines=self.other_lines,
        )

    def _bucket(self, key: tuple[str, str, int | None], total: Held) -> Bucket:
        capacity, why = self._capacity(total.connections)
        return Bucket(
            *key,
            connections=total.connections,
            capacity=capacity,
            capacity_why=why,
            idle=total.idle,
            idle_why="" if total.idle is None else "connections without a request in flight",
            active=total.active,
            shareable=total.shareable,
            said=total.said,
            messages=int(bool(total.said)),
            at_most=total.at_most,
        )

    def _capacity(self, connections: int) -> tuple[int, str]:
        if self.capacity is not None:
            return self.capacity, "as given"
        if self.linux and connections <= LINUX:
            return LINUX, "Linux's own range, 32768 to 60999, from one source address; the dump does not tell"
        if self.linux:
            return WIDE, "1024 to 65535, from one source address: more are open than Linux's own range has"
        return WIDE, "1024 to 65535, from one source address"
