"""Between a listener's sockets and the desk: what was heard becomes records, waits within bounds, leaves in batches.

::

    datagram, frame ──► record ──► Gathered, one per speaker ──► Batch, numbered in the order in which they leave

Streams are not read on while their records wait (:meth:`Intake.room`); datagrams that find no room are counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tidegate.errors import UsageError
from tidegate.watch.live.model import Batch, Gap, Json
from tidegate.watch.live.syslog_gather import Gathered, Taken
from tidegate.watch.live.syslog_losses import Losses
from tidegate.watch.live.syslog_records import Relays, hostname_of, is_prioritised, record_of
from tidegate.watch.live.syslog_sheaf import Sheaf

__all__ = ["Intake", "Speaker"]

_FORMAT = 1
_STREAMS = 16 << 20
"""Bytes that the records of all connections may take while they wait."""
_DATAGRAMS = 4 << 20
"""The same of datagrams: some 10 000 of 300 bytes."""
_OF_ONE = 1 << 20
"""The same of one peer's datagrams: it takes nobody else's room."""
_TROUBLES = 20
"""Gaps that are shown."""


@dataclass(slots=True, eq=False)
class Speaker:
    """Whom records come from: an address (UDP), or one connection.

    ``host`` is what it is called; ``relay``: it speaks for the hosts that its records name.
    """

    host: str
    relay: bool
    stream: bool
    gathered: Gathered = field(default_factory=Gathered)
    prioritised: bool = False
    behind: bool = False
    """It may be sending what it could not send before: when that comes says nothing of its clock."""
    named: str = ""
    """Whom a relay spoke for last."""

    @property
    def live(self) -> bool:
        """Whether what it says was sent just now."""
        return not self.relay and not self.behind


class Intake:
    """What one listener has heard and not handed over.

    Parameters
    ----------
    source
        The listener's name: its batches' source and stream.
    shown
        Where it listens, for people.
    """

    def __init__(self, source: str, shown: str, relays: Relays) -> None:
        self.losses = Losses(source)
        self.troubles: deque[Gap] = deque(maxlen=_TROUBLES)
        self.bytes = self.records = 0
        self._source, self._shown, self._relays = source, shown, relays
        self._speakers: dict[object, Speaker] = {}
        self._waiting = {True: 0, False: 0}
        self._some, self._full = asyncio.Event(), asyncio.Event()
        self._given = asyncio.Condition()

    def connected(self, address: str, name: str) -> Speaker:
        """Return the speaker of a new connection, by its certificate's name where it has one."""
        return Speaker(name or address, self._relays.hold(address, name), stream=True, behind=True)

    def datagram(self, address: str, message: bytes) -> bool:
        """Take a datagram; return whether there was room for it."""
        speaker = self._speakers.get(address) or Speaker(address, self._relays.hold(address), stream=False)
        if self._waiting[False] >= _DATAGRAMS or speaker.gathered.cost >= _OF_ONE:
            return False
        self.hear(speaker, message, key=address)
        return True

    def hear(self, speaker: Speaker, message: bytes, *, key: object = None, more: bool = False) -> None:
        """Take a message. ``more``: without a priority it goes on with the last one of its speaker."""
        prioritised = is_prioritised(message)
        goes_on = more and speaker.prioritised and not prioritised
        record = record_of(message, goes_on=goes_on)
        if not record:
            return
        speaker.prioritised |= prioritised
        if speaker.relay and not goes_on:
            speaker.named = hostname_of(message)
        gathered = speaker.gathered
        self._waiting[speaker.stream] += gathered.add(speaker.named or speaker.host, record, time.monotonic_ns())
        self._speakers[key or speaker] = speaker
        self._some.set()
        if gathered.cost >= gathered.FULL:
            self._full.set()

    def lost(self, kind: str, why: str, who: str = "", count: int = 1, *, since: int | None = None) -> None:
        """Count what was not seen, from ``since`` to now."""
        now = time.time_ns()
        self.losses.add(kind, why, count, (now if since is None else min(since, now), now), who)
        self._some.set()

    async def room(self, speaker: Speaker) -> None:
        """Return when this speaker's records may be added to."""
        while speaker.gathered.cost >= Gathered.FULL or self._waiting[True] >= _STREAMS:
            speaker.behind = True
            async with self._given:
                await self._given.wait()

    async def due(self) -> None:
        """Return when it is time to look at what can be handed over."""
        await self._some.wait()
        try:
            async with asyncio.timeout(0.1):
                await self._full.wait()
        except TimeoutError:
            pass
        self._full.clear()

    def batches(self, *, later: int = 0) -> Iterator[Batch]:
        """Hand over what is ready, speaker by speaker; gaps go with the first batch, or by themselves.

        Parameters
        ----------
        later
            What will be ready after so many nanoseconds, too.
        """
        sheaf: Sheaf | None = None
        for key, speaker in list(self._speakers.items()):
            if not speaker.gathered.ready(time.monotonic_ns() + later):
                continue
            if sheaf and not sheaf.takes(speaker.gathered, speaker.live):
                yield self._batch(sheaf)
                sheaf = None
            sheaf = sheaf or Sheaf(speaker.live, speaker.gathered.oldest)
            sheaf.add(self._taken(key, speaker, time.monotonic_ns() + later))
        if sheaf:
            yield self._batch(sheaf)
        gaps = self._gap_batch(self.bytes, later)
        if gaps.gaps:
            yield gaps
        if not self._speakers and not self.losses:
            self._some.clear()

    async def given(self) -> None:
        """Tell connections that wait that something has left."""
        async with self._given:
            self._given.notify_all()

    def resume(self, position: Json) -> None:
        """Go on counting where ``position`` ends.

        Raises
        ------
        UsageError
            When another version wrote it.
        """
        if position.get("format") != _FORMAT:
            hint = "go back to that version, or begin with a new state file"
            raise UsageError(
                f"the position of {self._source} was written by another version.", hint=hint, slug="format"
            )
        self.bytes, self.records = position["bytes"], position["records"]

    @property
    def waiting(self) -> int:
        """Bytes that wait, with what keeping them costs."""
        return sum(self._waiting.values())

    def _taken(self, key: object, speaker: Speaker, now: int) -> Taken:
        taken = speaker.gathered.take(now)
        self._waiting[speaker.stream] -= taken.cost
        if not speaker.gathered.cost:
            del self._speakers[key]
        speaker.behind &= not taken.quiet
        return taken

    def _batch(self, sheaf: Sheaf) -> Batch:
        begin, data = self.bytes, sheaf.data
        self.bytes += len(data)
        self.records += sheaf.records
        gaps_only = self._gap_batch(begin)
        arrival = gaps_only.arrival - (time.monotonic_ns() - sheaf.first)
        return replace(gaps_only, data=data, hosts=tuple(sheaf.hosts), arrival=arrival, live=sheaf.live, idle=False)

    def _gap_batch(self, base: int, later: int = 0) -> Batch:
        """Return a batch with what is to be said of gaps, and the position."""
        now = time.time_ns()
        gaps = self.losses.take(now + later)
        self.troubles.extend(gaps)
        return Batch(
            source=self._source,
            stream=self._source,
            name=self._shown,
            data=b"",
            base=base,
            arrival=now,
            position={"format": _FORMAT, "bytes": self.bytes, "records": self.records},
            gaps=gaps,
            # There is no record that anybody should wait for.
            idle=True,
        )
