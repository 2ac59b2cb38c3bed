"""Repeats of repeats are known from what only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.load import load_rules
from tidegate.watch.repeats import repeat_of_repeat


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        (r"(\s*\S+\s*)+ failed$", r"(\s*\S+\s*)+"),
        (r"(a+)+b", "(a+)+"),
        (r"(?:a*)*", "(?:a*)*"),
        (r"x(?P<y>(?:[a-z]+)?\s*)+", r"(?P<y>(?:[a-z]+)?\s*)+"),
        (r"((a+))*", "((a+))*"),
        (r"(a|a)*b", "(a|a)*"),
        (r"(b|c+)+", "(b|c+)+"),
        (r"(?i:(\d{2,})+)", r"(\d{2,})+"),
        (r"(^\w+$)*", r"(^\w+$)*"),
        (r"([\]a]+)+", r"([\]a]+)+"),
        (r"([]a]+)+", "([]a]+)+"),
    ],
)
def test_what_repeats_a_repeat(pattern: str, part: str) -> None:
    assert repeat_of_repeat(pattern) == part


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:[A-Z]+,)*UF(?:,[A-Z]+)*",
        r"\S+(?:\s+\S+)* failed",
        r"(a+)?b",
        r"(a+){2,5}",
        r"(a|b)+",
        r"a+b+",
        r"[(a+)+]+",
        r"\(a+\)+",
        r"(?i)a+",
        r"(?:\d{1,3}\.){3}\d{1,3}",
        r"",
    ],
)
def test_what_does_not(pattern: str) -> None:
    assert repeat_of_repeat(pattern) == ""


def test_no_shipped_regex_does() -> None:
    for rule in load_rules().rules:
        for signature in rule.signatures:
            assert not [one for one in (*signature.all_, *signature.not_) if repeat_of_repeat(one)]


@given(st.text(alphabet=r"ab()[]{}|*+?\^$,1:P<>", max_size=30))
def test_any_text_is_read_to_its_end(pattern: str) -> None:
    repeat_of_repeat(pattern)
