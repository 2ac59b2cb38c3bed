r"""Repeats of repeats, as in ``(\s*\S+\s*)+ failed$``: exponential time in engines that try one way after another.

Ours is linear whatever the regex is, but rules are read by others and exported to other engines; and there is always a
way to write it with one repeat. ``(?:[A-Z]+,)*`` is none: its comma must be there, so there is one way to split a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["repeat_of_repeat"]

_REPEAT = re.compile(r"(?:(?P<sign>[*+?])|\{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\})[?]?")
_OPENING = re.compile(r"\((?:\?(?:P?<[^>=!]+>|[a-zA-Z-]*:))?")
_NO_WIDTH = re.compile(r"[\^$]|\\[bBAzZ](?:\{[a-z-]+\})?|\(\?[a-zA-Z-]+\)")


@dataclass(frozen=True, slots=True)
class _Part:
    """One element of a regex; ``inside`` are the alternatives of a group, each a list of elements."""

    text: str
    inside: tuple[tuple[_Part, ...], ...] = ()
    may_lack: bool = False
    endless: bool = False

    @property
    def empty(self) -> bool:
        """Whether it can match nothing."""
        return self.may_lack or (bool(self.inside) and any(all(p.empty for p in way) for way in self.inside))

    @property
    def repeats(self) -> bool:
        """Whether all of it is an endless repeat: itself, or a group that is nothing else."""
        return self.endless or any(_only_repeats(way) for way in self.inside)


def repeat_of_repeat(pattern: str) -> str:
    """Return the part of ``pattern`` that repeats a repeat, or nothing.

    Parameters
    ----------
    pattern
        A regex that the engine takes: its brackets match, and are not too deep.
    """
    return _first(_ways(pattern, 0)[0])


def _first(ways: tuple[tuple[_Part, ...], ...]) -> str:
    for part in (part for way in ways for part in way):
        if part.endless and part.inside:
            texts = ["".join(inner.text for inner in way) for way in part.inside]
            if any(_only_repeats(way) for way in part.inside) or len(set(texts)) < len(texts):
                return part.text
        if found := _first(part.inside):
            return found
    return ""


def _only_repeats(way: tuple[_Part, ...]) -> bool:
    """Tell whether a way through a group is one endless repeat, with nothing beside it that must be there."""
    return any(part.repeats and all(other.empty for other in way if other is not part) for part in way)


def _ways(pattern: str, place: int) -> tuple[tuple[tuple[_Part, ...], ...], int]:
    """Read alternatives until the group or the pattern ends; return them, and where that is."""
    ways: list[tuple[_Part, ...]] = []
    way: list[_Part] = []
    while place < len(pattern) and pattern[place] != ")":
        if pattern[place] == "|":
            ways.append(tuple(way))
            way, place = [], place + 1
            continue
        part, place = _part(pattern, place)
        way.append(part)
    return (*ways, tuple(way)), place


def _part(pattern: str, start: int) -> tuple[_Part, int]:
    inside: tuple[tuple[_Part, ...], ...] = ()
    no_width = _NO_WIDTH.match(pattern, start)
    if no_width:
        end = no_width.end()
    elif pattern[start] == "(":
        opening = _OPENING.match(pattern, start)
        inside, end = _ways(pattern, opening.end() if opening else start + 1)
        end += 1
    elif pattern[start] == "[":
        end = _class_end(pattern, start)
    elif pattern[start] == "\\":
        named = re.compile(r"\\[pPxuU]\{[^}]*\}").match(pattern, start)
        end = named.end() if named else start + 2
    else:
        end = start + 1
    may_lack, endless = no_width is not None, False
    if repeat := _REPEAT.match(pattern, end):
        end = repeat.end()
        may_lack = may_lack or repeat["sign"] in {"*", "?"} or (repeat["sign"] is None and repeat["least"] in {"", "0"})
        endless = repeat["sign"] in {"*", "+"} or (bool(repeat["comma"]) and not repeat["most"])
    return _Part(pattern[start:end], inside, may_lack, endless), end


def _class_end(pattern: str, place: int) -> int:
    """Return where the class that opens at ``place`` is over; classes may stand in classes."""
    depth, first = 0, -1
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            place += 1
        elif sign == "[":
            depth += 1
            first = place + 2 if pattern[place + 1 : place + 2] == "^" else place + 1
        elif sign == "]" and place != first:
            depth -= 1
        place += 1
        if depth == 0:
            break
    return place
