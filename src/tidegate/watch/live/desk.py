"""The desk: one step after the other, whatever comes from however many sources.

A step takes what has come while the last one was kept (at most 1 MiB, so that a step is short): it is read, the machine
judges it, acting decides what to do about it, and what all of that changed is kept in one transaction. Only then are
receivers woken and orders given. Sources hand on through one bounded queue; while it is full they wait, and that is the
back-pressure: a file lags, TCP stops reading, UDP counts what it drops. While nothing can be kept (a full disk, a
database that is away) the step is tried again as it is, and nothing else is taken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tidegate.watch.live.acting import Acting
from tidegate.watch.live.acts import Acted, Order
from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Batch, Change, Episode, Gap, Hit, Json
from tidegate.watch.live.moments import StreamMoved
from tidegate.watch.live.reading import Reader, sender_gaps
from tidegate.watch.live.store import Saved, Store, StoreLost

__all__ = ["Desk", "Minds"]

QUEUE = 16
"""Batches (of at most 1 MiB) that wait; then sources do."""
STEP = 1 << 20
"""Bytes after which a step takes no further batch."""
BEAT_S = 10.0
"""A step is kept at least so often, empty or not: what the store says of its last one is when the watch stopped."""
AGAIN_S = 1.0
"""Between two tries to keep a step."""
SET_BACK = 60 * 10**9
"""A clock that is set back by less (ns) stands still until it has caught up; by more, it is believed."""
GAPS = 1000
"""Gaps that are remembered, the newest."""


@dataclass(frozen=True, slots=True)
class Minds:
    """What reads, what judges, and what decides whether anything is done: of one set of rules and acts."""

    reader: Reader
    machine: Machine
    acting: Acting


class Desk:
    """Reads, judges and keeps.

    Parameters
    ----------
    minds
        Of the rules that count now; :meth:`use` exchanges them between two steps.
    store
        Where steps are kept; ``saved`` is what it had at the start.
    wake
        Called after each step that was kept with something to say.
    order
        Called after a step was kept with something to do.
    clock
        Nanoseconds since 1970; the only clock of the steps.
    """

    def __init__(  # noqa: PLR0913 (what a desk works with)
        self,
        minds: Minds,
        store: Store,
        saved: Saved,
        *,
        wake: Callable[[], None],
        order: Callable[[Order], None],
        log: logging.Logger,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._minds, self._store = minds, store
        self._wake, self._order, self._log, self._clock = wake, order, log, clock
        self._queue: asyncio.Queue[Batch | asyncio.Event | None] = asyncio.Queue(QUEUE)
        self._stepping, self._judging = asyncio.Lock(), asyncio.Lock()
        self._ending = False
        self._beat = self._last = 0
        self._known = [stream for source, stream in saved.positions if source.startswith("files.")]
        self.open: list[Episode] = minds.machine.open_episodes()
        """Episodes that are open after the last step that was judged."""
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

    async def settled(self) -> None:
        """Wait until everything that was handed on before is kept."""
        mark = asyncio.Event()
        await self._queue.put(mark)
        await mark.wait()

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
        try:
            await self._work()
        finally:
            while not self._queue.empty():  # who waits for room, :meth:`end` too, would wait for ever
                self._queue.get_nowait()

    async def _work(self) -> None:
        await self._step(self._resumed)
        over = False
        while not over:
            batches, marks, over = await self._next()
            await self._step(lambda now, batches=batches: self._judged(batches, now), always=over)  # type: ignore[misc]
            self.counts["batches"] += len(batches)
            self.counts["bytes"] += sum(len(batch.data) for batch in batches)
            for mark in marks:
                mark.set()

    async def act(self, do: Callable[[Acting, int, list[Episode]], Acted]) -> None:
        """Let ``do`` change what is being done, in a step of its own; raise what it raises."""
        await self._step(lambda now: self._acted(do(self._minds.acting, now, self.open), Change()))

    async def use(self, make: Callable[[], Minds]) -> None:
        """Exchange the minds between two steps; ``make`` is called when everything so far is kept."""
        async with self._stepping, self._judging:
            self._minds = await asyncio.to_thread(make)
            self.open = self._minds.machine.open_episodes()

    async def view(self) -> Json:
        """Return what the minds and the store show; also while nothing can be kept."""
        async with self._judging:
            machine = await asyncio.to_thread(self._minds.machine.view, self._time())
            acting = self._minds.acting.view()
        store: Json = {}
        with suppress(StoreLost):
            store = await asyncio.to_thread(self._store.view)
        return {
            **machine,
            "acting": acting,
            "store": {**store, "trouble": self.trouble},
            "queue": {"batches": self._queue.qsize(), "most": QUEUE},
            "counts": dict(self.counts),
        }

    async def _next(self) -> tuple[list[Batch], list[asyncio.Event], bool]:
        """Return what has come, who waits for that to be kept, and whether it was the last; nothing after a while."""
        batches: list[Batch] = []
        marks: list[asyncio.Event] = []
        try:
            async with asyncio.timeout(await self._patience()):
                one = await self._queue.get()
        except TimeoutError:
            return batches, marks, False
        size = 0
        while one is not None:
            if isinstance(one, asyncio.Event):
                marks.append(one)
            else:
                batches.append(one)
                size += len(one.data)
            if size >= STEP or self._queue.empty():
                return batches, marks, False
            one = self._queue.get_nowait()
        return batches, marks, True

    async def _patience(self) -> float:
        """Return how long to wait for a batch, in seconds."""
        async with self._judging:
            now = self._time()
            ticks = (self._minds.machine.next_tick(now), self._minds.acting.next_tick(now))
        return min(BEAT_S, *(BEAT_S if tick is None else max(0.0, (tick - now) / 1e9) for tick in ticks))

    def _time(self) -> int:
        """Return the time, which does not go back by the seconds that a clock is set back by."""
        now = self._clock()
        if not self._last - SET_BACK < now < self._last:
            self._last = now
        return self._last

    async def _step(self, judge: Callable[[int], tuple[Change, list[Order]]], *, always: bool = False) -> None:
        """Judge and keep, and only then say and do."""
        async with self._stepping:
            now = self._time()
            async with self._judging:
                change, orders = await asyncio.to_thread(judge, now)
            if always or not _is_empty(change) or now - self._beat >= BEAT_S * 1e9:
                await self._kept(change, now)
                self._beat = now
        if change.notices:
            self._wake()
        for order in orders:
            self._order(order)
        self._count(change)

    def _resumed(self, now: int) -> tuple[Change, list[Order]]:
        """Hold the watermark up until every log that was read before has been looked at: there may be more in it."""
        return self._minds.machine.take((), now, streams=[StreamMoved(stream) for stream in self._known]), []

    def _judged(self, batches: Sequence[Batch], now: int) -> tuple[Change, list[Order]]:
        reader, machine, acting = self._minds.reader, self._minds.machine, self._minds.acting
        hits: list[Hit] = []
        moved = []
        for batch in batches:
            hits += (*reader.read(batch), *batch.hits)
            moved.append(StreamMoved(batch.stream, batch.idle, reader.newest, batch.live))
        gaps = [gap for batch in batches for gap in batch.gaps]
        change = machine.take(hits, now, streams=moved, gaps=gaps) if batches else machine.tick(now)
        for batch in batches:
            change.positions[batch.source, batch.stream] = None if batch.over else batch.position
        change.rows |= reader.changed()
        change.gaps += (*gaps, *sender_gaps(hits))
        self.open = machine.open_episodes()
        self.counts["hits"] += len(hits)
        return self._acted(acting.step(now, self.open, notices=change.notices, hits=hits, gaps=change.gaps), change)

    @staticmethod
    def _acted(acted: Acted, change: Change) -> tuple[Change, list[Order]]:
        change.rows |= acted.rows
        return change, acted.orders

    async def _kept(self, change: Change, now: int) -> None:
        while True:
            try:
                change.gaps += await asyncio.to_thread(self._store.commit, change, now)
            except StoreLost as error:
                self.counts["store_failures"] += 1
                if self.trouble != error.message:
                    self._say(logging.ERROR, error.message, hint=error.hint, kept=False)
                self.trouble = error.message
                if self._ending:
                    raise
                await asyncio.sleep(AGAIN_S)
            else:
                if self.trouble:
                    self._say(logging.INFO, "kept again", place=self._store.place)
                self.trouble = ""
                return

    def _count(self, change: Change) -> None:
        self.counts["steps"] += 1
        self.counts["notices"] += len(change.notices)
        for gap in change.gaps:
            self._note(gap)
        for notice in change.notices:
            one = notice.episode
            self._say(logging.INFO, notice.what, key=notice.key, rule=one.rule, scope=dict(one.scope), count=one.count)

    def _note(self, gap: Gap) -> None:
        """Remember a gap; one that has only grown takes the place of what it was, and is not said again."""
        for place, known in enumerate(self.gaps):
            if (known.source, known.kind, known.since) == (gap.source, gap.kind, gap.since):
                self.gaps[place] = gap
                return
        self.gaps.append(gap)
        self.gap_counts[gap.source, gap.kind] += 1
        self._say(logging.WARNING, "gap", source=gap.source, kind=gap.kind, detail=gap.detail, count=gap.count)

    def _say(self, level: int, event: str, **fields: object) -> None:
        self._log.log(level, event, extra={"fields": fields})


def _is_empty(change: Change) -> bool:
    return not (change.positions or change.rows or change.notices or change.gaps)
