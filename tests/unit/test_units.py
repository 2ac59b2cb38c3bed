"""Durations and sizes: every text that is printed is read back, and nothing without a unit gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from tidegate.units import ByteSize, Duration


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("30s", 30 * 10**9),
        ("200ms", 200 * 10**6),
        ("1h30m", 5400 * 10**9),
        ("1.5s", 1_500_000_000),
        ("2d", 2 * 86400 * 10**9),
        ("10 ms", 10_000_000),
        ("7us", 7000),
        ("0s", 0),
    ],
)
def test_a_duration_is_read(text: str, nanoseconds: int) -> None:
    assert Duration.parse(text).nanoseconds == nanoseconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty text is not a duration"),
        ("30", '"30" is not a duration'),
        ("30 parsecs", '"parsecs" is not a unit of a duration'),
        ("s", '"s" is not a duration'),
        ("-1s", '"-1s" is not a duration'),
        ("0.1ns", "finer than the smallest unit"),
        ("9999999999999d", "longer than any duration"),
        ("1s later", '"1s later" is not a duration'),
    ],
)
def test_what_is_no_duration_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="duration") as caught:
        Duration.parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.integers(min_value=0, max_value=2**62))
def test_a_printed_duration_is_read_back(nanoseconds: int) -> None:
    assert Duration.parse(str(Duration(nanoseconds))) == Duration(nanoseconds)


@given(st.integers(min_value=0, max_value=2**62))
def test_a_printed_size_is_read_back(count: int) -> None:
    assert ByteSize.parse(str(ByteSize(count))) == ByteSize(count)


@given(st.integers(min_value=1, max_value=2**62), st.floats(min_value=0.1, max_value=50))
def test_dividing_never_makes_a_duration_vanish(nanoseconds: int, speed: float) -> None:
    assert Duration(nanoseconds).divided(speed).count >= 1


def test_no_time_stays_no_time_when_divided() -> None:
    assert Duration(0).divided(5) == Duration(0)


class _Table(BaseModel):
    wait: Duration = Duration.parse("1s")
    room: ByteSize = ByteSize.parse("1MiB")


@pytest.mark.parametrize("value", [30, 30.0, "30", " 30 "])
def test_a_bare_number_is_refused_with_a_hint(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        _Table.model_validate({"wait": value})
    detail = caught.value.errors()[0]
    assert "has no unit" in detail["msg"]
    assert 's" for seconds' in detail["ctx"]["hint"]


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        _Table.model_validate({"room": value})


def test_a_model_reads_and_writes_units() -> None:
    table = _Table.model_validate({"wait": "90s", "room": "64MiB"})
    assert table.model_dump(mode="json") == {"wait": "1m30s", "room": "64MiB"}
    assert table.room.bytes == 64 * 2**20
