"""Which end of a connection is the client, and how many source ports each bucket has in use.

The rules, the first that decides:

1. ``listening``: the local port has a LISTEN line in the same dump: this machine is the server. (Or the peer's has,
   and the peer is this machine, too.)
2. ``seen more often``: an endpoint that is in the dump at least three times, and at least twice as often as the other,
   is the service: many clients meet there.
3. ``port ranges``: one port is an ephemeral one (≥ 32768, or ≥ 1024 beside a well-known one), the other is not.
4. ``lower port``: the lower port is the service's.

Where this machine is the server, the peers are the sources: buckets are then (peer, local address, local port), as the
balancer in KB 425869 sees the clients that reach it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from tidegate.watch.ports.model import LINUX, WIDE, Bucket, PortReading

__all__ = ["Connection", "Found", "reading_of"]

_TOLD_RANGE = re.compile(r"ip_local_port_range\s{0,8}[=:]?\s{0,8}([0-9]{1,5})\s{1,8}([0-9]{1,5})\b")
_LINUX_FIRST, _LINUX_LAST = 32_768, 60_999
# With so many ports of a wider range, the chance that 95 % of them lie in Linux's is below 10^-15.
_TELLING = 64
_FEW = 0.05
_RESERVED = 1024
"""Ports below are bound by their programs (NFS, rsh), never drawn."""
# ss, netstat and the kernel's numbers, in the words of ss.
HOLDING = frozenset(
    {
        "ESTAB",
        "SYN-SENT",
        "SYN-RECV",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "CLOSE-WAIT",
        "LAST-ACK",
        "CLOSING",
        "TIME-WAIT",
        "UNSTATED",
    }
)
MOST = 500_000
"""Connections that are kept of one dump."""
IDLE_AGE_MS = 60_000
"""A connection on which no byte moved for a minute is idle."""


_End = tuple[str, int | None] | None


class Connection(NamedTuple):
    """One line of a dump."""

    local: str
    local_port: int
    peer: str
    peer_port: int
    state: str
    quiet: bool | None = None
    """Queues empty and no timer running but keepalive's; None where the dump has no timers."""
    age_ms: int | None = None
    """Since a byte last moved, either way; None where the dump does not tell."""


@dataclass(slots=True)
class _Tally:
    ports: int = 0
    outside: int = 0
    local_client: bool = False
    states: Counter[str] = field(default_factory=Counter)
    quiet: int = 0
    timers: int = 0
    ages: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """What a reader has met so far."""

    connections: list[Connection] = field(default_factory=list)
    listening: set[tuple[str, int]] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    sockets: int = 0
    other_lines: int = 0
    range: tuple[int, int] | None = None
    """First and last port that this machine draws from, where the text tells."""

    def look_for_range(self, text: str) -> None:
        """Take in ``sysctl net.ipv4.ip_local_port_range`` or its file, where it was pasted beside the dump."""
        match = _TOLD_RANGE.search(text)
        if match is not None and 0 < int(match[1]) <= int(match[2]) <= 65_535:
            self.range = int(match[1]), int(match[2])

    def add(self, local: _End, peer: _End, state: str, *, quiet: bool | None = None) -> bool:
        """Take in one socket; return False when these are no ends of one."""
        if local is None or peer is None:
            return False
        if state == "LISTEN":
            if local[1] is not None:
                self.listening.add((local[0], local[1]))
        elif state not in HOLDING:
            self.left_out["not connected: it holds no source port of a bucket"] += 1
        elif local[1] is None or peer[1] is None or "*" in {local[0], peer[0]}:
            return False
        elif len(self.connections) >= MOST:
            self.left_out[f"beyond the first {MOST} connections"] += 1
        else:
            self.connections.append(Connection(*local, *peer, state, quiet))  # type: ignore[arg-type] # not None
        self.sockets += 1
        return True


