"""Frames of syslog: told apart by the first bytes, the same however they are cut, and bounded whatever comes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.live.frames import FRAME_MOST, Frame, Frames

MESSAGES = st.lists(st.binary(min_size=1, max_size=40).map(lambda body: b"<166>" + body), max_size=6)
LINES = st.lists(st.binary(min_size=1, max_size=40).map(lambda body: b"<13>" + body.replace(b"\n", b"_")), max_size=6)


def counted(messages: list[bytes], between: bytes = b"") -> bytes:
    """Return the messages with their lengths before them (RFC 6587, 3.4.1)."""
    return between.join(b"%d %b" % (len(message), message) for message in messages)


def read(data: bytes, *, cuts: list[int] | None = None, most: int = FRAME_MOST) -> tuple[list[Frame], Frames]:
    """Return the frames of a whole connection, and what read it."""
    frames = Frames(most)
    edges = [0, *sorted(cuts or []), len(data)]
    found = [frame for begin, end in itertools.pairwise(edges) for frame in frames.feed(data[begin:end])]
    return found + frames.end(), frames


@given(MESSAGES, st.sampled_from([b"", b"\n", b"\r\n"]))
def test_counted_messages_come_out_as_they_went_in(messages: list[bytes], between: bytes) -> None:
    found, frames = read(counted(messages, between))
    assert found == [Frame(message) for message in messages]
    assert not frames.broken


@given(LINES)
def test_lines_come_out_as_they_went_in(messages: list[bytes]) -> None:
    found, frames = read(b"".join(message + b"\n" for message in messages))
    assert found == [Frame(message) for message in messages]
    assert frames.way in {"lines", None}


@pytest.mark.parametrize(
    "data",
    [
        counted([b"<166>one", b"<14>two\nforged", b"<13>3"], b"\n"),
        counted([b"<166>" + b"x" * 30, b"<14>y"]) + b"12",
        counted([b"<166>one"]) + b"nonsense",
        b"<166>one\n<14>two\r\n\n<13>left",
        b"72 bottles\n72 <13>inside\n",
        b"2025-08-08T12:17:14Z esx1 Hostd: x\n",
        b"0 <13>x\n",
        b"12345678901 <13>x\n",
    ],
)
def test_any_cut_gives_the_same_frames(data: bytes) -> None:
    whole, frames = read(data, most=16)
    for cut in range(len(data) + 1):
        found, halves = read(data, cuts=[cut], most=16)
        assert (found, halves.way, halves.broken) == (whole, frames.way, frames.broken), cut
    single, bytewise = read(data, cuts=list(range(len(data))), most=16)
    assert (single, bytewise.way, bytewise.broken) == (whole, frames.way, frames.broken)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_anything_is_read_the_same_however_it_is_cut_and_nothing_is_unbounded(data: bytes, cuts: list[int]) -> None:
    cuts = [min(cut, len(data)) for cut in cuts]
    whole, frames = read(data, most=8)
    assert read(data, cuts=cuts, most=8)[0] == whole
    assert all(len(frame.text) <= 8 for frame in whole)
    if frames.way == "lines":
        assert sum(len(frame.text) + frame.missing for frame in whole) == len(data) - data.count(b"\n")


@pytest.mark.parametrize(
    ("data", "way"),
    [
        (b"8 <13>abcd", "counted"),
        (b"<13>abcd\n", "lines"),
        (b"8 abcd\n", "lines"),
        (b"8x\n", "lines"),
        (b"08 <13>abc\n", "lines"),
        (b"\n<13>x\n", "lines"),
        (b"99", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_the_framing(data: bytes, way: str | None) -> None:
    assert read(data)[1].way == way


def test_a_first_line_that_is_only_a_number_is_not_lost() -> None:
    assert read(b"99")[0] == [Frame(b"99")]
    assert read(b"99 ")[0] == [Frame(b"99 ")]


def test_a_message_too_long_keeps_its_begin_and_the_next_is_whole() -> None:
    long = b"<13>" + b"x" * 100
    assert read(counted([long, b"<13>y"]), most=10)[0] == [Frame(long[:10], 94), Frame(b"<13>y")]
    assert read(long + b"\n<13>y\n", most=10)[0] == [Frame(long[:10], 94), Frame(b"<13>y")]


def test_a_count_of_gigabytes_takes_no_memory_and_its_end_tells_what_is_missing() -> None:
    found, _ = read(b"9999999999 <13>abc", most=10)
    assert found == [Frame(b"<13>abc", 9_999_999_999 - 7)]


def test_a_connection_that_ends_within_a_message_tells_it() -> None:
    assert read(b"20 <13>abc")[0] == [Frame(b"<13>abc", 13)]
    assert read(b"8 <13>abcd20 ")[0] == [Frame(b"<13>abcd"), Frame(b"", 20)]


def test_what_stands_where_a_count_should_be_breaks_the_connection_and_nothing_after_it_is_read() -> None:
    found, frames = read(b"8 <13>abcd<13>no count\n8 <13>abcd")
    assert found == [Frame(b"<13>abcd")]
    assert frames.broken
    assert frames.feed(b"8 <13>abcd") == []
