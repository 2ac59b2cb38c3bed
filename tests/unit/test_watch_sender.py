"""The sender and a receiver on loopback: at least once, in order, at the receiver's pace. The clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from live_watches import NOON, SECOND, a_change, a_notice, an_episode
from sinks import Sink, sink
from tidegate.errors import FleetError
from tidegate.watch.live.alertmanager import Alertmanager
from tidegate.watch.live.model import Episode, Notice
from tidegate.watch.live.receiver import Post, Receiver
from tidegate.watch.live.sender import Line, Sender
from tidegate.watch.live.store import Row, StoreFull, StoreRefused
from tidegate.watch.live.store_sqlite import SqliteStore
from tidegate.watch.live.webhook import Webhook
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

MINUTE = 60 * SECOND
RULES = load_rules()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


class TightStore(SqliteStore):
    """A store that has no room to note what was sent while ``tight``."""

    tight = False

    def sent(self, rows: Sequence[Row]) -> None:
        if self.tight:
            raise StoreFull("there is no room for the store: disk full")
        super().sent(rows)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TightStore]:
    store = TightStore(tmp_path / "watch.db", ["hook", "am"])
    yield store
    store.close()


@pytest.fixture
def told() -> Iterator[Sink]:
    with sink() as told:
        yield told


def play(
    store: SqliteStore,
    receiver: Receiver,
    clock: Clock,
    until: int,
    open_now: Callable[[], list[Episode]] = list,
) -> Line:
    """Let the line do what it does until then, at the moments at which it wants to."""

    async def run() -> Line:
        line = Sender(store, [receiver], RULES, open_now=open_now, clock=clock).lines[0]
        async with line._client:
            while True:
                at = await line.step()
                if at is None or at > until:
                    clock.now = until
                    return line
                clock.now = max(clock.now, at)

    return asyncio.run(run())


def test_what_waits_is_sent_in_order_and_is_gone(store: TightStore, told: Sink) -> None:
    notices = [a_notice(), a_notice("escalated/1"), a_notice("cleared"), a_notice(number=2, scope="vc2")]
    store.commit(a_change(*notices), NOON)
    line = play(store, Webhook("hook", told.url), Clock(), NOON)
    assert sorted(told.keys) == sorted(notice.key for notice in notices)
    assert [key for key in told.keys if key.startswith(f"{1:032x}")] == [notice.key for notice in notices[:3]]
    assert (line.sent, line.why) == (4, "")
    assert store.view()["outbox"]["hook"]["waiting"] == 0
    assert store.view()["outbox"]["am"]["waiting"] == 4


def test_a_receiver_that_refuses_is_asked_again(store: TightStore, told: Sink) -> None:
    told.script, told.said = [503, 429, 500, 404], b"not \x1b[31mnow"
    store.commit(a_change(a_notice()), NOON)
    clock = Clock()
    line = play(store, Webhook("hook", told.url), clock, NOON)
    assert line.why == "it answers 503: not \\x1b[31mnow"
    line = play(store, Webhook("hook", told.url), clock, NOON + 5 * MINUTE)
    assert told.keys == [a_notice().key] * 5
    assert (line.sent, line.why) == (1, "")


def test_retry_after_is_heeded(store: TightStore, told: Sink) -> None:
    told.script, told.headers = [429], {"Retry-After": "90"}
    store.commit(a_change(a_notice()), NOON)
    clock = Clock()
    play(store, Webhook("hook", told.url), clock, NOON + 89 * SECOND)
    assert len(told.got) == 1


def test_one_that_can_never_be_taken_delays_no_other(store: TightStore, told: Sink) -> None:
    store.commit(a_change(*(a_notice(number=number, scope=f"vc{number}") for number in range(20))), NOON)
    bad = f"{0:032x}"

    class Picky(Alertmanager):
        def post(self, notices: Sequence[Notice], rules: RuleSet, now: int) -> Post:
            if any(notice.episode.key == bad for notice in notices):
                told.script[:] = [400]
            return super().post(notices, rules, now)

    line = play(store, Picky("am", told.url), Clock(), NOON + 3 * MINUTE)
    assert line.sent == 19
    assert store.view()["outbox"]["am"]["waiting"] == 1
    assert len(told.got) < 40


def test_a_receiver_that_is_down_for_an_hour_misses_nothing(store: TightStore) -> None:
    clock = Clock()
    with sink() as gone:
        url = gone.url
    down = Webhook("hook", url)
    for minute in range(0, 60, 5):
        now = NOON + minute * MINUTE
        store.commit(a_change(a_notice(number=minute, scope=f"vc{minute}", at=now)), now)
        line = play(store, down, clock, now + 5 * MINUTE - 1)
        assert line.sent == 0
        assert "does not answer" in line.why
        assert "s3cret-path" not in line.why
    with sink(int(url.split(":")[2].split("/")[0])) as back:
        play(store, down, clock, NOON + 65 * MINUTE)
    assert sorted(back.keys) == sorted(f"{minute:032x}/opened" for minute in range(0, 60, 5))


def test_what_could_not_be_noted_is_not_sent_again_until_it_is(store: TightStore, told: Sink) -> None:
    store.commit(a_change(a_notice(), a_notice(number=2, scope="vc2")), NOON)
    clock, hook = Clock(), Webhook("hook", told.url)

    async def run() -> Line:
        line = Sender(store, [hook], RULES, clock=clock).lines[0]
        async with line._client:
            store.tight = True
            for _ in range(5):
                clock.now = await line.step() or clock.now
            assert len(told.got) == 1
            assert line.why == "there is no room for the store: disk full"
            store.tight = False
            while (at := await line.step()) is not None:
                clock.now = at
        return line

    line = asyncio.run(run())
    assert told.keys == [a_notice().key, a_notice(number=2).key]
    assert line.why == ""
    store.commit(a_change(a_notice(number=3)), clock.now)
    store.tight = True
    with sink() as other:  # killed before it was noted: it comes again, with its key
        for _ in range(2):
            play(store, Webhook("hook", other.url), clock, clock.now)
        assert other.keys == [a_notice(number=3).key] * 2


def test_a_receiver_proves_who_it_is(store: TightStore, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    files = []
    for number, one in enumerate((authority, other)):
        files.append(tmp_path / f"ca{number}.pem")
        one.cert_pem.write_to_path(files[-1])
    store.commit(a_change(a_notice()), NOON)
    with sink(certificate=authority.issue_cert("127.0.0.1")) as told:
        assert told.url.startswith("https://")
        line = play(store, Webhook("hook", told.url, ca=files[1]), Clock(), NOON)
        assert "CERTIFICATE_VERIFY_FAILED" in line.why
        assert told.got == []
        play(store, Webhook("hook", told.url, ca=files[0]), Clock(), NOON + 2 * SECOND)
        assert told.keys == [a_notice().key]


def test_what_is_open_is_told_again_each_minute(store: TightStore, told: Sink) -> None:
    clock = Clock()
    episodes = [an_episode(number, f"vc{number}") for number in range(100)]
    play(store, Alertmanager("am", told.url), clock, NOON + 2 * MINUTE + SECOND, lambda: episodes)
    sizes = [len(alerts) for _, alerts in told.got]
    assert sum(sizes) == 300
    assert sizes[:6] == [1, 2, 4, 8, 16, 32]
    assert max(sizes) == 64
    told.got.clear()
    play(store, Webhook("hook", told.url), clock, NOON + 9 * MINUTE, lambda: episodes)
    assert told.got == []


def test_a_clock_that_is_set_back_stops_nothing(store: TightStore, told: Sink) -> None:
    clock, open_now = Clock(), [an_episode()]

    async def run() -> None:
        line = Sender(store, [Alertmanager("am", told.url)], RULES, open_now=lambda: open_now, clock=clock).lines[0]
        async with line._client:
            told.script = [200, 503]
            await line.step()
            store.commit(a_change(a_notice(number=2, scope="vc2")), NOON)
            await line.step()
            assert line.pace.rests(clock.now)
            clock.now -= 3600 * SECOND
            for _ in range(2):
                await line.step()
        assert [alerts[0]["annotations"]["episode"][-1] for _, alerts in told.got] == ["1", "2", "2", "1"]

    asyncio.run(run())


def test_a_sender_is_woken(store: TightStore, told: Sink) -> None:
    async def run() -> None:
        sender = Sender(store, [Webhook("hook", told.url)], RULES)
        task = asyncio.ensure_future(sender.run())
        await _until(lambda: sender.lines[0]._woken._waiters)
        store.commit(a_change(a_notice()), NOON)
        sender.use(RULES)
        sender.wake()
        await _until(lambda: told.got)
        await _until(lambda: sender.lines[0].sent)
        view = sender.view()["hook"]
        assert (view["sent"], view["failures"], view["why"]) == (1, 0, "")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_a_store_that_was_taken_over_ends_the_sender(store: TightStore, told: Sink, tmp_path: Path) -> None:
    (tmp_path / "watch.db").unlink()
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(Sender(store, [Webhook("hook", told.url)], RULES).run())
    assert caught.group_contains(StoreRefused, match="is gone")


def test_a_broken_authority_is_said_at_the_start(store: TightStore, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="as CA file"):
        Sender(store, [Webhook("hook", "https://127.0.0.1", ca=tmp_path / "none.pem")], RULES)


async def _until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110 (no event tells of it)
        await asyncio.sleep(0.005)
