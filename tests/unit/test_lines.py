"""The line of a key, in all the ways that TOML allows to write one."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.lines import Lines

TEXT = '''\
# a comment with = and [brackets]
top = 1

[service.web]
listen = """
[not.a.table]
key = "inside a text"
"""
list = [
  "listen = 1",   # not a key
  { inline = 2 },
]
dotted.key = 3
"quoted key" = 4

[[service.web.rule]]
path = "/a"

[[service.web.rule]]
path = "/b"

[service.web.rule.deeper]
x = 1

[ service . "odd.name" ]
y = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("service",), 4),
        (("service", "web", "listen"), 5),
        (("service", "web", "list"), 9),
        (("service", "web", "list", 1, "inline"), 9),
        (("service", "web", "dotted", "key"), 13),
        (("service", "web", "quoted key"), 14),
        (("service", "web", "rule", 0, "path"), 17),
        (("service", "web", "rule", 1, "path"), 20),
        (("service", "web", "rule", 1, "deeper", "x"), 23),
        (("service", "odd.name", "y"), 26),
        (("service", "web", "missing"), 4),
        (("nowhere",), 0),
    ],
)
def test_line_of(path: tuple[str | int, ...], line: int) -> None:
    assert tomllib.loads(TEXT)
    assert Lines(TEXT).of(path) == line


@given(st.text())
def test_no_text_can_break_it(text: str) -> None:
    assert Lines(text).of(("a", "b")) <= len(text.splitlines())
