"""Reads an F5 BIG-IP: ``01010201`` in /var/log/ltm (no source port is left) and ``tmsh show sys connection``.

The log names the bucket: "Inet port exhaustion on <self IP or SNAT address> to <address>:<port> (proto 6)". A row of
the table is two connections, the client's to the virtual server and the F5's own to the pool member, each in a bucket
of its own; the number behind the protocol is the seconds since a byte last moved.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tidegate.watch.ports.model import WIDE, Bucket, PortReading
from tidegate.watch.ports.text import address_of, endpoint_of, lines_of
from tidegate.watch.ports.tuples import IDLE_AGE_MS, MOST

__all__ = ["read_f5_connections", "read_f5_ltm"]

_ID = "01010201:"
_EXHAUSTED = re.compile(
    r"01010201:[0-9]+:?\s.*?[Pp]ort exhaustion on (?P<source>[0-9A-Fa-f:.]+(?:%[0-9]+)?)"
    r" to (?P<target>[0-9A-Fa-f:.%\[\]]+)\s+\(proto (?P<protocol>[0-9]{1,3})\)"
)
_HELD = re.compile(r"01010201:[0-9]+:?\s.*\bheld (?P<count>[0-9]{1,9}) messages?")
_ROW = re.compile(
    r"\s*(?P<ends>\S+\s+\S+\s+\S+\s+\S+)\s+(?P<protocol>\w+)\s+(?P<idle>[0-9]{1,9})\s+\(tmm: ?[0-9]+\)\s*(?:\S+.*)?"
)
_WHY = "1024 to 65535, from one source address"


def read_f5_ltm(text: str, *, capacity: int | None = None) -> PortReading:
    """Read the lines ``01010201`` of a log.

    Parameters
    ----------
    text
        Lines of /var/log/ltm, other lines among them.
    capacity
        Source ports per bucket, when known; else 64 512.

    Raises
    ------
    ValueError
        With a sentence, when no line says that ports ran out.
    """
    messages: Counter[tuple[str, str, int]] = Counter()
    left_out: Counter[str] = Counter()
    others = 0
    for line in lines_of(text):
        said = line[line.find(_ID) :] if _ID in line else ""
        if (match := _EXHAUSTED.match(said)) is not None:
            source, target = address_of(match["source"]), _end(match["target"])
            if source is None or target is None or target[1] is None:
                others += 1
            elif match["protocol"] != "6":
                left_out["not TCP"] += 1
            else:
                messages[source, target[0], target[1]] += 1
        elif (held := _HELD.match(said)) is not None:
            left_out["held back by the F5's own limit on messages, which does not say for which bucket"] += int(
                held["count"]
            )
        else:
            others += 1
    if not messages and not left_out:
        raise ValueError("no line of this text says 01010201 … Inet port exhaustion as /var/log/ltm does")
    buckets = [
        Bucket(*key, 0, capacity or WIDE, _WHY, said="Inet port exhaustion (01010201)", messages=count)
        for key, count in messages.items()
    ]
    return PortReading(
        "f5-ltm",
        tuple(sorted(buckets, key=lambda bucket: (-bucket.messages, bucket.scope))),
        read=messages.total() + left_out.total(),
        left_out=dict(left_out),
        other_lines=others,
    )


@dataclass(slots=True)
class _Leg:
    ports: set[int] = field(default_factory=set)
    ages: list[int] = field(default_factory=list)


def read_f5_connections(text: str, *, capacity: int | None = None) -> PortReading:
    """Read the table of ``tmsh show sys connection``.

    Parameters
    ----------
    text
        As tmsh prints it, whole or filtered.
    capacity
        Source ports per bucket, when known; else 64 512.

    Raises
    ------
    ValueError
        With a sentence, when no line is a connection.
    """
    legs: dict[tuple[str, str, int], _Leg] = defaultdict(_Leg)
    left_out: Counter[str] = Counter()
    read = others = rows = 0
    for line in lines_of(text):
        match = _ROW.fullmatch(line)
        if match is None:
            others += 1
            continue
        rows += 1
        ends = [_end(end) for end in match["ends"].split()]
        for client, server in (ends[:2], ends[2:]):
            read += 1
            reason = _reason(match["protocol"], client, server, read)
            if reason or client is None or server is None or client[1] is None or server[1] is None:
                left_out[reason] += 1
                continue
            leg = legs[client[0], server[0], server[1]]
            if client[1] in leg.ports:
                left_out["the same connection again"] += 1
                continue
            leg.ports.add(client[1])
            leg.ages.append(int(match["idle"]))
    if not rows:
        raise ValueError("no line of this text is a connection as tmsh show sys connection prints it")
    buckets = [_bucket(key, leg, capacity or WIDE) for key, leg in legs.items()]
    return PortReading(
        "f5-connections",
        tuple(sorted(buckets, key=lambda bucket: (-bucket.share, bucket.scope))),
        read=read,
        left_out=dict(left_out),
        other_lines=others,
        sides={"as the dump says": sum(bucket.connections for bucket in buckets)},
    )


def _reason(
    protocol: str, client: tuple[str, int | None] | None, server: tuple[str, int | None] | None, read: int
) -> str:
    if protocol != "tcp":
        return "not TCP"
    if read > MOST:
        return f"beyond the first {MOST} connections"
    if client is None or server is None or client[1] is None or server[1] is None:
        return "no connection to a server, or none with numbers"
    return ""


def _end(text: str) -> tuple[str, int | None] | None:
    """Return address and port: F5 writes ``10.0.0.5:443``, ``2001:db8::1.443`` and a route domain as ``%1``."""
    plain = re.sub(r"%[0-9]+", "", text) if "%" in text else text
    mark = "." if plain.count(":") > 1 and "]" not in plain and "." in plain.rpartition(":")[2] else ":"
    return endpoint_of(plain, mark)


def _bucket(key: tuple[str, str, int], leg: _Leg, capacity: int) -> Bucket:
    oldest = max(leg.ages)
    idle = sum(1000 * age >= IDLE_AGE_MS for age in leg.ages)
    return Bucket(
        *key,
        connections=len(leg.ports),
        capacity=capacity,
        capacity_why=_WHY,
        idle=idle,
        idle_why="no byte either way for 60 s",
        active=len(leg.ports) - idle,
        active_exact=False,
        ended_by_half=sum(2 * age >= oldest for age in leg.ages) if 1000 * oldest >= IDLE_AGE_MS else None,
    )
