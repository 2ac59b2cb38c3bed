"""Retries: waits that are spread, a budget that no storm overdraws, and a brake that does not flap."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from tidegate.clients.hysteresis import RELEASE, held
from tidegate.clients.retry import Budget, full_jitter


@given(attempt=st.integers(1, 10_000), seed=st.integers(0, 1000), asked=st.none() | st.floats(0, 100))
def test_a_wait_is_bounded_and_never_shorter_than_asked(attempt: int, seed: int, asked: float | None) -> None:
    wait = full_jitter(attempt, seeded(seed), asked)
    assert (asked or 0.0) <= wait <= (asked or 0.0) + min(30.0, 0.5 * 2.0 ** min(attempt, 16))


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 (jitter is no secret)


def test_waits_are_spread_over_all_of_their_range() -> None:
    waits = [full_jitter(4, seeded(seed)) for seed in range(1000)]
    assert {int(wait) for wait in waits} == set(range(8))


@given(answered=st.lists(st.booleans(), max_size=300))
def test_retries_never_exceed_the_budget(answered: list[bool]) -> None:
    budget, spent, earned = Budget(), 0, 0
    for fine in answered:
        if fine:
            budget.earn()
            earned += 1
        elif budget.spend():
            spent += 1
        assert 0 <= budget.left <= budget.most
    assert spent <= 10 + earned * 0.1 + 1e-9


def test_a_budget_that_is_spent_is_earned_again() -> None:
    budget = Budget(most=2)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    for _ in range(11):
        budget.earn()
    assert budget.spend()
    assert not budget.spend()


@given(values=st.lists(st.floats(0, 100), max_size=50))
def test_a_brake_holds_from_its_threshold_and_lets_go_only_below_the_band(values: list[float]) -> None:
    now = False
    for value in values:
        before, now = now, held(now, value, 20.0)
        assert now or value < 20.0
        assert not now or value >= 20.0 * RELEASE
        assert now == before or value >= 20.0 or value < 20.0 * RELEASE


@given(before=st.booleans(), value=st.sampled_from([-1.0, math.nan, math.inf, -math.inf]))
def test_what_nobody_can_have_measured_changes_nothing(before: bool, value: float) -> None:
    assert held(before, value, 20.0) == before
