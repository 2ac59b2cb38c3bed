"""What a dump of connections says, as data: buckets of source ports, gauges, and what was left out.

A TCP port is unique only inside one bucket: (source address, destination address, destination port). A bucket is
exhausted when every source port that its client may use is taken, whatever happens in the buckets beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Bucket", "DumpKind", "Gauge", "Json", "Measured", "PortReading", "WhatIf", "level_of"]

Json = dict[str, Any]

LINUX = 28_232
"""Ports 32768 to 60999, Linux's own ip_local_port_range."""
WIDE = 64_512
"""Ports 1024 to 65535: what a load balancer, or a Linux that was tuned, draws from."""
EXHAUSTED = 0.97
"""The watermark from which on no port can be counted on: the same in gate, diagnose and watch."""
_LEVELS = ((0.90, "critical"), (0.75, "warning"), (0.50, "notice"))


def level_of(share: float) -> str:
    """Return ``ok``, ``notice`` (≥ 50 %), ``warning`` (≥ 75 %) or ``critical`` (≥ 90 %; exhausted from 97 % on)."""
    return next((name for least, name in _LEVELS if share >= least), "ok")


@dataclass(frozen=True, slots=True)
class DumpKind:
    """One kind of dump, and how to know it."""

    id: str
    sniff: str
    """A regular expression (the syntax of Rust and of Python) that the first 4 KiB of such a dump match."""
    title: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """The connections of one source address to one destination address and port."""

    source: str
    """An address, or the name of the device where the dump tells no address."""
    destination: str
    """An address, or the name of a cluster or service where the dump tells no address."""
    port: int | None
    """The destination's port; None where the dump does not tell it."""
    connections: int
    """Source ports in use, those in TIME-WAIT among them; 0 where the dump only says that none is left."""
    capacity: int
    """How many source ports there are."""
    capacity_why: str
    by_state: Mapping[str, int] = field(default_factory=dict)
    """Connections per state, in the words of ``ss``; empty where the dump has no states."""
    idle: int | None = None
    """Connections on which nothing moves; None where the dump does not tell."""
    idle_why: str = ""
    active: int | None = None
    """What would need a connection if clients shared them; None where the dump does not tell."""
    active_exact: bool = True
    """``active`` counts requests in flight; else connections on which a byte moved in the last 60 s, which are more."""
    ended_by_half: int | None = None
    """Connections that half of the present idle timeout would have ended; None where the dump tells no ages."""
    shareable: bool = True
    """Whether connections can be shared at all: not where the proxy only passes bytes on."""
    said: str = ""
    """What the device itself says of this bucket's exhaustion; empty when it says nothing."""
    messages: int = 0
    """How many times it said so, those among them that it says it held back."""
    at_most: bool = False
    """The dump only gives a sum over servers: the bucket holds so many at the most."""

    @property
    def share(self) -> float:
        """Ports in use, as a part of the capacity; 1.0 where the device says that none is left."""
        return max(1.0, self.connections / self.capacity) if self.said else self.connections / self.capacity

    @property
    def level(self) -> str:
        """``ok``, ``notice``, ``warning`` or ``critical``; a bucket that is only bounded is never critical."""
        level = level_of(self.share)
        return "warning" if self.at_most and not self.said and level == "critical" else level

    @property
    def exhausted(self) -> bool:
        """Whether no source port can be counted on: 97 % and more, or the device says so."""
        return self.share >= EXHAUSTED and (bool(self.said) or not self.at_most)

    @property
    def counted(self) -> int:
        """How much of :attr:`PortReading.read` this bucket holds."""
        return self.connections or self.messages

    @property
    def target(self) -> str:
        """The destination with its port, as people write it."""
        if self.port is None:
            return self.destination
        return f"[{self.destination}]:{self.port}" if ":" in self.destination else f"{self.destination}:{self.port}"

    @property
    def scope(self) -> str:
        """The bucket's name: source → destination:port."""
        return f"{self.source} → {self.target}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a balancer says of one of its services or servers."""

    name: str
    kind: str
    """``service`` (what clients connect to) or ``server`` (what it connects to) or ``process``."""
    open_connections: int
    open_requests: int | None = None
    """Requests in flight; None where the dump does not tell."""
    queued: int | None = None
    state: str = ""
    limit: int | None = None
    dropped: int | None = None
    """Connections that were dropped, since the counters were last cleared."""

    @property
    def idle(self) -> int | None:
        """Connections without a request in flight; None where the dump does not tell."""
        return None if self.open_requests is None else max(0, self.open_connections - self.open_requests)


@dataclass(frozen=True, slots=True)
class PortReading:
    """One dump, read. Buckets and gauges are sorted, the worst first."""

    kind: str
    buckets: tuple[Bucket, ...]
    gauges: tuple[Gauge, ...] = ()
    read: int = 0
    """Connections (for ``f5-ltm``: messages) that were read: those of all buckets, and those left out."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Connections that are in no bucket, by reason."""
    other_lines: int = 0
    """Lines with something on them that are no part of such a dump: prompts, cut lines, other output."""
    sides: Mapping[str, int] = field(default_factory=dict)
    """How it was decided which end is the client: rule to connections."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What one change would do to one bucket."""

    change: str
    """``multiplexing``, ``source-addresses`` or ``idle-timeout``."""
    scope: str
    now: int
    """Connections now."""
    then: int | None
    """Connections per source address then; None: not known from this dump."""
    addresses: int | None
    """Source addresses that it takes (``source-addresses`` only)."""
    says: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a measure that probe rules compare with a threshold."""

    scope: str
    value: float
    line: str
    """The sentence to show as evidence."""
