"""What waits to be said: when again, how much at once, and that a notice comes back as it was kept."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from live_watches import NOON, SECOND, a_notice
from tidegate.watch.live import outbox
from tidegate.watch.live.outbox import Pace, chain_of, notice_of, text_of, wait


@given(tries=st.integers(1, 10_000), seed=st.text())
def test_a_wait_is_bounded_and_the_same_again(tries: int, seed: str) -> None:
    bound = min(60, 2 ** min(tries - 1, 16)) * SECOND
    assert bound // 2 <= wait(tries, seed) <= bound
    assert wait(tries, seed) == wait(tries, seed)


def test_waits_of_different_notices_are_spread() -> None:
    waits = {wait(9, str(number)) for number in range(100)}
    assert len(waits) > 90


def test_a_receiver_that_comes_back_is_not_stormed() -> None:
    pace, now = Pace(at_once=64, room=64), NOON
    for _ in range(50):
        pace = pace.failed("down", now, "am")
        assert pace.room == 1
        assert SECOND // 2 <= pace.until - now <= 60 * SECOND
        now = pace.until
    rooms = []
    for _ in range(8):
        pace = pace.took()
        rooms.append(pace.room)
    assert rooms == [2, 4, 8, 16, 32, 64, 64, 64]
    assert (pace.failures, pace.until, pace.why) == (0, 0, "")


def test_what_a_receiver_asks_for_is_heeded_within_bounds() -> None:
    assert Pace(8).failed("busy", NOON, "am", asked=90 * SECOND).until == NOON + 90 * SECOND
    assert Pace(8).failed("busy", NOON, "am", asked=9000 * SECOND).until == NOON + 300 * SECOND


def test_an_hour_of_trying_is_a_few_dozen_requests() -> None:
    pace, now, requests = Pace(64), NOON, 0
    while now < NOON + 3600 * SECOND:
        pace = pace.failed("down", now, "am")
        requests, now = requests + 1, pace.until
    assert 60 <= requests <= 130


@given(
    what=st.sampled_from(["opened", "escalated", "cleared"]),
    scope=st.lists(st.tuples(st.text(), st.text())).map(tuple),
    texts=st.lists(st.text()).map(tuple),
    cleared=st.none() | st.integers(0, 2**62),
)
def test_a_notice_comes_back_as_it_was(
    what: str, scope: tuple[tuple[str, str], ...], texts: tuple[str, ...], cleared: int | None
) -> None:
    notice = a_notice(what, evidence=texts, hosts=texts, cleared=cleared)
    notice = replace(notice, episode=replace(notice.episode, scope=scope))
    assert notice_of(text_of(notice)) == notice


def test_a_chain_is_rule_and_scope() -> None:
    assert chain_of(a_notice()) == chain_of(a_notice("escalated/1", window="worse")), "it may speak by another window"
    assert chain_of(a_notice("opened", 1)) == chain_of(a_notice("cleared", 2, at=NOON + SECOND))
    assert chain_of(a_notice(scope="vc2")) != chain_of(a_notice(scope="vc1"))


def test_receivers_share_the_room() -> None:
    assert outbox.share(1) == outbox.share(0) == outbox._ROWS_MAX == 100_000
    assert outbox.share(3) == 33_333