def reading_of(kind: str, found: Found, capacity: int | None = None) -> PortReading:
    """Sort connections into buckets.

    Parameters
    ----------
    kind
        The dump's kind.
    found
        What was read: connections in any state that holds a port, and the endpoints listened at (``*`` for any
        address).
    capacity
        Source ports per bucket, when the operator knows; else what ``ip_local_port_range`` in the dump says of this
        machine; else 28 232 where the ports seen (but for 5 %) lie in Linux's own range, 32768 to 60999, and the
        client is this machine or has at least 64 ports in use; and 64 512 otherwise.
    """
    ours = {one.local for one in found.connections}
    listens = found.listening | {(local, port) for address, port in found.listening if address == "*" for local in ours}
    seen: Counter[tuple[str, int]] = Counter()
    for one in found.connections:
        seen[one.local, one.local_port] += 1
        seen[one.peer, one.peer_port] += 1
    tallies: dict[tuple[str, str, int], _Tally] = {}
    sides: Counter[str] = Counter()
    left_out = Counter(found.left_out)
    taken: set[tuple[str, int, str, int]] = set()
    for one in found.connections:
        outward, rule = _outward(one, listens, seen)
        if outward:
            source, source_port, target, port = one.local, one.local_port, one.peer, one.peer_port
        else:
            source, source_port, target, port = one.peer, one.peer_port, one.local, one.local_port
        # on one machine both ends of a connection are in the dump, and a dump may be in the text twice
        if (source, source_port, target, port) in taken:
            tallies[source, target, port].local_client |= outward
            left_out["the other end of a connection that is counted, or the same line again"] += 1
            continue
        taken.add((source, source_port, target, port))
        sides[rule] += 1
        _add(tallies.setdefault((source, target, port), _Tally()), one, source_port, outward=outward)
    given = None if capacity is None else (capacity, "as given")
    here = [tally for tally in tallies.values() if tally.local_client]
    wide_here = _outside(sum(tally.outside for tally in here), sum(tally.ports for tally in here))
    buckets = [_bucket(key, tally, given or _range(tally, found.range), wide_here) for key, tally in tallies.items()]
    return PortReading(
        kind,
        tuple(sorted(buckets, key=lambda bucket: (-bucket.share, bucket.scope))),
        read=len(found.connections) + found.left_out.total(),
        left_out=dict(left_out),
        other_lines=found.other_lines,
        sides=dict(sides),
    )


def _outward(one: Connection, listens: set[tuple[str, int]], seen: Counter[tuple[str, int]]) -> tuple[bool, str]:
    """Return whether the local end is the client, and the rule that says so."""
    if (one.local, one.local_port) in listens:
        return False, "listening"
    if (one.peer, one.peer_port) in listens:
        return True, "listening"
    here, there = seen[one.local, one.local_port], seen[one.peer, one.peer_port]
    if max(here, there) >= 3 and max(here, there) >= 2 * min(here, there):
        return there > here, "seen more often"
    for floor in (_LINUX_FIRST, 1024):
        if (one.local_port >= floor) != (one.peer_port >= floor):
            return one.local_port >= floor, "port ranges"
    return (one.peer_port, one.peer) <= (one.local_port, one.local), "lower port"


def _outside(outside: int, ports: int) -> bool:
    """Return whether so many ports outside Linux's range mean another range: a few are bound by their programs."""
    return outside > _FEW * ports


def _range(tally: _Tally, told: tuple[int, int] | None) -> tuple[int, str] | None:
    """Return the range that the kernel of this machine says it has, for its own connections."""
    if told is None or not tally.local_client:
        return None
    return told[1] - told[0] + 1, f"{told[0]} to {told[1]}, as net.ipv4.ip_local_port_range in the dump says"


def _add(tally: _Tally, one: Connection, source_port: int, *, outward: bool) -> None:
    tally.ports += 1
    tally.states[one.state] += 1
    tally.local_client |= outward
    tally.outside += not _LINUX_FIRST <= source_port <= _LINUX_LAST and source_port >= _RESERVED
    if one.state not in {"ESTAB", "UNSTATED"}:
        return
    if one.quiet is not None:
        tally.timers += 1
        tally.quiet += one.quiet
    if one.age_ms is not None:
        tally.ages.append(one.age_ms)


def _bucket(key: tuple[str, str, int], tally: _Tally, given: tuple[int, str] | None, wide_here: bool) -> Bucket:
    size, why = given or _capacity(tally, wide_here)
    oldest = max(tally.ages, default=0)
    established = tally.states["ESTAB"] + tally.states["UNSTATED"]
    idle, idle_why, ended = None, "", None
    aged = bool(tally.ages) and len(tally.ages) == established
    if aged:
        idle = sum(age >= IDLE_AGE_MS for age in tally.ages)
        idle_why = "no byte either way for 60 s"
        ended = sum(2 * age >= oldest for age in tally.ages) if oldest >= IDLE_AGE_MS else None
    elif tally.timers and tally.timers == established:
        idle, idle_why = tally.quiet, "queues empty and nothing being sent again, at the moment of the dump"
    return Bucket(
        *key,
        connections=tally.ports,
        capacity=size,
        capacity_why=why,
        by_state=dict(sorted(tally.states.items())),
        idle=idle,
        idle_why=idle_why,
        # without ages a connection that waits for a slow answer looks idle too
        active=established - idle if idle is not None and aged else None,
        active_exact=False,
        ended_by_half=ended,
    )


def _capacity(tally: _Tally, wide_here: bool) -> tuple[int, str]:
    if tally.ports > LINUX:
        return WIDE, "1024 to 65535: more are in use than Linux's own range has"
    if tally.local_client and not wide_here:
        return LINUX, "the client is this machine, and its source ports lie in Linux's range, 32768 to 60999"
    if tally.local_client:
        return WIDE, "1024 to 65535: this machine also uses source ports outside Linux's own range"
    if tally.ports >= _TELLING and not _outside(tally.outside, tally.ports):
        return LINUX, "the source ports seen lie in Linux's range, 32768 to 60999"
    return WIDE, "1024 to 65535: the client's range is not known"
