"""Text is cut where records end: whole ones only, long lines never out of step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotated import record
from tidegate.watch.live.lines import BATCH, LINE, Cut, cut, last_record

LINES = st.sampled_from(
    [
        b"2026-11-25T12:00:00.000Z info vpxd[12] one\n",
        b"Nov 25 12:00:00 esx1 hostd: two\n",
        b"--> more of it\n",
        b"  set in\n",
        b"bare\n",
        b"\n",
        b"x" * (LINE + 5) + b"\n",
        b"y" * LINE + b"\n",
    ]
)


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        (record(1) + record(2, lines=3), len(record(1))),
        ("<14>1 2026-11-25T12:00:00Z a\nNov 25 12:00:01 esx1 b\n more\n", 29),
        ("info hostd[ab12] one\nerror hostd[ab12] two\n--> three\n", 21),
        ("2026-11-25T12:00:00.000Z In(166) Hostd[1]: a\n2026-11-25T12:00:00.000Z In(166)[+] Hostd[1]: b\n", 0),
        ("bare\nother\n", 5),
        ("bare\n--> more\n", 0),
        ("--> more\n", 0),
        ("", 0),
    ],
)
def test_the_last_record(text: str, begin: int) -> None:
    assert last_record(text.encode()) == begin


def test_the_last_record_is_held_until_the_next_begins() -> None:
    one, two = record(1, lines=2).encode(), record(2).encode()
    assert cut(one) == Cut()
    assert cut(one + two) == Cut(one, len(one))
    assert cut(one + two[:40]) == Cut(one, len(one))


def test_the_last_record_is_handed_on_when_nothing_comes() -> None:
    one, half = record(1).encode(), record(2).encode()[:40]
    assert cut(one + half, quiet=True) == Cut(one, len(one))
    assert cut(half, quiet=True) == Cut()


def test_the_last_line_of_a_file_may_lack_its_end() -> None:
    assert cut(b"one\ntwo", ended=True) == Cut(b"one\ntwo\n", 7)
    assert cut(b"", ended=True) == Cut()


def test_a_long_line_is_cut_and_its_rest_is_passed_over() -> None:
    before, long = record(1).encode(), b"x" * 1_000_000
    first = cut(before + long)
    assert first == Cut(before + long[:LINE] + b"\n", len(before) + LINE, inside=True, long=len(before))
    assert cut(long[LINE:], inside=True) == Cut(used=len(long) - LINE, inside=True)
    assert cut(b"xxx\nnext\n", inside=True) == Cut(used=4)
    assert cut(b"xxx", inside=True, ended=True) == Cut(used=3)


def test_a_record_without_end_is_handed_on() -> None:
    text = b"--> on and on\n" * (BATCH // 14)
    assert cut(text, more=True) == Cut(text, len(text))


@given(st.lists(LINES, max_size=30), st.data())
def test_everything_is_handed_on_once(lines: list[bytes], data: st.DataObject) -> None:
    text = b"".join(lines)
    offset, inside, handed = 0, False, []
    while offset < len(text):
        seen = data.draw(st.integers(offset, len(text)))
        seen = len(text) if seen == offset else seen
        block = text[offset : min(seen, offset + BATCH)]
        more, ended = offset + len(block) < seen, seen == len(text)
        part = cut(block, inside=inside, more=more, ended=ended and not more, quiet=data.draw(st.booleans()))
        if part.data:
            assert part.data.endswith(b"\n")
            assert len(part.data) <= BATCH + 1
            kept = part.data[:-1] if part.inside else part.data
            assert text[offset : offset + len(kept)] == kept
            handed.append(part.data)
        offset, inside = offset + part.used, part.inside
    whole = [line if len(line) <= LINE + 1 else line[:LINE] + b"\n" for line in lines]
    assert b"".join(handed) == b"".join(whole)
