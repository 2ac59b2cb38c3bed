"""Records of several speakers for one batch, a wall between every two of them: no I/O.

A storm is a few records of each of two thousand hosts; a batch for each of them would keep the desk busy with batches.
But the scanner puts lines of one record together that stand apart, and nobody may go on with what another one has said.
The wall is two NULs, which the scanner takes for the end of a text; no record has any.
"""

from __future__ import annotations

from tidegate.watch.live.syslog_gather import Gathered, Taken

__all__ = ["Sheaf"]

_WALL = b"\0\0"
_BYTES = 256 << 10
"""A sheaf that has as many bytes takes no further speaker."""
_APART = 1_000_000_000
"""Nanoseconds that the first records of two speakers may be apart: a batch has one arrival."""


class Sheaf:
    """What was taken from speakers, in the order in which they were asked.

    Parameters
    ----------
    live
        Whether these speakers sent it just now.

    Attributes
    ----------
    data, hosts, records
        As in a batch: the text, from which byte on it is of which host, how many records there are.
    first
        When the first of them came.
    """

    def __init__(self, live: bool, first: int) -> None:
        self.live, self.first = live, first
        self.hosts: list[tuple[int, str]] = []
        self.records = 0
        self._parts: list[bytes] = []
        self._size = 0

    def takes(self, gathered: Gathered, live: bool) -> bool:
        """Tell whether what a speaker has said may come to it."""
        room = self._size + gathered.cost <= _BYTES
        return room and live == self.live and abs(gathered.oldest - self.first) <= _APART

    def add(self, taken: Taken) -> None:
        """Put it behind a wall."""
        if self._parts:
            self._parts.append(_WALL)
            self._size += len(_WALL)
        self.hosts += [(self._size + at, host) for at, host in taken.hosts]
        self._parts.append(taken.data)
        self._size += len(taken.data)
        self.records += taken.records
        self.first = min(self.first, taken.first)

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)
