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
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from tidegate.harmless import harmless
from tidegate.watch.live.files import Opened, Unreadable, seen
from tidegate.watch.live.folders import Folders
from tidegate.watch.live.identity import HEAD, Identity, Position
from tidegate.watch.live.lines import BATCH, LINE, Cut, cut
from tidegate.watch.live.model import Batch, Json
from tidegate.watch.live.rotation import Found, after, continues, where
from tidegate.watch.live.saying import Saying
from tidegate.watch.live.siblings import Siblings

__all__ = ["Follower"]

T = TypeVar("T")

HELD = 10**9
"""The last record is handed on when nothing was added for so long (ns)."""
_LIVE = 5 * 10**9
"""What is read within so long (ns) after everything was read, is read as it is written."""
_DELETED = 60 * 10**9
"""A file without a name that is not written to for so long (ns) is closed: it takes room on its disk."""
_MISSING = "it is missing"
FORGOTTEN = 3600 * 10**9
"""A log that is missing for so long (ns), with all of its rotations, is forgotten; one of its name is a new one."""


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
        self.path = path
        self.position: Position | None = saved[1] if saved else None
        self._saying = Saying(source, path, saved[0] if saved else "")
        self.behind = False
        """Whether there was more to read than one step reads."""
        self.cut_lines = 0
        self.lag = 0
        self._since = since
        self._siblings = Siblings(path, folders, self._saying)
        self._file: Opened | None = None
        self._seen = (-1, -1)  # size and time of the open file, …
        self._grown = 0  # … and when it was seen to have these first
        self._ended = -1  # the size of an old file when it was seen first that another one follows
        self._over = saved is None  # there is nothing behind the position in its file
        self._caught = 0  # when all of the log was read
        self._old = 0  # where in the open file the text ends that was there before that
        self._idle = False
        self._barred = ""  # why the last step could not go on
        self._missed = 0  # since when the log is missing

    @property
    def is_open(self) -> bool:
        """Whether a file is open."""
        return self._file is not None

    @property
    def is_missing(self) -> bool:
        """Whether the log was not there at the last look, and nothing is left to read of it."""
        return self._barred == _MISSING

    def is_gone(self, now: int) -> bool:
        """Whether it has been missing for :data:`FORGOTTEN`, and no rotation of it is there either."""
        if not self._missed or now - self._missed < FORGOTTEN:
            return False
        try:
            return self._siblings.files(self.position) == []
        except Unreadable:
            return False

    def farewell(self, now: int) -> Batch | None:
        """Return what ends its stream, if anything was stored of it."""
        return None if self.position is None else replace(self._saying.empty(self.position, now, idle=True), over=True)

    @property
    def trouble(self) -> tuple[str, int] | None:
        """Why nothing can be read, and since when (ns since 1970)."""
        return self._saying.trouble

    def close(self) -> None:
        """Close the file; it is found again when there is something to read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def wake(self, now: int) -> Batch | None:
        """Return an empty batch which says that there is more, when it was not known."""
        if self._saying.idle is False:
            return None
        begun = self.position is None and self._tried(self._find, now)
        position = self.position
        if position is None or not (begun or self._has_more(position)):
            return None
        return self._saying.empty(position, now, idle=False)

    def _has_more(self, position: Position) -> bool:
        there = seen(self.path, live=True)
        if there is not None and there.size:
            return not _is_read(position, there)
        return self._file is not None and bool(self._file.left(position.offset))

    def step(self, now: int) -> Batch | None:
        """Return the next batch; ``None`` when there is nothing for now."""
        self.behind, self._barred = False, ""
        batch = self._tried(self._step, now)
        self._missed = (self._missed or now) if self.is_missing else 0
        if not self._barred:
            self._saying.out_of_trouble(now)
        elif batch is None:
            self._saying.in_trouble(self._barred, now)
            self._idle = True
        return batch or self._saying.rest(self.position, now, idle=self._idle)

    def _tried(self, work: Callable[[int], T], now: int) -> T | None:
        try:
            return work(now)
        except FileNotFoundError:
            self._barred = _MISSING
        except Unreadable as error:
            self._barred = str(error)
        return None

    def view(self) -> Json:
        """Return how it goes."""
        position = self.position  # another thread may move it meanwhile
        known = {"generation": position.generation, "offset": position.offset} if position else {}
        path = harmless(self.path)
        return {"stream": self._saying.stream or path, "path": path, "lag_bytes": self.lag, **known}

    def _step(self, now: int) -> Batch | None:
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
        files = self._siblings.files(self.position)
        if files is None:
            return False
        index = where(self.position, files)
        if index is not None:
            return self._open(files[index], self.position)
        index = after(self.position.modified, files)
        if index is None:
            raise FileNotFoundError(self.path)
        position, over = self.position, self._over
        if not self._next(files[index], position):
            return False
        if not over:
            words = f"what followed byte {position.offset} is gone: it was truncated, or its rotation was deleted"
            self._saying.gap("truncated", words, position.modified, now)
        return True

    def _begin(self) -> bool:
        """Open the first file of a log of which nothing is known; tell whether there is a line in it."""
        files = self._siblings.files(self.position)
        if files is None:
            return False
        index = after(self._since, files)
        if index is None:
            raise FileNotFoundError(self.path)
        first = files[index]
        file, head = self._siblings.opened(first, self._since)
        if file is None:
            self._idle = not first.size
            return False
        if first.live and b"\n" not in head and len(head) < HEAD:
            file.close()
            return False
        line = head.split(b"\n", 1)[0]
        name = hashlib.sha256(b"%d %d %s" % (first.device, first.inode, line)).hexdigest()[:8]
        self._saying.stream = f"{harmless(self.path)}#{name}"
        self.position = Position(
            self.path, 0, Identity.of(first.device, first.inode, head), 0, 0, file.status().st_mtime_ns
        )
        self._take(file)
        return True

    def _open(self, found: Found, position: Position) -> bool:
        """Open the file in which reading stopped; tell whether that is what was found."""
        file, head = self._siblings.opened(found, position.modified)
        if file is None:
            return False
        if not position.identity.begins(head):
            file.close()
            return False
        self.position = replace(position, identity=Identity.of(found.device, found.inode, head))
        self._file, self._over = file, False
        return True

    def _next(self, found: Found, position: Position) -> bool:
        """Open the next file, from its begin; tell whether there is something in it."""
        file, head = self._siblings.opened(found, position.modified)
        if file is None:
            return False
        known = Identity.of(found.device, found.inode, head)
        # It may have been truncated since it was found.
        if continues(position, replace(found, head=head, size=file.status().st_size)):
            self.position = replace(position, identity=known)
        else:
            base = position.base + position.offset
            self.position = Position(self.path, position.generation + 1, known, base, 0, file.status().st_mtime_ns)
        self._take(file)
        return True

    def _take(self, file: Opened) -> None:
        """Read a file of which nothing was read yet."""
        self.close()
        self._siblings.restart()
        self._file, self._seen, self._ended, self._over, self._old = file, (-1, -1), -1, False, 0

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
        # What was read is of this file if it begins alike afterwards, too.
        if text and not file.packed and not position.identity.begins(file.read(0, HEAD)):
            return None, self._truncated(position, now)
        more = len(text) == BATCH
        following = None if live or more else self._following(position)
        # Who writes to it may not have noticed: one more look, if it is the log that follows.
        seen_before = self._ended == status.st_size
        ended = following is not None and (file.packed or not following.live or seen_before)
        self._ended = -1 if following is None else status.st_size
        quiet = abs(now - self._grown) >= HELD  # the clock may be set back
        part = cut(text, inside=position.cut, more=more, ended=ended, quiet=quiet)
        self.behind = more or ended
        self._idle = not more and part.used == len(text) and following is None
        self.lag = file.left(position.offset + part.used) + (0 if live or there is None else there.size or 0)
        grows = live and now - self._caught <= _LIVE
        if not grows:
            self._old = position.offset + len(text)
        batch = self._batch(part, position, now, live=grows and position.offset >= self._old)
        if live and not more:
            self._caught = now
        if batch is None and ended and following is not None:
            if file.broken:
                self._saying.gap("unreadable", f"{file.broken}, behind byte {position.offset}", position.modified, now)
            self.behind = self._next(following, position)
            return None, self.behind
        if batch is None and not status.st_nlink and now - self._grown > _DELETED:
            self.close()
            self._over = True
        return batch, False

    def _batch(self, part: Cut, position: Position, now: int, *, live: bool) -> Batch | None:
        """Make a batch of what was cut off, and move the position behind it."""
        if part.long is not None:
            self.cut_lines += 1
            words = f"the line at byte {position.offset + part.long} has more than {LINE >> 10} KiB: cut there"
            self._saying.gap("truncated", words, now, now, 1)
        if not part.used:
            return None
        self.position = replace(position, offset=position.offset + part.used, cut=part.inside)
        batch = self._saying.empty(self.position, now, idle=self._idle)
        return replace(batch, data=part.data, base=position.base + position.offset, live=live)

    # Leave.

    def _following(self, position: Position) -> Found | None:
        """Return the file that comes after the open one, which is not the log any more; ``None``: none has text yet."""
        try:
            files = self._siblings.files(self.position)
        except Unreadable as error:  # what is left of the open one can be read all the same
            self._barred = str(error)
            return None
        if files is None:
            return None
        index = where(position, files)
        if index is None:
            index = after(position.modified, files)
        elif not files[index].live:
            index += 1
        rest = [] if index is None else files[index:]
        return next((each for each in rest if each.size != 0), None)

    def _truncated(self, position: Position, now: int) -> bool:
        """Go on in a copy of what the log was, else at its begin; tell whether a file was opened."""
        files = self._siblings.files(self.position)
        if files is None:
            return False
        self.close()
        copies = [each for each in files if not each.live]
        index = where(position, copies)
        if index is not None:
            return self._open(copies[index], position)
        words = f"it was truncated in place; it had been read to byte {position.offset}, and no copy of it is there"
        self._saying.gap("truncated", words, self._caught or position.modified, now)
        self._over = True
        index = after(position.modified, files)
        return index is not None and self._next(files[index], position)


def _is_read(position: Position, log: Found) -> bool:
    """Tell whether nothing has happened to a log since all of it was read."""
    here = position.identity.is_at(log.device, log.inode)
    return here and log.size == position.offset and log.modified == position.modified
