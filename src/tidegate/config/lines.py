"""Where a key stands in a TOML text.

``tomllib`` forgets lines, and an error without a line makes people search. This reads just enough of TOML to say on
which line a table or key begins: headers, dotted and quoted keys, arrays of tables. Keys inside inline tables are
looked up as their nearest ancestor.
"""

from __future__ import annotations

import re

__all__ = ["Lines"]

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ENTRY = re.compile(rf"\s*({_DOTTED})\s*=(.*)", re.DOTALL)
_LONG = re.compile(r'"""|\'\'\'')

Path = tuple[str | int, ...]


class Lines:
    """The line on which each key of ``text`` begins."""

    def __init__(self, text: str) -> None:
        self._found: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        table: Path = ()
        fence, depth = "", 0
        for number, line in enumerate(text.splitlines(), start=1):
            if fence:
                fence = "" if fence in line else fence
                continue
            if depth == 0 and (header := _HEADER.match(line)):
                table = self._table(_split(header[2]), array=header[1] == "[[")
                self._note(table, number)
                continue
            entry = _ENTRY.match(line)
            if depth == 0 and entry:
                self._note(table + _split(entry[1]), number)
            value = entry[2] if depth == 0 and entry else line
            if (opened := _LONG.search(value)) and value.count(opened[0]) == 1:
                fence = opened[0]
            elif not opened:
                depth = max(0, depth + _brackets(value))

    def of(self, path: Path) -> int:
        """Return the line of ``path``, else of its nearest ancestor that has one, else 0."""
        for length in range(len(path), 0, -1):
            if line := self._found.get(path[:length]):
                return line
        return 0

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], line)

    def _table(self, keys: Path, *, array: bool) -> Path:
        """Insert the index of the newest element after each array of tables on the way."""
        path: Path = ()
        for position, key in enumerate(keys):
            path += (key,)
            last = position == len(keys) - 1
            if last and array:
                self._arrays[path] = self._arrays.get(path, -1) + 1
            if path in self._arrays:
                path += (self._arrays[path],)
        return path


def _split(dotted: str) -> Path:
    return tuple(_unquote(key) for key in re.findall(_KEY, dotted))


def _unquote(key: str) -> str:
    return key[1:-1] if key[0] in "\"'" else key


def _brackets(value: str) -> int:
    """Return how many brackets ``value`` opens and does not close; strings and comments do not count."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'', "", value).partition("#")[0]
    return plain.count("[") + plain.count("{") - plain.count("]") - plain.count("}")
