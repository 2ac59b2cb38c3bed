"""What the follower of one log says: batches, gaps, and in which trouble it is."""

from __future__ import annotations

from tidegate.harmless import harmless
from tidegate.watch.live.identity import Position
from tidegate.watch.live.model import Batch, Gap

__all__ = ["Saying"]


class Saying:
    """Makes the batches of one log; what there is to say without records goes with the next one, or with an empty one.

    Parameters
    ----------
    source
        As :attr:`Batch.source` has it.
    path
        The log.
    stream
        As :attr:`Batch.stream` has it; empty while nothing of the log was read.
    """

    def __init__(self, source: str, path: str, stream: str) -> None:
        self.stream = stream
        self.idle: bool | None = None
        """What the last batch said of whether there is more; ``None`` before the first."""
        self.trouble: tuple[str, int] | None = None
        """Why nothing can be read, and since when."""
        self._source, self._path, self._name = source, path, harmless(path)
        self._gaps: list[Gap] = []

    def gap(self, kind: str, words: str, since: int, until: int, count: int | None = None) -> None:
        """Keep a gap for the next batch."""
        self._gaps.append(Gap(self._source, kind, harmless(f"{self._path}: {words}"), since, max(since, until), count))

    def in_trouble(self, words: str, now: int) -> None:
        """Say once that nothing can be read."""
        if self.trouble is None or self.trouble[0] != words:
            self.trouble = (words, now if self.trouble is None else self.trouble[1])
            self.gap("unreadable", words, now, now)

    def out_of_trouble(self, now: int) -> None:
        """Say how long it lasted, if there was trouble."""
        if self.trouble is not None:
            words, since = self.trouble
            self.gap("unreadable", f"it is read again; until now {words}", since, now)
            self.trouble = None

    def rest(self, position: Position | None, now: int, *, idle: bool) -> Batch | None:
        """Return an empty batch when there is something that no batch has said yet."""
        if position is not None:
            return self.empty(position, now, idle=idle) if self._gaps or self.idle is not idle else None
        gaps, self._gaps = tuple(self._gaps), []
        return Batch(self._source, self._name, self._name, b"", 0, now, {}, gaps=gaps, idle=True) if gaps else None

    def empty(self, position: Position, now: int, *, idle: bool) -> Batch:
        """Return a batch without records."""
        gaps, self._gaps = tuple(self._gaps), []
        self.idle = idle
        place = position.base + position.offset
        return Batch(self._source, self.stream, self._name, b"", place, now, position.as_json(), gaps=gaps, idle=idle)
