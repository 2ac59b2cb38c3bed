"""A running watch says what the whole log says, once each, whatever came first and however often it was stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from live_machines import SECOND, START, Kept, hit, log_rule, rule_set
from tidegate.watch.live.groups import groups
from tidegate.watch.live.model import Hit
from tidegate.watch.live.moments import StreamMoved
from tidegate.watch.windows import Event, episodes

STORM = {"id": "storm", "kind": "count", "of": ["a"], "over": "20s", "more_than": 1}
LATENESS = 10
WINDOWS = st.sampled_from(
    [
        STORM,
        {**STORM, "by": ["host"]},
        {**STORM, "of": ["a", "b"], "more_than": 3},
        {"id": "hosts", "kind": "distinct", "of": ["a", "b"], "field": "host", "at_least": 3, "over": "20s"},
        {"id": "hosts", "kind": "distinct", "of": ["a"], "field": "host", "at_least": 2, "over": "20s", "by": ["vp"]},
        {"id": "then", "kind": "sequence", "of": ["a", "b"], "over": "20s", "by": ["host"]},
        {"id": "silent", "kind": "absence", "after": "c", "of": ["a"], "over": "20s", "by": ["host"]},
    ]
)
HITS = st.lists(
    st.builds(
        lambda at, signature, host, vp, delay: (at, signature, host, vp, delay),
        st.one_of(st.integers(0, 200), st.integers(0, 9).flatmap(lambda n: st.integers(n * 21, n * 21 + 2))),
        st.sampled_from("abc"),
        st.sampled_from(["esx1", "esx2", "esx3"]),
        st.sampled_from(["x", "y"]),
        st.integers(0, LATENESS - 1),
    ),
    max_size=70,
)


@st.composite
def storms(draw: st.DrawFn) -> list[tuple[float, list[Hit]]]:
    """Hits in the order of their arrival, no later than the lateness, in batches."""
    live = draw(st.booleans())
    drawn = sorted(draw(HITS), key=lambda each: each[0] + each[4])
    hits = [
        hit(at, signature, place=place, arrival=at + delay, live=live, host=host, vp=vp, stream="s")
        for place, (at, signature, host, vp, delay) in enumerate(drawn)
    ]
    batches: list[tuple[float, list[Hit]]] = []
    for one in hits:
        now = (one.arrival - START) / SECOND
        together: bool = draw(st.booleans())
        if batches and together:
            batches[-1] = (now, [*batches[-1][1], one])
        else:
            batches.append((now, [one]))
    return batches


def offline(window: Mapping[str, Any], hits: Sequence[Hit]) -> list[tuple[Any, ...]]:
    (group,) = groups(log_rule(window), 0)
    (judged,) = group.windows
    events = [
        Event(
            one.time or 0, one.signature, tuple(one.values[name] for name in group.by), one.values.get(judged.field, "")
        )
        for one in hits
    ]
    found = episodes(judged.window, events, until=START + 10_000 * SECOND)
    return sorted((each.scope, each.at, each.first, each.until, each.count) for each in found)


def cleared(kept: Kept) -> list[tuple[Any, ...]]:
    told = [notice.episode for notice in kept.notices if notice.what == "cleared"]
    return sorted((tuple(v for _, v in each.scope), each.at, each.first, each.until, each.count) for each in told)


def moved(now: float, hits: Sequence[Hit]) -> StreamMoved:
    """Say that the stream has come to its newest hit, or to ``now``."""
    return StreamMoved("s", time=max((one.time or 0 for one in hits), default=START + round(now * SECOND)))


@given(WINDOWS, storms(), st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_cleared_is_what_the_whole_log_says(
    window: Mapping[str, Any], batches: list[tuple[float, list[Hit]]], data: st.DataObject
) -> None:
    kept = Kept(rule_set(log_rule(window)), lateness=LATENESS * SECOND)
    for now, hits in batches:
        kept.take(hits, now, moved(now, hits))
        if data.draw(st.booleans()):
            kept.again()
    kept.tick(5000)
    kept.tick(10_100)
    assert cleared(kept) == offline(window, [one for _, hits in batches for one in hits])
    assert kept.machine.open_episodes() == []
    assert [kind for kind, _ in kept.rows if kind in ("window", "episode")] == []
    keys = [notice.key for notice in kept.notices]
    assert len(keys) == len(set(keys)), "each thing is said once"
    assert sorted(key.partition("/")[0] for key in keys if key.endswith("/opened")) == sorted(
        key.partition("/")[0] for key in keys if key.endswith("/cleared")
    )


@given(st.lists(WINDOWS, min_size=1, max_size=4), storms(), st.data())
@settings(max_examples=120, deadline=None)
def test_a_machine_made_of_rows_is_the_one_that_never_stopped(
    windows: list[Mapping[str, Any]], batches: list[tuple[float, list[Hit]]], data: st.DataObject
) -> None:
    rules = rule_set(log_rule(*({**window, "id": f"w{n}"} for n, window in enumerate(windows))))
    never, often = Kept(rules, lateness=LATENESS * SECOND), Kept(rules, lateness=LATENESS * SECOND)
    for now, hits in [*batches, (500, []), (1000, [])]:
        assert never.take(hits, now) == often.take(hits, now)
        assert never.rows == often.rows
        at = START + round(now * SECOND)
        assert never.machine.view(at) == often.machine.view(at)
        assert never.machine.next_tick(at) == often.machine.next_tick(at)
        if data.draw(st.booleans()):
            often.again()


@given(st.lists(WINDOWS, min_size=1, max_size=4), storms())
@settings(max_examples=40, deadline=None)
def test_the_same_input_gives_the_same_output(
    windows: list[Mapping[str, Any]], batches: list[tuple[float, list[Hit]]]
) -> None:
    rules = rule_set(log_rule(*({**window, "id": f"w{n}"} for n, window in enumerate(windows))))
    first, second = Kept(rules), Kept(rules)
    assert [first.take(hits, now) for now, hits in batches] == [second.take(hits, now) for now, hits in batches]


@given(WINDOWS, HITS, st.data())
@settings(max_examples=120, deadline=None)
def test_files_that_are_read_one_after_the_other_are_one_log(
    window: Mapping[str, Any], drawn: list[tuple[int, str, str, str, int]], data: st.DataObject
) -> None:
    """However far one file is behind another: what is still to be read holds the watermark."""
    files: dict[str, list[Hit]] = {"f0": [], "f1": [], "f2": []}
    for place, (at, signature, host, vp, file) in enumerate(sorted(drawn)):
        name = f"f{file % 3}"
        files[name].append(hit(at, signature, place=place, arrival=5000, host=host, vp=vp, stream=name))
    hits = [one for each in files.values() for one in each]
    kept = Kept(rule_set(log_rule(window)), lateness=0)
    kept.take([], 5000, *(StreamMoved(name) for name in files))
    while files:
        name = data.draw(st.sampled_from(sorted(files)))
        count = data.draw(st.integers(1, 30))
        batch, files[name] = files[name][:count], files[name][count:]
        kept.take(batch, 5000, StreamMoved(name, time=max((one.time or 0 for one in batch), default=None)))
        if not files[name]:
            del files[name]
            kept.take([], 5000, StreamMoved(name, idle=True))
        if data.draw(st.booleans()):
            kept.again()
    kept.tick(10_100)
    assert cleared(kept) == offline(window, hits)
    assert len(kept.said()) == len({notice.key for notice in kept.notices})


COUNTS = [{**STORM, "id": f"w{n}", "more_than": n, "over": f"{10 * n}s"} for n in (1, 2, 3)]


@given(storms(), st.data())
@settings(max_examples=120, deadline=None)
def test_windows_that_share_an_episode_make_one_of_lives_that_touch(
    batches: list[tuple[float, list[Hit]]], data: st.DataObject
) -> None:
    kept = Kept(rule_set(log_rule(*COUNTS)), lateness=LATENESS * SECOND)
    for now, hits in batches:
        kept.take(hits, now, moved(now, hits))
        if data.draw(st.booleans()):
            kept.again()
    kept.tick(10_000)
    lives = sorted(
        (at, until + 10 * n * SECOND, until)
        for n, window in zip((1, 2, 3), COUNTS, strict=True)
        for _, at, _, until, _ in offline(window, [one for _, hits in batches for one in hits])
    )
    expected: list[list[int]] = []
    for at, end, until in lives:
        if expected and at <= expected[-1][1]:
            expected[-1][1:] = [max(expected[-1][1], end), max(expected[-1][2], until)]
        else:
            expected.append([at, end, until])
    assert [(at, until) for _, at, _, until, _ in cleared(kept)] == [(at, until) for at, _, until in expected]
