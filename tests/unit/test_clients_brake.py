"""Datastores that hold batches back: from 20 ms on until below 18 ms; no sample is not 0 ms."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tidegate.clients.brake import HOLD_MS, Brake

values = st.floats(0, 60) | st.sampled_from([math.nan, -1.0, 18.0, 20.0])


@given(samples=st.lists(st.dictionaries(st.sampled_from("abc"), values), min_size=1, max_size=30))
def test_it_holds_at_the_threshold_and_on_what_is_no_value(samples: list[dict[str, float]]) -> None:
    brake = Brake()
    for newest in samples:
        brake.note(newest)
        for name, value in newest.items():
            if not 0 <= value < HOLD_MS:
                assert name in brake.why([name])
            if 0 <= value < HOLD_MS * 0.9:
                assert brake.why([name]) == ""
    assert bool(brake.why("abc")) == any(brake.why([name]) for name in "abc")


@given(inside=st.lists(st.floats(18.0, 20.0, exclude_max=True), min_size=1))
def test_between_the_two_it_stays_as_it_was(inside: list[float]) -> None:
    held, free = Brake(), Brake()
    held.note({"a": 20.0})
    for value in inside:
        held.note({"a": value})
        free.note({"a": value})
        assert "must fall below 18" in held.why({"a"})
        assert free.why({"a"}) == ""


def test_what_vcenter_has_no_samples_of_holds_nothing() -> None:
    brake = Brake()
    brake.note({"disk": 31.4})
    assert brake.why({"vsan"}) == ""
    assert brake.why(set()) == ""
    assert brake.why({"vsan", "disk"}) == "the latency of disk is 31 ms"
    assert brake.why({"disk"}) != ""
