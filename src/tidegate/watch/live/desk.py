"""The desk: one step after the other, whatever comes from however many sources.

A step takes what has come while the last one was kept (at most 1 MiB, so that a step is short): it is read, the machine
judges it, and what all of that changed is kept in one transaction. Only then are the receivers woken. Sources hand on
through one bounded queue; while it is full they wait, and that is the back-pressure: a file lags, TCP stops reading,
UDP counts what it drops. While nothing can be kept (a full disk, a database that is away) the step is tried again as it
is, and nothing else is taken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Batch, Change, Gap, Json
from tidegate.watch.live.moments import StreamMoved
from tidegate.watch.live.reading import Reader, sender_gaps
from tidegate.watch.live.store import Saved, Store, StoreLost

__all__ = ["Desk"]

QUEUE = 16
"""Batches (of at most 1 MiB) that wait; then sources do."""
STEP = 1 << 20
"""Bytes after which a step takes no further batch."""
BEAT_S = 10.0
"""A step is kept at least so often, empty or not: what the store says of its last one is when the watch stopped."""
AGAIN_S = 1.0
"""Between two tries to keep a step."""
GAPS = 1000
"""Gaps that are remembered, the newest."""


class Desk:
    """Reads, judges and keeps.

    Parameters
    ----------
    reader, machine
        Of the rules that count now; :meth:`use` exchanges them between two steps.
    store
        Where steps are kept; ``saved`` is what it had at the start.
    wake
        Called after each step that was kept with something to say.
    clock
        Nanoseconds since 1970; the only clock of the steps.
    """

    def __init__(  # noqa: PLR0913 (what a desk works with)
        self,
        reader: Reader,
        machine: Machine,
        store: Store,
        saved: Saved,
        *,
        wake: Callable[[], None],
        log: logging.Logger,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reader, self._machine, self._store = reader, machine, store
        self._wake, self._log, self._clock = wake, log, clock
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue(QUEUE)
        self._stepping, self._judging = asyncio.Lock(), asyncio.Lock()
        self._ending = False
        self._beat = 0
        self.gaps: deque[Gap] = deque(saved.gaps, maxlen=GAPS)
        """The newest, oldest first."""
        self.counts: Counter[str] = Counter()
        """Since the start: ``steps``, ``batches``, ``bytes``, ``hits``, ``notices``, ``store_failures``."""
        self.gap_counts: Counter[tuple[str, str]] = Counter()
        """Gaps since the start, by (source, kind)."""
        self.trouble = ""
        """Why the last step could not be kept; empty while it could."""

    async def put(self, batch: Batch) -> None:
        """Hand on what a source has read; waits while the queue is full."""
        await self._queue.put(batch)

    async def end(self) -> None:
        """Take what waits in one more look, then let :meth:`run` return."""
        self._ending = True
        await self._queue.put(None)

    async def run(self) -> None:
        """Work until :meth:`end`.

        Raises
        ------
        StoreRefused
            When the store has become another watch's.
        StoreLost
            When the last step cannot be kept: what it did is done again after the next start.
        """
        over = False
        while not over:
            batches, over = await self._next()
            async with self._stepping:
                now = self._clock()
                async with self._judging:
                    change = await asyncio.to_thread(self._judged, batches, now)
                if over or not _is_empty(change) or now - self._beat >= BEAT_S * 1e9:
                    await self._kept(change, now)
                    self._beat = now
            if change.notices:
                self._wake()
            self._count(batches, change)

    async def use(self, make: Callable[[], tuple[Reader, Machine]]) -> None:
        """Exchange reader and machine between two steps; ``make`` is called when everything so far is kept."""
        async with self._stepping:
            self._reader, self._machine = await asyncio.to_thread(make)

    async def view(self) -> Json:
        """Return what the machine and the store show; also while nothing can be kept."""
        async with self._judging:
            now = self._clock()
            machine = await asyncio.to_thread(self._machine.view, now)
        store: Json = {}
        with suppress(StoreLost):
            store = await asyncio.to_thread(self._store.view)
        return {
            **machine,
            "store": {**store, "trouble": self.trouble},
            "queue": {"batches": self._queue.qsize(), "most": QUEUE},
            "counts": dict(self.counts),
        }

    async def _next(self) -> tuple[list[Batch], bool]:
        """Return what has come, and whether that was the last; empty when it is only time to go on."""
        batches: list[Batch] = []
        try:
            async with asyncio.timeout(self._patience()):
                first = await self._queue.get()
        except TimeoutError:
            return batches, False
        size = 0
        while first is not None:
            batches.append(first)
            size += len(first.data)
            if size >= STEP or self._queue.empty():
                return batches, False
            first = self._queue.get_nowait()
        return batches, True

    def _patience(self) -> float:
        """Return how long to wait for a batch, in seconds."""
        now = self._clock()
        tick = self._machine.next_tick(now)
        return BEAT_S if tick is None else min(BEAT_S, max(0.0, (tick - now) / 1e9))

    def _judged(self, batches: Sequence[Batch], now: int) -> Change:
        hits = [hit for batch in batches for hit in (*self._reader.read(batch), *batch.hits)]
        moved = [StreamMoved(batch.stream, batch.idle, live=batch.live) for batch in batches]
        change = self._machine.take(hits, now, streams=moved) if batches else self._machine.tick(now)
        for batch in batches:
            change.positions[batch.source, batch.stream] = batch.position
            change.gaps += batch.gaps
        change.rows |= self._reader.changed()
        change.gaps += sender_gaps(hits)
        self.counts["hits"] += len(hits)
        return change

    async def _kept(self, change: Change, now: int) -> None:
        while True:
            try:
                change.gaps += await asyncio.to_thread(self._store.commit, change, now)
            except StoreLost as error:
                self.counts["store_failures"] += 1
                if self.trouble != error.message:
                    self._log.error(error.message, extra={"fields": {"hint": error.hint, "kept": False}})
                self.trouble = error.message
                if self._ending:
                    raise
                await asyncio.sleep(AGAIN_S)
            else:
                if self.trouble:
                    self._log.info("kept again", extra={"fields": {"place": self._store.place}})
                self.trouble = ""
                return

    def _count(self, batches: Sequence[Batch], change: Change) -> None:
        self.counts["steps"] += 1
        self.counts["batches"] += len(batches)
        self.counts["bytes"] += sum(len(batch.data) for batch in batches)
        self.counts["notices"] += len(change.notices)
        self.gaps += change.gaps
        for gap in change.gaps:
            self.gap_counts[gap.source, gap.kind] += 1
            self._say(logging.WARNING, "gap", source=gap.source, kind=gap.kind, detail=gap.detail, count=gap.count)
        for notice in change.notices:
            one = notice.episode
            self._say(logging.INFO, notice.what, key=notice.key, rule=one.rule, scope=dict(one.scope), count=one.count)

    def _say(self, level: int, event: str, **fields: object) -> None:
        self._log.log(level, event, extra={"fields": fields})


def _is_empty(change: Change) -> bool:
    return not (change.positions or change.rows or change.notices or change.gaps)
