"""The desk: what comes is judged and kept in steps, whatever the store does; and what it says of itself in one word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.watch.live.acting import Acting
from tidegate.watch.live.acts import Acted
from tidegate.watch.live.desk import QUEUE, Desk, Minds
from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Batch, Change, Episode, Gap
from tidegate.watch.live.reading import Reader
from tidegate.watch.live.store import Store, StoreFull, StoreLost
from tidegate.watch.live.store_open import open_store
from tidegate.watch.live.verdict import RECENT, verdict_of
from tidegate.watch.load import load_rules

RULES = load_rules()
LOG = logging.getLogger("tidegate.watch")


def batch(number: int, data: bytes = b"nothing\n", **other: object) -> Batch:
    return Batch("files.a", "s", "a.log", data, 8 * number, 1, {"offset": 8 * (number + 1)}, **other)  # type: ignore[arg-type]


def a_desk(store: Store, wake: Callable[[], None] = lambda: None) -> Desk:
    saved = store.load()
    minds = Minds(Reader(RULES, saved.rows), Machine(RULES, rows=saved.rows), Acting(()))
    return Desk(minds, store, saved, wake=wake, order=lambda _: None, log=LOG)


def worked(store: Store, work: Callable[[Desk], Awaitable[None]]) -> Desk:
    """Let a desk take what ``work`` puts, to the end."""
    desk = a_desk(store)

    async def both() -> None:
        task = asyncio.ensure_future(desk.run())
        await work(desk)
        await desk.end()
        await task

    asyncio.run(both())
    return desk


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "watch.db")


class Full:
    """A real store that has no room for the first steps."""

    def __init__(self, store: Store, times: int) -> None:
        self._store, self._times = store, times

    def commit(self, change: Change, now: int) -> list[Gap]:
        self._times -= 1
        if self._times >= 0:
            raise StoreFull("the disk is full", hint="make room")
        return self._store.commit(change, now)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_positions_and_gaps_are_kept_with_what_was_read(place: str) -> None:
    gap = Gap("files.a", "truncated", "a.log", 1, 2)

    async def work(desk: Desk) -> None:
        for number in range(3 * QUEUE):
            await desk.put(batch(number, gaps=(gap,) if number == 5 else ()))

    store = open_store(place, "watch", ["hook"])
    desk = worked(store, work)
    saved = store.load()
    assert saved.positions["files.a", "s"] == {"offset": 8 * 3 * QUEUE}
    assert saved.gaps == [gap]
    assert desk.gap_counts["files.a", "truncated"] == 1
    assert desk.counts["batches"] == 3 * QUEUE
    assert list(a_desk(store).gaps) == [gap], "gaps are known after a restart"
    store.close()


def test_a_gap_that_grows_is_one(place: str) -> None:
    async def work(desk: Desk) -> None:
        for number in range(1, 4):
            await desk.put(batch(number, gaps=(Gap("syslog.a", "kernel_drops", "", 5, 5 + number, number),)))
            await desk.settled()

    store = open_store(place, "watch", ["hook"])
    desk = worked(store, work)
    assert list(desk.gaps) == [Gap("syslog.a", "kernel_drops", "", 5, 8, 3)]
    assert desk.gap_counts["syslog.a", "kernel_drops"] == 1
    store.close()


def test_a_full_queue_holds_the_sources_up(place: str) -> None:
    store = open_store(place, "watch", ["hook"])
    desk = a_desk(store)

    async def fill() -> bool:
        for number in range(QUEUE):
            await desk.put(batch(number))
        one_more = asyncio.ensure_future(desk.put(batch(QUEUE)))
        for _ in range(5):
            await asyncio.sleep(0)
        waits = not one_more.done()
        one_more.cancel()
        return waits

    assert asyncio.run(fill())
    store.close()


def test_a_step_that_cannot_be_kept_is_kept_later_as_it_was(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.watch.live.desk.AGAIN_S", 0.0)
    store = open_store(place, "watch", ["hook"])

    async def work(desk: Desk) -> None:
        await desk.put(batch(0))
        while desk.counts["store_failures"] < 3 or desk.trouble:
            view = await desk.view()
            assert view["store"]["trouble"] in {"", "the disk is full"}, "it answers meanwhile"

    desk = worked(Full(store, 3), work)  # type: ignore[arg-type]
    assert store.load().positions["files.a", "s"] == {"offset": 8}
    assert desk.counts["store_failures"] == 3
    store.close()


def test_the_kill_switch_is_kept_in_a_step_of_its_own(place: str) -> None:
    store = open_store(place, "watch", ["hook"])

    async def work(desk: Desk) -> None:
        await desk.act(lambda acting, now, open_: acting.switch(now, open_, on=True))
        assert (await desk.view())["acting"]["on"]

    worked(store, work)
    assert Acting((), store.load().rows).on
    store.close()


def test_who_waits_for_what_was_handed_on_sees_it_kept(place: str) -> None:
    store = open_store(place, "watch", ["hook"])
    seen = []

    async def work(desk: Desk) -> None:
        for number in range(5):
            await desk.put(batch(number))
            await desk.settled()
            seen.append(store.load().positions["files.a", "s"]["offset"])

    worked(store, work)
    assert seen == [8, 16, 24, 32, 40]
    store.close()


def test_an_end_without_room_says_so(place: str) -> None:
    store = open_store(place, "watch", ["hook"])
    with pytest.raises(StoreLost, match="the disk is full"):
        worked(Full(store, 1000), lambda desk: desk.put(batch(0)))  # type: ignore[arg-type]
    assert not store.load().positions
    store.close()


def test_an_end_without_room_comes_though_the_queue_is_full(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.watch.live.desk.AGAIN_S", 0.0)
    store = open_store(place, "watch", ["hook"])

    async def work(desk: Desk) -> None:
        while not desk.trouble:
            await desk.view()
        for number in range(QUEUE):
            await desk.put(batch(number))

    with pytest.raises(StoreLost, match="the disk is full"):
        worked(Full(store, 10**9), work)  # type: ignore[arg-type]
    store.close()


def test_readers_and_machines_are_exchanged_between_two_steps(place: str) -> None:
    store = open_store(place, "watch", ["hook"])
    none = load_rules([Path(__file__).parents[2] / "src/tidegate/watch/rules/esxi.syslog.dropped.yaml"], shipped=False)
    seen = {}

    async def work(desk: Desk) -> None:
        await desk.put(batch(0))
        while not desk.counts["batches"]:
            await desk.view()

        def make() -> Minds:
            seen.update(store.load().positions)
            return Minds(Reader(none), Machine(none), Acting(()))

        await desk.use(make)

    worked(store, work)
    assert seen == {("files.a", "s"): {"offset": 8}}, "what came before is kept by then"
    store.close()


def test_a_clock_that_is_set_back_a_little_stands_still(place: str) -> None:
    store, times = open_store(place, "watch", ["hook"]), iter([100, 90, 110, 50])
    saved, last = store.load(), 10**12
    minds = Minds(Reader(RULES), Machine(RULES), Acting(()))

    def clock() -> int:
        return last + next(times) * 10**9

    desk = Desk(minds, store, saved, wake=lambda: None, order=lambda _: None, log=LOG, clock=clock)
    seen = []

    def do(acting: Acting, now: int, open_: list[Episode]) -> Acted:
        seen.append((now - last) // 10**9)
        return acting.switch(now, open_, on=False)

    async def look() -> None:
        for _ in range(4):
            await desk.act(do)

    asyncio.run(look())
    assert seen == [100, 100, 110, 50]
    store.close()


@pytest.mark.parametrize(
    ("episodes", "gap_until", "troubles", "word"),
    [
        ([{}], 0, [], "storm"),
        ([], 0, [], "quiet"),
        ([], RECENT + 1, [], "unknown"),
        ([], 0, ["cannot be read"], "unknown"),
        ([{}], RECENT + 1, ["cannot be read"], "storm"),
    ],
)
def test_quiet_with_a_gap_is_unknown(
    episodes: list[dict[str, str]], gap_until: int, troubles: list[str], word: str
) -> None:
    gaps = [Gap("files.a", "unreadable", "", 0, gap_until)]
    assert verdict_of(episodes, gaps, [{"troubles": troubles}], 2 * RECENT) == word
