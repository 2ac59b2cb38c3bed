"""The fixed texts in a regex, for engines that search for texts and know no regexes."""

from __future__ import annotations

import re

__all__ = ["literal_of", "phrases_of"]

_SPACE = re.compile(r"(?:\\s[+*]?\??|\\[ ]|[ ])")
_ESCAPED = re.compile(r"\\([^A-Za-z0-9])")
_PLAIN = re.compile(r"[^\\.^$*+?{}\[\]()|]")
_OPTIONAL = re.compile(r"[*+?{]")


def literal_of(pattern: str) -> str | None:
    r"""Return the one text that ``pattern`` matches, or ``None`` when it matches more than one.

    >>> literal_of(r"code: 500\(Internal")
    'code: 500(Internal'
    """
    text, place = "", 0
    while place < len(pattern):
        found = _ESCAPED.match(pattern, place) or _PLAIN.match(pattern, place)
        if found is None or _OPTIONAL.match(pattern, found.end()):
            return None
        text += found[found.lastindex or 0]
        place = found.end()
    return text


def phrases_of(pattern: str) -> list[str] | None:
    r"""Return texts that are all in whatever ``pattern`` matches; ``None`` when it has alternatives or none is sure.

    White space (``\s+``) becomes one space. A word at the edge of what is not fixed is left out, as it may go on there.

    >>> phrases_of(r"state:\s+Transport\w+\]: FAULT")
    ['state:', ': FAULT']
    """
    runs, run, place, open_left = [], "", 0, False
    while place < len(pattern):
        found = _SPACE.match(pattern, place)
        if found:
            run, place = run + " ", found.end()
            continue
        found = _ESCAPED.match(pattern, place) or _PLAIN.match(pattern, place)
        if found and not _OPTIONAL.match(pattern, found.end()):
            run += found[found.lastindex or 0]
            place = found.end()
            continue
        if pattern[place] == "|":
            return None
        runs.append(_trimmed(run, left=open_left, right=True))
        run, open_left = "", True
        place = _past(pattern, place)
    runs.append(_trimmed(run, left=open_left, right=False))
    phrases = [text for text in runs if re.search(r"\w{3}", text)]
    return phrases or None


def _trimmed(run: str, *, left: bool, right: bool) -> str:
    """Leave out a word that may go on beyond the run."""
    if left:
        run = re.sub(r"^[\w-]+", "", run)
    if right:
        run = re.sub(r"[\w-]+$", "", run)
    return run.strip()


def _past(pattern: str, place: int) -> int:
    """Return where the element at ``place`` ends: an escape, a class, a group or a sign, and its repeat."""
    if pattern[place] == "\\":
        end = place + 2
    elif pattern[place] == "[":
        end = place + 1
        while end < len(pattern) and (pattern[end] != "]" or end == place + 1):
            end += 2 if pattern[end] == "\\" else 1
        end += 1
    elif pattern[place] == "(":
        end = _closing(pattern, place)
    else:
        end = place + 1
    repeat = re.compile(r"(?:[*+?]|\{\d*,?\d*\})+\??").match(pattern, end)
    return repeat.end() if repeat else end


def _closing(pattern: str, place: int) -> int:
    """Return where the group that opens at ``place`` is over."""
    depth = 0
    while place < len(pattern):
        sign = pattern[place]
        if sign == "\\":
            place += 1
        elif sign == "[":
            place = _past(pattern, place) - 1
        depth += (sign == "(") - (sign == ")")
        place += 1
        if depth == 0:
            break
    return place
