"""A log that is written and rotated in all the ways that there are, and what a reader of it has stored."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.watch.live.folders import Folders
from tidegate.watch.live.follow import Follower
from tidegate.watch.live.identity import Position
from tidegate.watch.live.model import Batch, Gap, Json

__all__ = ["SECOND", "LogFile", "Stored", "Watcher", "record"]

SECOND = 10**9
START = 1_700_000_000 * SECOND


def record(number: int, *, lines: int = 1, width: int = 0) -> str:
    """Return a record with a number; its other lines go on with it."""
    stamp = f"2026-11-25T12:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
    rest = "".join(f"--> line {line} of {number}\n" for line in range(1, lines))
    return f"{stamp} info vpxd[12] [Originator@6876 sub=x] number={number}; {'x' * width}\n{rest}"


class LogFile:
    """A log, and the clock by which its files are changed: a second goes by with everything that happens."""

    def __init__(self, path: Path) -> None:
        self.path, self.now, self.written = path, START, 0
        self._renamed = False

    def write(self, text: str) -> None:
        """Add a text."""
        with self.path.open("a") as file:
            file.write(text)
        self._touch(self.path)

    def records(self, count: int, *, lines: int = 1, width: int = 0) -> None:
        """Add the next records."""
        numbers = range(self.written, self.written + count)
        self.write("".join(record(number, lines=lines, width=width) for number in numbers))
        self.written += count
        self._renamed = False

    def late(self, count: int) -> None:
        """Add the next records to the file that was renamed, if nothing was written to the new one yet."""
        first = Path(f"{self.path}.1")
        if self._renamed and first.exists():
            live, self.path = self.path, first
            self.records(count)
            self.path, self._renamed = live, True

    def rotate(self, *, copy: bool = False, pack: bool = False, create: bool = True) -> None:
        """Rotate as logrotate does: rename or copy, and compress what was rotated."""
        if not self.path.exists() or not self.path.stat().st_size:
            return
        for number in range(self._oldest(), 0, -1):
            for end in ("", ".gz"):
                rotated = Path(f"{self.path}.{number}{end}")
                if rotated.exists():
                    rotated.rename(f"{self.path}.{number + 1}{end}")
        first = Path(f"{self.path}.1")
        if copy:
            shutil.copy2(self.path, first)
            self._touch(first)
            os.truncate(self.path, 0)
            self._touch(self.path)
        else:
            self._renamed = True
            self.path.rename(first)
            if create:
                self.path.touch()
                self._touch(self.path)
        if pack:
            self.pack(1)

    def pack(self, number: int) -> None:
        """Compress a rotation, as gzip does: its time stays."""
        plain, packed = Path(f"{self.path}.{number}"), Path(f"{self.path}.{number}.gz")
        if plain.exists():
            changed = plain.stat().st_mtime_ns
            packed.write_bytes(gzip.compress(plain.read_bytes()))
            os.utime(packed, ns=(changed, changed))
            plain.unlink()

    def _oldest(self) -> int:
        numbers = [
            int(found[1]) for path in self.path.parent.iterdir() if (found := re.search(r"\.(\d+)(\.gz)?$", path.name))
        ]
        return max(numbers, default=0)

    def _touch(self, path: Path) -> None:
        self.now += SECOND
        os.utime(path, ns=(self.now, self.now))


@dataclass
class Stored:
    """What was stored of the batches that were handed on."""

    positions: dict[str, Json] = field(default_factory=dict)
    text: str = ""
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def take(self, batch: Batch) -> None:
        """Store what a batch has, and its position with it."""
        self.text += batch.data.decode()
        if batch.over:
            self.positions.pop(batch.stream, None)
        else:
            self.positions[batch.stream] = batch.position
        self.gaps += batch.gaps

    def see(self, batch: Batch) -> None:
        """Check that a record which is read again has the place that it had."""
        for found in re.finditer(rb"number=\d+;", batch.data):
            key = (batch.stream, batch.base + found.start())
            assert self.places.setdefault(key, found[0].decode()) == found[0].decode()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the records, in the order in which they were stored."""
        return [int(number) for number in re.findall(r"number=(\d+);", self.text)]


class Watcher:
    """Follows a log, and may be killed at any moment."""

    def __init__(self, log: LogFile, stored: Stored) -> None:
        self.log, self.stored = log, stored
        self.waiting: list[Batch] = []
        self.follower = self._begun()

    def _begun(self) -> Follower:
        saved = next(
            ((stream, Position.from_json(row)) for stream, row in self.stored.positions.items() if "identity" in row),
            None,
        )
        return Follower("files.test", str(self.log.path), Folders(), since=START, saved=saved)

    def step(self) -> bool:
        """Let it do one step; tell whether something came of it."""
        self.log.now += SECOND // 4
        batch = self.follower.step(self.log.now)
        if batch is not None:
            self.stored.see(batch)
            self.waiting.append(batch)
        return batch is not None

    def commit(self, count: int | None = None) -> None:
        """Store the first batches that wait."""
        for batch in self.waiting[:count]:
            self.stored.take(batch)
        self.waiting = self.waiting[count:] if count is not None else []

    def kill(self) -> None:
        """End it, and begin anew from what was stored."""
        self.follower.close()
        self.waiting = []
        self.follower = self._begun()

    def finish(self) -> None:
        """Let it read all that there is, and store it."""
        quiet = 0
        while quiet < 12:
            quiet = 0 if self.step() else quiet + 1
        self.commit()
