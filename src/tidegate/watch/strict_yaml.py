"""The part of YAML 1.2 that rule files are written in: mappings, lists, texts, whole numbers, true and false.

What makes YAML files surprising or dangerous is refused: anchors, aliases, tags, directives, merge keys, keys that
stand twice, more than one document, keys that are no texts. A plain word means what YAML 1.2's core schema says (``no``
and ``2026-11-25`` are texts, ``4.1`` is a number). The tree is built from the parser's events, so depth and size are
bounded before anything is built, and every node knows its line.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from tidegate.errors import ConfigError, Problem

__all__ = ["NodeLines", "clipped", "read_yaml"]

SIZE_MAX = 256 << 10
"""Longest file that is read, in bytes."""
DEPTH_MAX = 20
"""How deep lists and mappings may stand inside one another."""

_SENTENCE_MAX = 300

Path_ = tuple[str | int, ...]

_WORDS = {"null": None, "~": None, "": None, "true": True, "false": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class NodeLines:
    """The line on which each node of a file begins."""

    def __init__(self, found: dict[Path_, int]) -> None:
        self._found = found

    def of(self, path: Path_) -> int:
        """Return the line of ``path``, else of its nearest ancestor that has one, else 0."""
        for length in range(len(path), 0, -1):
            if line := self._found.get(path[:length]):
                return line
        return 0


class _Refused(Exception):
    """One thing that strict YAML does not have."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, clipped(message), hint


def read_yaml(data: bytes, file: Path) -> tuple[Any, NodeLines]:
    """Read ``data`` as the contents of ``file``.

    Parameters
    ----------
    data
        At most :data:`SIZE_MAX` bytes of UTF-8 text.
    file
        What problems name.

    Returns
    -------
    tuple
        The tree, and the line of each node of it.

    Raises
    ------
    ConfigError
        With the first thing that is wrong.
    """
    try:
        text = _text(data)
        lines: dict[Path_, int] = {}
        return _document(_events(text), lines), NodeLines(lines)
    except _Refused as refused:
        problem = Problem(file, refused.line, "", refused.message, refused.hint)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 0
        words = " ".join(str(part) for part in (error.context, error.problem) if part)
        hint = "texts that hold ': ' or ' #', or begin with a sign, stand in quotes"
        problem = Problem(file, line, "", clipped(f"is not YAML: {' '.join(words.split())}"), hint)
    except (YAMLError, RecursionError, ValueError, OverflowError) as error:
        words = " ".join(str(error).split())
        problem = Problem(file, 0, "", clipped(f"is not YAML: {words or type(error).__name__}"))
    raise ConfigError([problem])


def clipped(message: str) -> str:
    """Return a sentence that quotes a file, cut where the file has very long words."""
    return message if len(message) <= _SENTENCE_MAX else f"{message[:_SENTENCE_MAX]} …"


def _text(data: bytes) -> str:
    if len(data) > SIZE_MAX:
        raise _Refused(0, "is longer than 256 KiB, so it is not a rule file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _Refused(line, "is not UTF-8 text", "save the file as UTF-8") from None
    if bad := re.search(r"[^\n\r\t\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text):
        line = text.count("\n", 0, bad.start()) + 1
        hint = r'write it as an escape in double quotes, for example "\e[33m"'
        raise _Refused(line, f"holds the control character U+{ord(bad[0]):04X}", hint)
    return text


def _events(text: str) -> Iterator[Event]:
    """Yield the parser's events; what YAML has and this part of it has not raises."""
    documents = depth = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the parser's own: whatever it warns of is refused below
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(line, "holds more than one document", "one file is one rule: split it")
                if event.version is not None or event.tags:
                    raise _Refused(line, "has a directive (%)", "leave it out: rule files are YAML 1.2")
            elif isinstance(event, AliasEvent):
                raise _Refused(line, f"has an alias (*{event.anchor})", "write the value out")
            elif isinstance(event, NodeEvent):
                _plain(event, line)
            depth += isinstance(event, (MappingStartEvent, SequenceStartEvent))
            depth -= isinstance(event, (MappingEndEvent, SequenceEndEvent))
            if depth > DEPTH_MAX:
                raise _Refused(line, f"nests lists or mappings more than {DEPTH_MAX} deep")
            yield event


def _plain(event: NodeEvent, line: int) -> None:
    if event.anchor is not None:
        raise _Refused(line, f"has an anchor (&{event.anchor})", "write the value out where it is needed")
    tag = getattr(event, "tag", None)
    if tag is not None and str(tag) != "None":
        raise _Refused(line, f"has a tag ({tag})", 'leave it out; a text that begins with "!" stands in quotes')


def _document(events: Iterator[Event], lines: dict[Path_, int]) -> Any:
    """Build the tree; deep ones were refused before, so recursion is bounded."""
    for event in events:
        if isinstance(event, NodeEvent):
            tree = _node(event, events, (), lines)
            for _ in events:  # the rest must be read to be judged
                pass
            return tree
    raise _Refused(0, "is empty")


def _node(event: Event, events: Iterator[Event], path: Path_, lines: dict[Path_, int]) -> Any:
    lines.setdefault(path, event.start_mark.line + 1)
    if isinstance(event, ScalarEvent):
        return _scalar(event)
    if isinstance(event, SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(inner := next(events), SequenceEndEvent):
            items.append(_node(inner, events, (*path, len(items)), lines))
        return items
    table: dict[str, Any] = {}
    while not isinstance(inner := next(events), MappingEndEvent):
        key = _key(inner, table)
        lines[(*path, key)] = inner.start_mark.line + 1
        table[key] = _node(next(events), events, (*path, key), lines)
    return table


def _key(event: Event, table: dict[str, Any]) -> str:
    line = event.start_mark.line + 1
    if not isinstance(event, ScalarEvent) or not isinstance(key := _scalar(event), str):
        raise _Refused(line, "has a key that is not a text", "put it in quotes")
    if key == "<<" and event.style is None:
        raise _Refused(line, "has a merge key (<<)", "write the keys out")
    if key in table:
        raise _Refused(line, f'has the key "{key}" twice in one mapping', "keep one of them")
    return key


def _scalar(event: ScalarEvent) -> str | int | float | bool | None:
    value: str = event.value
    if event.style in {"'", '"', "|", ">"}:
        return value
    if value.lower() in _WORDS and value in {value.lower(), value.title(), value.upper()}:
        return _WORDS[value.lower()]
    if _WHOLE.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else value
