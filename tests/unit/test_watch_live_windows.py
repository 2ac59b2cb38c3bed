"""A window that is kept up says in the end what the whole log says, whatever came first and whenever it was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.watch.live.kept import Kept, Run
from tidegate.watch.live.windows import Counted, kept
from tidegate.watch.windows import Event, Window, episodes

OVER = 20
WINDOWS = st.one_of(
    st.builds(lambda n: Window("count", ("a", "b"), OVER, more_than=n), st.integers(0, 4)),
    st.builds(lambda n: Window("distinct", ("a", "b"), OVER, at_least=n), st.integers(1, 4)),
    st.sampled_from([("a", "b"), ("b", "a", "c"), ("a", "a", "b"), ("a", "b", "a")]).map(
        lambda of: Window("sequence", of, OVER)
    ),
    st.sampled_from([("a",), ("a", "b"), ("a", "c")]).map(lambda of: Window("absence", of, OVER, after="b")),
)
EVENTS = st.lists(
    st.builds(Event, st.integers(0, 200), st.sampled_from("abc"), st.just(()), st.sampled_from("uvwxyz")), max_size=60
)


def wanted(window: Window, event: Event) -> bool:
    return event.signature in window.of or event.signature == window.after


def played(window: Window, batches: Sequence[tuple[Sequence[Event], int]], *, restarts: bool) -> list[Run]:
    """Feed batches, each with the frontier after it; return the runs as they were when they became final."""
    one, found = kept(window), []
    for events, frontier in batches:
        for event in events:
            if wanted(window, event):
                one.add(event.time, event.signature, event.value)
        found += [run for run in one.judge(frontier) if run.until + OVER < frontier]
        if restarts:
            one = restored(window, one)
    return found


def restored(window: Window, one: Kept) -> Kept:
    again = kept(window)
    again.from_json(json.loads(json.dumps(one.to_json())))
    return again


@st.composite
def arrivals(draw: st.DrawFn, events: Sequence[Event]) -> list[tuple[list[Event], int]]:
    """Any order, cut anywhere; the frontier never passes what is still to come."""
    order = draw(st.permutations(events))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=12)))
    batches, begin, frontier = [], 0, -100
    for cut in [*cuts, len(order)]:
        rest = min((event.time for event in order[cut:]), default=1000)
        frontier = max(frontier, draw(st.integers(-100, 240)))
        frontier = min(frontier, rest - 1) if rest - 1 >= -100 else frontier
        batches.append((list(order[begin:cut]), frontier))
        begin = cut
    return [*batches, ([], 1000)]


@given(st.data(), WINDOWS, EVENTS, st.booleans())
@settings(max_examples=250, deadline=None)
def test_what_is_final_is_what_the_whole_log_says(
    data: st.DataObject, window: Window, events: list[Event], restarts: bool
) -> None:
    found = played(window, data.draw(arrivals(events)), restarts=restarts)
    told = [(run.first, run.at, run.until, run.count) for run in found]
    expected = episodes(window, [event for event in events if wanted(window, event)], until=1000)
    assert told == [(each.first, each.at, each.until, each.count) for each in expected]


@given(st.data(), WINDOWS, EVENTS, st.booleans())
@settings(max_examples=250, deadline=None)
def test_tidying_up_changes_nothing(data: st.DataObject, window: Window, events: list[Event], restarts: bool) -> None:
    batches = data.draw(arrivals(events))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kept, "LEAST", 1)
        often = played(window, batches, restarts=restarts)
    assert [run.parts() for run in often] == [run.parts() for run in played(window, batches, restarts=False)]


@given(st.data(), st.integers(0, 3), st.lists(st.integers(0, 60), min_size=20, max_size=80))
@settings(max_examples=150, deadline=None)
def test_a_count_that_leaves_events_out_still_knows_from_when_to_when(
    data: st.DataObject, more_than: int, times: list[int]
) -> None:
    window = Window("count", ("a",), OVER, more_than=more_than)
    events = [Event(time, "a") for time in times]
    tidy = Counted._tidy

    def thinned(one: Counted, frontier: int) -> None:
        tidy(one, frontier)
        one._thin()
        one._moved()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Kept, "LEAST", 1)
        patch.setattr(Counted, "_tidy", thinned)
        found = played(window, data.draw(arrivals(events)), restarts=False)
    told = [(run.first, run.at, run.until) for run in found]
    assert told == [(each.first, each.at, each.until) for each in episodes(window, events)]


def test_what_is_kept_is_bounded() -> None:
    for kind in ("count", "distinct", "sequence", "absence"):
        window = Window(kind, ("a", "b"), OVER, more_than=3, at_least=3, after="a")
        one = kept(window)
        for step in range(30_000):
            one.add(step // 1000, "ab"[step % 2], str(step) if kind == "distinct" else "v")
            if step % 500 == 0:
                one.judge(-100)
        assert one.size() <= 3 * 4096
        assert len(one.judge(-100)) <= 64


def test_a_late_event_raises_and_takes_nothing_back() -> None:
    one = kept(Window("count", ("a",), OVER, more_than=1))
    one.add(100, "a", "")
    assert one.judge(110) == []
    one.add(95, "a", "")
    assert [run.parts() for run in one.judge(110)] == [[95, 100, 100, 2]]
    assert [run.parts() for run in one.judge(121)] == [[95, 100, 100, 2]]
    assert one.judge(121) == [], "it was final, and is not said again"
    one.add(99, "a", "")
    assert one.judge(121) == []
