"""When a probe is asked next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.live.probe_schedule import Turn, after, first

S = 10**9
EVERY = st.integers(1, 86_400).map(lambda seconds: seconds * S)
NAMES = st.text(min_size=1, max_size=8)


@given(NAMES, EVERY, st.integers(0, 10**18))
def test_the_first_moment_is_within_every_and_30_s(name: str, every: int, now: int) -> None:
    turn = first(name, every, now)
    assert now <= turn.due < now + min(every, 30 * S)


@given(NAMES, EVERY, st.lists(st.tuples(st.booleans(), st.integers(0, 10**13)), max_size=30))
def test_the_next_moment_lies_ahead_and_never_nearer_than_nine_tenths(
    name: str, every: int, tries: list[tuple[bool, int]]
) -> None:
    turn, failures = first(name, every, 0), 0
    for number, (answered, took) in enumerate(tries, 1):
        ended = turn.due + took
        then = after(turn, name, every, ended, answered=answered)
        failures = 0 if answered else failures + 1
        assert (then.tries, then.failures) == (number, failures)
        assert then.due > ended
        assert 0.9 * every - 1 <= then.due - turn.due <= took + 1.1 * max(every, 600 * S) + 1
        assert then == after(turn, name, every, ended, answered=answered)
        turn = then


def test_it_waits_twice_as_long_after_each_failure_up_to_ten_minutes() -> None:
    turn, waits = Turn(0), []
    for _ in range(7):
        then = after(turn, "probe.edge", 60 * S, turn.due, answered=False)
        waits.append(round((then.due - turn.due) / S))
        turn = then
    for wait, nominal in zip(waits, [60, 120, 240, 480, 600, 600, 600], strict=True):
        assert abs(wait - nominal) <= 0.1 * nominal + 1
    assert after(turn, "probe.edge", 60 * S, turn.due, answered=True).failures == 0


def test_a_moment_that_was_missed_is_not_made_up_for() -> None:
    turn = after(Turn(0), "probe.edge", 60 * S, 1000 * S, answered=True)
    assert 1054 * S <= turn.due <= 1066 * S


def test_probes_of_other_names_are_asked_at_other_moments() -> None:
    assert len({first(f"probe.{number}", 60 * S, 0).due for number in range(50)}) == 50
