"""Logs in files, as a source: every log that a pattern matches, from its begin, through all rotations.

All logs are looked at every quarter of a second, and patterns are matched anew every two seconds: there is nothing to
be told by the system that a look does not tell, and a look works on network file systems too. Of many logs only
:data:`OPEN` have a file open; the others are found again when they have grown.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from tidegate.harmless import harmless
from tidegate.watch.live.folders import Folders
from tidegate.watch.live.follow import Follower
from tidegate.watch.live.identity import Position
from tidegate.watch.live.model import Batch, Gap, Json
from tidegate.watch.live.source import Put

__all__ = ["LOGS", "OPEN", "Tail"]

POLL = 0.25
"""Seconds from one look at all logs to the next."""
MATCH = 2.0
"""Seconds from one look for new logs to the next."""
OPEN = 256
"""Files that are open at a time, at most."""
LOGS = 10_000
"""Logs that are followed, at most."""
_TOGETHER = 4 << 20
"""Bytes that are read before they are handed on."""
_SHOWN = 200
"""Logs and troubles that a view has: those with most to read, and the newest."""


class Tail:
    """Follows the logs that patterns match.

    Parameters
    ----------
    name
        As :attr:`Batch.source` has it.
    paths
        Paths, with ``*``, ``?``, ``[…]`` and ``**`` as the shell has them.
    """

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        self.name = name
        self._patterns = [str(path) for path in paths]
        self._folders = Folders()
        self._logs: dict[str, Follower] = {}
        self._turn: deque[Follower] = deque()
        self._open: dict[Follower, None] = {}  # the one that was read last is last
        self._missing: dict[str, int] = {}
        self._gaps: list[Gap] = []
        self._left_out = 0
        self._since = 0
        # A look goes on in its thread for a moment after `run` is cancelled.
        self._working = threading.Lock()
        self._over = False

    async def run(self, put: Put, saved: Mapping[str, Json]) -> None:
        """Read until cancelled; see :class:`~tidegate.watch.live.source.Source`."""
        self._resume(saved)
        await put(self._word(time.time_ns()))  # kept before anything is read: a crash may come before a first position
        matched = -MATCH
        loop = asyncio.get_running_loop()
        try:
            while True:
                if loop.time() - matched >= MATCH:
                    matched = loop.time()
                    await asyncio.to_thread(self._match)
                for batch in await asyncio.to_thread(self._sweep):
                    await put(batch)
                if not any(one.behind for one in self._turn):
                    await asyncio.sleep(POLL)
        finally:
            with self._working:
                self._over = True
                for follower in self._logs.values():
                    follower.close()

    def view(self) -> Json:
        """Return the logs and how much of each is not read yet, and what cannot be read."""
        logs = sorted(self._logs.values(), key=lambda one: (-one.lag, one.path))
        # A pattern promises no log by name: one that is deleted for good was said, and is no trouble for ever.
        meant = [one for one in logs if one.path in self._patterns or not one.is_missing]
        troubles = [(trouble[1], f"{one.path}: {trouble[0]}") for one in meant if (trouble := one.trouble) is not None]
        troubles += [(since, f"{pattern}: no file matches") for pattern, since in list(self._missing.items())]
        if self._left_out:
            troubles.append((time.time_ns(), f"{self._left_out} logs are not read: {LOGS} at the most are followed"))
        return {
            "name": self.name,
            "kind": "files",
            "lag_bytes": sum(one.lag for one in logs),
            "logs": len(logs),
            "logs_left_out": self._left_out,
            "open_files": sum(one.is_open for one in logs),
            "open_files_max": OPEN,
            "lines_cut": sum(one.cut_lines for one in logs),
            "poll_s": POLL,
            "streams": [one.view() for one in logs[:_SHOWN]],
            "troubles": [harmless(words) for _, words in sorted(troubles, reverse=True)[:_SHOWN]],
        }

    def _resume(self, saved: Mapping[str, Json]) -> None:
        """Follow the logs of stored positions, and remember when this source was started first."""
        self._since = int(saved.get(self.name, {}).get("since", time.time_ns()))
        for stream, stored in saved.items():
            if "identity" in stored:
                position = Position.from_json(stored)
                if self._is_meant(position.path) and len(self._logs) < LOGS:
                    self._follow(position.path, since=0, saved=(stream, position))

    def _is_meant(self, path: str) -> bool:
        """Tell whether a log that may be missing now is one of those that patterns match."""
        nested = [pattern.replace("/**/", "/") for pattern in self._patterns]
        return any(fnmatchcase(path, pattern) for pattern in [*self._patterns, *nested])

    def _follow(self, path: str, *, since: int, saved: tuple[str, Position] | None = None) -> None:
        self._logs[path] = Follower(self.name, path, self._folders, since=since, saved=saved)
        self._turn.append(self._logs[path])

    def _match(self) -> None:
        """Look for new logs. What was rotated since the first start, and is of no stored position, nobody has read."""
        now = time.time_ns()
        self._left_out = 0
        for pattern in self._patterns:
            logs = self._folders.logs(pattern)
            if logs:
                self._missing.pop(pattern, None)
            elif pattern not in self._missing:
                self._missing[pattern] = now
                self._gaps.append(Gap(self.name, "unreadable", f"no file matches {harmless(pattern)}", now, now))
            new = [path for path in logs if path not in self._logs]
            room = max(LOGS - len(self._logs), 0)
            self._left_out += len(new[room:])
            for path in new[:room]:
                self._follow(path, since=self._since)

    def _sweep(self) -> list[Batch]:
        """Look at all logs, and read on in turn, a batch of each and about 4 MiB in all."""
        with self._working:
            return [] if self._over else self._swept(time.time_ns())

    def _swept(self, now: int) -> list[Batch]:
        batches = [*self._said(now), *self._forgotten(now)]
        # Of which logs there is more is said before the first of them is read: no watermark may pass by them.
        for follower in self._turn:
            batch = follower.wake(now)
            self._limit(follower, read=False)
            if batch is not None:
                batches.append(batch)
        size = 0
        for _ in range(len(self._turn)):
            follower = self._turn[0]
            self._turn.rotate(-1)
            batch = follower.step(now)
            self._limit(follower, read=batch is not None and bool(batch.data))
            if batch is not None:
                batches.append(batch)
                size += len(batch.data)
            if size >= _TOGETHER:
                break
        return batches

    def _forgotten(self, now: int) -> list[Batch]:
        """Forget what patterns matched and is gone, with its position: names that have a date are never used again."""
        gone = [one for one in self._turn if one.path not in self._patterns and one.is_gone(now)]
        for follower in gone:
            follower.close()
            self._open.pop(follower, None)
            self._turn.remove(follower)
            del self._logs[follower.path]
        return [batch for one in gone if (batch := one.farewell(now)) is not None]

    def _limit(self, follower: Follower, *, read: bool) -> None:
        """Close the files in which nothing was read for longest, when too many are open."""
        if read or not follower.is_open:
            self._open.pop(follower, None)
        if follower.is_open:
            self._open.setdefault(follower)
        while len(self._open) > OPEN:
            oldest = next(iter(self._open))
            oldest.close()
            del self._open[oldest]

    def _said(self, now: int) -> list[Batch]:
        """Return what there is to say of patterns."""
        gaps, self._gaps = tuple(self._gaps), []
        return [self._word(now, gaps)] if gaps else []

    def _word(self, now: int, gaps: tuple[Gap, ...] = ()) -> Batch:
        """Return a batch of the source itself, without records."""
        return Batch(self.name, self.name, self.name, b"", 0, now, {"since": self._since}, gaps=gaps, idle=True)
