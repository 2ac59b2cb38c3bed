"""Windows are exact at their edges, and what they say does not depend on the order of arrival."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.windows import Event, Window, episodes

SECOND = 10**9
ARTICLE = Window(kind="count", of=("a",), over=300 * SECOND, more_than=10)


def every(gap: int, count: int, signature: str = "a") -> list[Event]:
    return [Event(n * gap, signature) for n in range(count)]


def test_eleven_within_five_minutes_are_a_storm() -> None:
    (storm,) = episodes(ARTICLE, every(30 * SECOND - 100_000, 11))
    assert (storm.first, storm.count) == (0, 11)
    assert storm.at == 10 * (30 * SECOND - 100_000)


def test_eleven_that_span_exactly_five_minutes_are_none() -> None:
    assert episodes(ARTICLE, every(30 * SECOND, 11)) == []


def test_ten_at_once_are_none() -> None:
    assert episodes(ARTICLE, every(0, 10)) == []


def test_a_storm_with_a_short_pause_is_one_and_with_a_long_one_two() -> None:
    burst = every(SECOND, 20)
    soon = [Event(event.time + 200 * SECOND, "a") for event in burst]
    late = [Event(event.time + 2000 * SECOND, "a") for event in burst]
    assert len(episodes(ARTICLE, burst + soon)) == 1
    assert len(episodes(ARTICLE, burst + late)) == 2


def test_scopes_do_not_add_up() -> None:
    events = [Event(n, "a", (str(n % 2),)) for n in range(12)]
    assert episodes(ARTICLE, events) == []


def test_five_hosts_within_a_minute() -> None:
    window = Window(kind="distinct", of=("a",), over=60 * SECOND, at_least=5)
    four = [Event(n * SECOND, "a", (), f"esx{n % 4}") for n in range(40)]
    assert episodes(window, four) == []
    (storm,) = episodes(window, [*four, Event(30 * SECOND, "a", (), "esx9")])
    assert storm.count == 5
    apart = [Event(n * 15 * SECOND, "a", (), f"esx{n}") for n in range(5)]
    assert episodes(window, apart) == [], "five hosts that span exactly a minute"


def test_a_sequence_has_its_order() -> None:
    window = Window(kind="sequence", of=("a", "b"), over=60 * SECOND)
    assert len(episodes(window, [Event(0, "a"), Event(59 * SECOND, "b")])) == 1
    assert episodes(window, [Event(0, "a"), Event(60 * SECOND, "b")]) == []
    assert episodes(window, [Event(0, "b"), Event(1, "a")]) == []
    again = [Event(0, "a"), Event(50 * SECOND, "a"), Event(100 * SECOND, "b")]
    assert len(episodes(window, again)) == 1, "the later beginning counts"


def test_silence_is_judged_only_where_the_log_goes_on() -> None:
    window = Window(kind="absence", of=("b",), after="a", over=60 * SECOND)
    assert episodes(window, [Event(0, "a")], until=59 * SECOND) == []
    assert episodes(window, [Event(0, "a")]) == []
    assert len(episodes(window, [Event(0, "a")], until=60 * SECOND)) == 1
    assert episodes(window, [Event(0, "a"), Event(60 * SECOND, "b")], until=90 * SECOND) == []


times = st.lists(st.integers(0, 1000), max_size=60)


@given(times, st.integers(1, 400), st.integers(0, 12), st.randoms(use_true_random=False))
def test_count_is_what_it_says(when: list[int], over: int, more_than: int, shuffler: random.Random) -> None:
    window = Window(kind="count", of=("a",), over=over, more_than=more_than)
    events = [Event(t, "a") for t in when]
    found = episodes(window, events)
    shuffler.shuffle(events)
    assert episodes(window, events) == found
    most = max((sum(t - over < other <= t for other in when) for t in when), default=0)
    assert bool(found) == (most > more_than)
    assert max((episode.count for episode in found), default=most) == most
    assert all(later.at - earlier.until > over for earlier, later in itertools.pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("vwxyz")), max_size=40), st.integers(1, 100))
def test_distinct_is_what_it_says(when: list[tuple[int, str]], over: int) -> None:
    window = Window(kind="distinct", of=("a",), over=over, at_least=3)
    found = episodes(window, [Event(t, "a", (), value) for t, value in when])
    most = max((len({v for other, v in when if t - over < other <= t}) for t, _ in when), default=0)
    assert bool(found) == (most >= 3)
