"""What a watch knows, kept: where it has read to, its windows and episodes, what it still has to say and to whom.

One step of the watch is one transaction: where the sources stand, what the records before that did, and the notices
that came of it are kept together or not at all. After a crash the sources go on from there, so that nothing counts
twice and nothing is left out; what was sent but not yet marked is sent again, under the key that it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tidegate.errors import ServerUnreachable, UsageError
from tidegate.watch.live.model import Change, Gap, Json, Notice

__all__ = ["FORMAT", "Row", "Saved", "Store", "StoreFull", "StoreLost", "StoreRefused"]

FORMAT = 1
"""Of everything that is kept; a store of any other is refused."""


class StoreRefused(UsageError):
    """The store cannot be used as it is: another format, another's, or no store at all."""

    slug = "store-refused"


class StoreLost(ServerUnreachable):
    """The store does not answer. What was to be kept was not, or nobody knows: it may be kept again as it is."""

    slug = "store-lost"


class StoreFull(StoreLost):
    """There is no room to keep anything: what is kept stays as it was, and the same step may be kept again later."""

    slug = "store-full"


@dataclass(frozen=True, slots=True)
class Row:
    """A notice that ``receiver`` has not taken yet, in so many ``tries``."""

    receiver: str
    notice: Notice
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Saved:
    """What a watch begins with.

    ``stopped`` is when the last step was kept, in nanoseconds since 1970; ``None`` when there was none.
    """

    positions: dict[tuple[str, str], Json] = field(default_factory=dict)
    """Where each stream was read to, by (source, stream)."""
    rows: list[tuple[str, str, Json]] = field(default_factory=list)
    """State of the machine: (kind, key, value), sorted."""
    gaps: list[Gap] = field(default_factory=list)
    """The newest, oldest first."""
    stopped: int | None = None


class Store(Protocol):
    """Where a watch keeps what it knows; one watch has it at a time. Safe for several threads.

    Every method raises :class:`StoreFull` or :class:`StoreLost` where nothing could be kept or read, and then may be
    called again; :class:`StoreRefused` when the store has become another watch's. Times are nanoseconds since 1970.
    """

    @property
    def place(self) -> str:
        """Where it is, for people; it holds no password."""
        ...

    def load(self) -> Saved:
        """Return everything but the notices."""
        ...

    def commit(self, change: Change, now: int) -> list[Gap]:
        """Keep one step: all of it, or nothing. The same step twice is the same as once.

        Its notices are for every receiver that was named when the store was opened.

        Returns
        -------
        list[Gap]
            For each receiver that had no room for a notice, since when and how many were left out; kept as well.
        """
        ...

    def due(self, receiver: str, now: int, limit: int) -> list[Row]:
        """Return at most ``limit`` notices whose turn it is, those that are due longest first.

        What is about the same rule and scope has its turn one after the other (see ``outbox.py``).
        """
        ...

    def next_due(self, receiver: str) -> int | None:
        """Return when the next notice for this receiver is due, which may be past; ``None`` when nothing waits."""
        ...

    def sent(self, rows: Sequence[Row]) -> None:
        """Note that these notices were taken: they are gone."""
        ...

    def failed(self, row: Row, now: int) -> None:
        """Note that this notice was not taken, and when it is tried again (see ``outbox.wait``)."""
        ...

    def view(self) -> Json:
        """Return its ``place`` and, by receiver, what is ``waiting``: how many, and when the ``oldest`` was made."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
