"""Records of one speaker on their way to the desk: no I/O, time is passed in (nanoseconds that never go back).

A record may come in several messages (``<166>… Hostd[7]: --> more``), and the desk reads each batch by itself. So they
are *gathered*: ready when their speaker has been silent for :attr:`Gathered.QUIET`, or the first of them has waited for
:attr:`Gathered.PATIENCE`, or there are :attr:`Gathered.FULL` bytes of them. In the last two cases the last record, with
all messages that go on with it, stays for the next time.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Gathered", "Taken"]

_HEADER = 160
"""In so many bytes the mark of a message stands that goes on with an earlier one."""


class Taken(NamedTuple):
    """Records for one batch: their text, from which byte on they are of which host, how many they are.

    ``first`` is when the first of them came; ``quiet``: there are no more for now.
    """

    data: bytes
    hosts: tuple[tuple[int, str], ...]
    records: int
    cost: int
    first: int
    quiet: bool


class Gathered:
    """What one speaker has said and the desk does not have yet."""

    QUIET = 100_000_000
    """Nanoseconds of silence after which a record is over."""
    PATIENCE = 1_000_000_000
    """Nanoseconds that a record waits, at the most; twice as many if it may go on."""
    FULL = 256 << 10
    """Bytes of records that are not waited on any longer; a speaker that has sent as much is listened to later."""
    OVERHEAD = 100
    """Bytes that a record costs beside its own, so that empty ones are bounded, too."""

    def __init__(self) -> None:
        self.cost = 0
        """Bytes held, :attr:`OVERHEAD` included."""
        self._records: list[tuple[str, bytes, int]] = []
        self._first = self._last = 0

    def add(self, host: str, record: bytes, now: int) -> int:
        """Take one record; return what it costs. ``now`` never goes back."""
        if not self._records:
            self._first = now
        self._last = now
        self._records.append((host, record, now))
        cost = len(record) + self.OVERHEAD
        self.cost += cost
        return cost

    @property
    def oldest(self) -> int:
        """When the first of the records came that are here."""
        return self._records[0][2]

    def ready(self, now: int) -> bool:
        """Tell whether there is something to take."""
        return bool(self._records) and (self._quiet(now) or self._pressed(now))

    def take(self, now: int) -> Taken:
        """Take what is ready, in order."""
        quiet = self._quiet(now)
        count = len(self._records) if quiet else self._whole()
        given, self._records = self._records[:count], self._records[count:]
        self._first = now
        hosts: list[tuple[int, str]] = []
        at = 0
        for host, record, _ in given:
            if not hosts or hosts[-1][1] != host:
                hosts.append((at, host))
            at += len(record)
        cost = at + self.OVERHEAD * len(given)
        self.cost -= cost
        data = b"".join(record for _, record, _ in given)
        return Taken(data, tuple(hosts), len(given), cost, given[0][2], quiet)

    def _quiet(self, now: int) -> bool:
        return now - self._last >= self.QUIET

    def _pressed(self, now: int) -> bool:
        return self.cost >= self.FULL or now - self._first >= self.PATIENCE

    def _whole(self) -> int:
        """Return how many records are surely over: all before the last one that begins anew, if there are any."""
        last = len(self._records) - 1
        while last > 0 and _goes_on(self._records[last][1]):
            last -= 1
        return last or len(self._records)


def _goes_on(record: bytes) -> bool:
    """Tell whether a record may be part of the one before: marked by ``-->`` or, since ESXi 8, by ``[+]``."""
    header = record[:_HEADER]
    return b"-->" in header or b"[+" in header
