"""The strict part of YAML: what it gives, and what it refuses with the line and the cure."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import ConfigError, Problem
from tidegate.watch.strict_yaml import DEPTH_MAX, SIZE_MAX, read_yaml

FILE = Path("rules/a.yaml")


def tree_of(text: str) -> Any:
    return read_yaml(text.encode(), FILE)[0]


def problem_of(data: bytes) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read_yaml(data, FILE)
    (problem,) = caught.value.problems
    return problem


def read_or_refused(data: bytes) -> None:
    """Nothing but a ConfigError may come out of the reader."""
    with contextlib.suppress(ConfigError):
        read_yaml(data, FILE)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a: 1\nb: [x, {c: d}]\n", {"a": 1, "b": ["x", {"c": "d"}]}),
        (
            "a: no\nb: 2026-11-25\nc: 4.1\nd: 4.1.2\ne: 010\n",
            {"a": "no", "b": "2026-11-25", "c": 4.1, "d": "4.1.2", "e": 10},
        ),
        ("a: true\nb: null\nc:\nd: 'true'\n", {"a": True, "b": None, "c": None, "d": "true"}),
        ("a: |-\n  x: y\n    # no comment\nb: >-\n  one\n  two\n", {"a": "x: y\n  # no comment", "b": "one two"}),
        ("on: off\nif: then\n", {"on": "off", "if": "then"}),
        ("---\na: 'it''s'\n...\n", {"a": "it's"}),
        ("\ufeffa: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
    ],
)
def test_what_is_written_is_what_is_read(text: str, tree: Any) -> None:
    assert tree_of(text) == tree


def test_every_node_knows_its_line() -> None:
    _, lines = read_yaml(b"a: 1\nb:\n  - c: 2\n    d: {e: 3}\n", FILE)
    assert [lines.of(path) for path in [("a",), ("b",), ("b", 0, "c"), ("b", 0, "d", "e")]] == [1, 2, 3, 4]
    assert lines.of(("b", 0, "no such")) == 3
    assert lines.of(("no such",)) == 0


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: &x 1", 2, "has an anchor (&x)"),
        ("a: 1\nb: *x", 2, "has an alias (*x)"),
        ("a: 1\nb: !!python/name:os.system x", 2, "has a tag"),
        ("a: ! 1", 1, "has a tag"),
        ("%YAML 1.1\n---\na: 1", 2, "has a directive"),
        ("%TAG ! x\n--- !a b", 2, "has a directive"),
        ("a: 1\n---\nb: 1", 2, "more than one document"),
        ("a: 1\nb: 2\na: 3", 3, 'has the key "a" twice'),
        ("a: 1\n<<: {a: 1}", 2, "has a merge key"),
        ("? [a]\n: 1", 1, "has a key that is not a text"),
        ("a: 1\n2: 3", 2, "has a key that is not a text"),
        ("a: 1\nb: c: d", 2, "is not YAML: mapping values are not allowed here"),
        ("a: 'b", 1, "is not YAML"),
        ("a: [1", 1, "is not YAML"),
        ("", 0, "is empty"),
        ("# only a comment", 0, "is empty"),
    ],
)
def test_what_is_surprising_is_refused(text: str, line: int, message: str) -> None:
    problem = problem_of(text.encode())
    assert message in problem.message
    assert (problem.file, problem.line) == (FILE, line)


def test_what_is_no_text_is_refused() -> None:
    assert "U+0000" in problem_of(b"a: 1\nb: \0").message
    assert problem_of(b"a: 1\nb: \x1b[31m").line == 2
    assert (problem_of(b"a: 1\nb: \xff").message, problem_of(b"a: 1\nb: \xff").line) == ("is not UTF-8 text", 2)
    assert "256 KiB" in problem_of(b"#" * (SIZE_MAX + 1)).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert "deep" in problem_of((opening * (SIZE_MAX // len(opening))).encode()).message
    assert problem_of((opening * 5000 + "x").encode()).line == 1
    assert DEPTH_MAX == 20


def test_a_problem_is_a_sentence_however_long_the_word() -> None:
    assert len(problem_of(b"a: !" + b"x" * 200_000).message) < 400


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(data)


_WORDS = ("a", "1", "~", "é", "<<", "---", "...")
_SIGNS = (
    ": ",
    "- ",
    "\n",
    "  ",
    "\t",
    "\r",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    '"',
    "|",
    ">",
    "?",
    "#",
    "%",
    "\\",
    "@",
    "`",
)
_REFUSED = ("&x", "*x", "!t")
_PIECES = st.sampled_from(_WORDS + _SIGNS + _REFUSED)


@given(st.lists(_PIECES, max_size=60).map("".join))
def test_anything_like_yaml_is_read_or_refused(text: str) -> None:
    read_or_refused(text.encode())


@pytest.mark.parametrize("piece", ["- a\n", "a: |\n", "!"])
def test_the_longest_file_of_one_piece_comes_to_an_end(piece: str) -> None:
    data = (piece * (SIZE_MAX // len(piece.encode()))).encode()
    read_or_refused(data)
