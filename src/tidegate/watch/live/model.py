"""What the parts of a running watch hand to one another: plain values, without I/O.

Times are nanoseconds since 1970. A *place* names one record for ever: its stream and where in it the record begins. It
comes from the source, never from a clock, so what is read a second time after a crash has the same place, and what is
said about it the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Batch", "Change", "Episode", "Gap", "Hit", "Json", "Notice", "key_of"]

Json = dict[str, Any]
Severity = Literal["critical", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not seen: from here to there nothing can be said about ``source``.

    ``kind`` is one of ``not_running``, ``kernel_drops``, ``sender_lost``, ``truncated``, ``queue_full``,
    ``unreadable``, ``probe_failed``; ``count`` is how many records, where that is known.
    """

    source: str
    kind: str
    detail: str
    since: int
    until: int
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole records of one stream, in the order of the source.

    Parameters
    ----------
    source
        The source's name in the configuration, as ``files.NAME``, ``syslog.NAME`` or ``probe.NAME``.
    stream
        One stream of it: the identity of a file, or the listener itself. With ``source`` it names what ``position`` is
        of.
    name
        For people: a path, or the address that is listened on.
    data
        The records, each ended by a line feed.
    base
        Where ``data`` begins in the stream, in (decompressed) bytes or in records received.
    arrival
        When it came, or was read.
    position
        What the source needs to go on after ``data``; stored with what the data did.
    live
        Whether ``arrival`` is when the records were sent, within seconds: then clocks are judged by it.
    hosts
        From which byte of ``data`` on the records are of which host, in order; "" leaves it to the record's header.
    idle
        The stream has no more for now: it holds up no watermark.
    hits
        What the source itself has found, beside what is in ``data``: a probe's values.
    over
        The stream is gone for good: what was stored of it goes, too.
    """

    source: str
    stream: str
    name: str
    data: bytes
    base: int
    arrival: int
    position: Json
    live: bool = False
    hosts: tuple[tuple[int, str], ...] = ()
    gaps: tuple[Gap, ...] = ()
    idle: bool = False
    hits: tuple[Hit, ...] = ()
    over: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One record in which a signature was met, or one value of a probe that is past what its rule allows.

    ``time`` is what the record says, ``None`` where it says nothing; ``values`` are the fields by which windows tell
    events apart (``host`` and ``provider`` among them, "" where unknown); ``record`` is redacted and harmless.
    ``quoted``: it stands in the text of an article.
    """

    rule: str
    signature: str
    time: int | None
    arrival: int
    source: str
    stream: str
    place: int
    live: bool
    values: Mapping[str, str]
    record: str = ""
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """The condition of a rule holds for a scope; see ``episodes.py`` for its life.

    ``key`` is :func:`key_of` the record that opened it. ``at`` is the crossing event's time, ``until`` the last moment
    at which the condition held, ``cleared`` when that was seen to be over.
    """

    key: str
    rule: str
    window: str
    scope: tuple[tuple[str, str], ...]
    severity: Severity
    first: int
    at: int
    until: int
    count: int
    hosts: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    cleared: int | None = None
    hosts_total: int = 0
    """How many hosts are known (at most 2000 are counted); ``hosts`` names up to 200 of them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be said to every receiver, once.

    ``key`` is the idempotency key: the episode's, a slash, and what happened, with its number where that may happen
    again (``…/opened``, ``…/escalated/2``, ``…/cleared``).
    """

    key: str
    what: Literal["opened", "escalated", "cleared"]
    episode: Episode
    made: int


@dataclass(slots=True)
class Change:
    """What one step changed, for one transaction: ``None`` for a row that is gone."""

    positions: dict[tuple[str, str], Json | None] = field(default_factory=dict)
    rows: dict[tuple[str, str], Json | None] = field(default_factory=dict)
    """State of the machine by (kind, key): windows, episodes, hosts' clocks."""
    notices: list[Notice] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def key_of(rule: str, window: str, scope: tuple[tuple[str, str], ...], stream: str, place: int) -> str:
    """Return the key of what a record opened: the first 32 hexadecimal digits of a SHA-256 over where it stands."""
    parts = (rule, window, *(f"{name}={value}" for name, value in scope), stream, str(place))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
