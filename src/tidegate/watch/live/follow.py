"""One log, read through its rotations, a step at a time.

A step does one of these:

- *find*: no file is open. Look for the file in which reading stopped (``rotation.where``), else begin.
- *read*: hand on the whole records behind the offset, at most a MiB.
- *leave*: the file is not the log any more (it was renamed, or is a rotation), and all of it was read. Where more
  rotations follow, go on with the next one at once; where the log itself follows, only when it has text and nothing
  came to the old file for one more step: who writes to it may not have noticed yet.
- *truncated*: the log is shorter than what was read, or begins otherwise. What was not read of it may be in a copy
  beside it: that is read to its end. Where there is no copy it is a gap. Then the log is read from its begin, as a new
  generation.

The position says where all this goes on after a crash, at any moment: what was not stored is done again alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from tidegate.harmless import harmless
from tidegate.watch.live.files import Opened, Unreadable, opened, seen
from tidegate.watch.live.folders import Folders
from tidegate.watch.live.identity import HEAD, Identity, Position
from tidegate.watch.live.lines import BATCH, LINE, Cut, cut
from tidegate.watch.live.model import Batch, Gap, Json
from tidegate.watch.live.rotation import Found, after, continues, where

__all__ = ["Follower"]

HELD = 10**9
"""The last record is handed on when nothing was added for so long (ns)."""
_LIVE = 5 * 10**9
"""What is read within so long (ns) after everything was read, is read as it is written."""
_DELETED = 60 * 10**9
"""A file without a name that is not written to for so long (ns) is closed: it takes room on its disk."""


class Follower:
    """Follows one log.

    Parameters
    ----------
    source
        As :attr:`Batch.source` has it.
    path
        The log.
    since
        Where nothing is known of the log yet, rotations that were changed after this are read too (ns since 1970).
    saved
        The stream and the position to go on from; without them the log is read from its begin.
    """

    def __init__(
        self,
        source: str,
        path: str,
        folders: Folders,
        *,
        since: int,
        saved: tuple[str, Position] | None = None,
    ) -> None:
        self.source, self.path = source, path
        self.stream = saved[0] if saved else ""
        self.position: Position | None = saved[1] if saved else None
        self.trouble: tuple[str, int] | None = None
        self.behind = False
        """Whether there was more to read than one step reads."""
        self.cut_lines = 0
        self.lag = 0
        self._folders, self._since = folders, since
        folders.know(path)
        self._file: Opened | None = None
        self._seen = (-1, -1)  # size and time of the open file, …
        self._grown = 0  # … and when it was seen to have these first
        self._ended = -1  # the size at which an old file was seen to be read
        self._over = saved is None  # there is nothing behind the position in its file
        self._caught = 0  # when all of the log was read
        self._idle = False
        self._told: bool | None = None  # what the last batch said of that
        self._gaps: list[Gap] = []
        self._passed: set[tuple[int, int]] = set()  # rotations that cannot be read

    @property
    def is_open(self) -> bool:
        """Whether a file is open."""
        return self._file is not None

    def close(self) -> None:
        """Close the file; it is found again when there is something to read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def wake(self, now: int) -> Batch | None:
        """Return an empty batch which says that there is more, when it was not known."""
        if self.position is None or self._told is False:
            return None
        there = seen(self.path, live=True)
        if there is not None and there.size:
            idle = _is_read(self.position, there)
        else:
            idle = self._file is None or not self._file.left(self.position.offset)
        return None if idle else self._empty(self.position, now, idle=False)

    def step(self, now: int) -> Batch | None:
        """Return the next batch; ``None`` when there is nothing for now."""
        try:
            batch = self._step(now)
        except FileNotFoundError:
            return self._in_trouble("it is missing", now)
        except Unreadable as error:
            return self._in_trouble(str(error), now)
        if self.trouble is not None:
            words, since = self.trouble
            self._gap("unreadable", f"it is read again; until now {words}", since, now)
            self.trouble = None
        return batch or self._said(now)

    def view(self) -> Json:
        """Return how it goes."""
        known = {"generation": self.position.generation, "offset": self.position.offset} if self.position else {}
        return {"stream": self.stream or self.path, "path": harmless(self.path), "lag_bytes": self.lag, **known}

    def _step(self, now: int) -> Batch | None:
        self.behind = False
        if self._file is None and not self._find(now):
            return None
        while self._file is not None and self.position is not None:
            batch, again = self._read(self._file, self.position, now)
            if not again:
                return batch
        return None

    # Find.

    def _find(self, now: int) -> bool:
        """Open the file to go on with; tell whether there is one."""
        if self.position is None:
            return self._begin()
        there = seen(self.path, live=True)
        if there is not None and _is_read(self.position, there):
            self._idle, self.lag, self._caught = True, 0, now
            return False
        files = self._folders.files(self.path, self.position)
        if files is None:
            return False
        index = where(self.position, files)
        if index is not None:
            return self._open(files[index], self.position)
        index = after(self.position.modified, files)
        if index is None:
            raise FileNotFoundError(self.path)
        if not self._over:
            words = f"what followed byte {self.position.offset} is gone: it was truncated, or its rotation was deleted"
            self._gap("truncated", words, self.position.modified, now)
            self._over = True
        return self._next(files[index], self.position)

    def _begin(self) -> bool:
        files = self._folders.files(self.path)
        index = after(self._since, files or [])
        if files is None or index is None:
            if files is None:
                return False
            raise FileNotFoundError(self.path)
        file = opened(files[index].path)
        status, head = file.status(), file.read(0, HEAD)
        if b"\n" not in head and len(head) < HEAD:
            file.close()
            self._idle = not head
            return False
        first = head.split(b"\n", 1)[0]
        name = hashlib.sha256(b"%d %d %s" % (status.st_dev, status.st_ino, first)).hexdigest()[:8]
        self.stream = f"{harmless(self.path)}#{name}"
        known = Identity.of(status.st_dev, status.st_ino, head)
        self.position = Position(self.path, 0, known, 0, 0, status.st_mtime_ns)
        self._take(file)
        return True

    def _open(self, found: Found, position: Position) -> bool:
        """Open the file in which reading stopped; tell whether that is what was found."""
        file = opened(found.path)
        status, head = file.status(), file.read(0, HEAD)
        if (status.st_dev, status.st_ino) != (found.device, found.inode) or not position.identity.begins(head):
            file.close()
            return False
        self.position = replace(position, identity=Identity.of(status.st_dev, status.st_ino, head))
        self._file, self._over = file, False
        return True

    def _next(self, found: Found, position: Position) -> bool:
        """Open the next file, from its begin; tell whether there is something in it."""
        try:
            file = opened(found.path)
        except Unreadable as error:
            if found.live:
                raise
            self._passed.add((found.device, found.inode))
            self._gap("unreadable", f"{found.path} is passed over: {error}", position.modified, found.modified)
            return False
        status, head = file.status(), file.read(0, HEAD)
        if (status.st_dev, status.st_ino) != (found.device, found.inode) or not head:
            file.close()
            return False
        known = Identity.of(status.st_dev, status.st_ino, head)
        if continues(position, found):
            self.position = replace(position, identity=known)
        else:
            base = position.base + position.offset
            self.position = Position(self.path, position.generation + 1, known, base, 0, status.st_mtime_ns)
        self._passed.clear()
        self._take(file)
        return True

    def _take(self, file: Opened) -> None:
        """Read a file of which nothing was read yet."""
        self.close()
        self._file, self._seen, self._ended, self._over = file, (-1, -1), -1, False

    # Read.

    def _read(self, file: Opened, position: Position, now: int) -> tuple[Batch | None, bool]:
        """Return a batch, if there is one, and whether another file was opened meanwhile."""
        status = file.status()
        there = seen(self.path, live=True)
        live = there is not None and (there.device, there.inode) == (status.st_dev, status.st_ino)
        if self._seen != (status.st_size, status.st_mtime_ns):
            head = file.read(0, HEAD)
            # It may have been renamed since, too.
            if not position.identity.begins(head) or (not file.packed and status.st_size < position.offset):
                return None, self._truncated(position, now)
            known = Identity.of(status.st_dev, status.st_ino, head)
            self.position = position = replace(position, identity=known, modified=status.st_mtime_ns)
            self._seen, self._grown = (status.st_size, status.st_mtime_ns), now
        text = file.read(position.offset, BATCH)
        more = len(text) == BATCH
        following = None if live or more else self._following(position)
        ended = following is not None and (file.packed or not following.live or self._ended == status.st_size)
        self._ended = status.st_size
        quiet = now - self._grown >= HELD
        part = cut(text, inside=position.cut, more=more, ended=ended, quiet=quiet)
        self.behind = more or ended
        self._idle = not more and part.used == len(text) and following is None
        self.lag = file.left(position.offset + part.used) + (0 if live or there is None else there.size or 0)
        batch = self._batch(part, position, now, live=live and now - self._caught <= _LIVE)
        if live and not more:
            self._caught = now
        if batch is None and ended and following is not None:
            if file.broken:
                self._gap("unreadable", f"{file.broken}, behind byte {position.offset}", position.modified, now)
            return None, self._next(following, position)
        if batch is None and not status.st_nlink and now - self._grown > _DELETED:
            self.close()
            self._over = True
        return batch, False

    def _batch(self, part: Cut, position: Position, now: int, *, live: bool) -> Batch | None:
        """Make a batch of what was cut off, and move the position behind it."""
        if part.long is not None:
            self.cut_lines += 1
            place = position.offset + part.long
            self._gap("truncated", f"the line at byte {place} has more than {LINE >> 10} KiB: cut there", now, now, 1)
        if not part.used:
            return None
        self.position = replace(position, offset=position.offset + part.used, cut=part.inside)
        batch = self._empty(self.position, now, idle=self._idle)
        return replace(batch, data=part.data, base=position.base + position.offset, live=live)

    # Leave.

    def _following(self, position: Position) -> Found | None:
        """Return the file that comes after the open one, which is not the log any more; ``None``: none has text yet."""
        files = self._folders.files(self.path, position)
        if files is None:
            return None
        index = where(position, files)
        if index is None:
            index = after(position.modified, files)
            rest = [] if index is None else files[index:]
        else:
            rest = files[index:] if files[index].live else files[index + 1 :]
        return next((each for each in rest if each.size != 0 and (each.device, each.inode) not in self._passed), None)

    def _truncated(self, position: Position, now: int) -> bool:
        """Go on in a copy of what the log was, else at its begin; tell whether a file was opened."""
        files = self._folders.files(self.path, position)
        if files is None:
            return False
        self.close()
        copies = [each for each in files if not each.live]
        index = where(position, copies)
        if index is not None:
            return self._open(copies[index], position)
        words = f"it was truncated in place; it had been read to byte {position.offset}, and no copy of it is there"
        self._gap("truncated", words, self._caught or position.modified, now)
        self._over = True
        index = after(position.modified, files)
        return index is not None and self._next(files[index], position)

    # Say.

    def _said(self, now: int) -> Batch | None:
        """Return an empty batch when there is something to say without records."""
        if self.position is None:
            if not self._gaps:
                return None
            gaps, self._gaps = tuple(self._gaps), []
            return Batch(self.source, harmless(self.path), harmless(self.path), b"", 0, now, {}, gaps=gaps, idle=True)
        if self._gaps or self._told is not self._idle:
            return self._empty(self.position, now, idle=self._idle)
        return None

    def _empty(self, position: Position, now: int, *, idle: bool) -> Batch:
        gaps, self._gaps = tuple(self._gaps), []
        self._told = idle
        place = position.base + position.offset
        name = harmless(self.path)
        return Batch(self.source, self.stream, name, b"", place, now, position.as_json(), gaps=gaps, idle=idle)

    def _in_trouble(self, words: str, now: int) -> Batch | None:
        if self.trouble is None or self.trouble[0] != words:
            self.trouble = (words, now if self.trouble is None else self.trouble[1])
            self._gap("unreadable", words, now, now)
        self._idle = True
        return self._said(now)

    def _gap(self, kind: str, words: str, since: int, until: int, count: int | None = None) -> None:
        self._gaps.append(Gap(self.source, kind, harmless(f"{self.path}: {words}"), since, max(since, until), count))


def _is_read(position: Position, log: Found) -> bool:
    """Tell whether nothing has happened to a log since all of it was read."""
    here = position.identity.is_at(log.device, log.inode)
    return here and log.size == position.offset and log.modified == position.modified
