"""Regexes of rules: Rust's ``regex`` syntax, which is linear in time. What it does not have is refused with the reason.

The engine is the judge: a regex is good when it compiles there, within its size limit. What people who know other
dialects write most often is looked for first, because a name for it helps more than a parser's position.
"""

from __future__ import annotations

import re

from tidegate.watch.repeats import repeat_of_repeat
from tidegate.watch.scan import compiles

__all__ = ["refused"]

LENGTH_MAX = 2_000
"""Longest regex, in characters."""

_LINEAR = "the engine promises linear time"
_FOREIGN = (
    (re.compile(r"\(\?<?[=!]"), "look-around, which the engine does not have", "use `not`, or match the text itself"),
    (re.compile(r"\(\?P="), f"a back-reference, which cannot be matched in linear time ({_LINEAR})", "leave it out"),
    (re.compile(r"\\[1-9]"), f"a back-reference, which cannot be matched in linear time ({_LINEAR})", "leave it out"),
    (re.compile(r"\\k[<{']"), f"a back-reference, which cannot be matched in linear time ({_LINEAR})", "leave it out"),
    (re.compile(r"\(\?>"), "an atomic group", "write a plain group: nothing is tried twice here"),
    (re.compile(r"\(\?\("), "a condition", "write two alternatives"),
    (re.compile(r"\(\?#"), "a comment", "write it as a YAML comment"),
    (re.compile(r"\\Z"), r"\Z, which is Python's", r"write \z"),
    (re.compile(r"\\[hHRKGXQE]"), "an escape of another dialect", "write the characters in a class"),
    (re.compile(r"(?<!\\)[*+?}]\+"), "a possessive quantifier", "write a plain one: nothing is tried twice here"),
)


def refused(pattern: str, *, fold: bool = False) -> tuple[str, str] | None:
    """Return what is wrong with ``pattern`` and what to do about it; ``None`` when the engine takes it.

    Parameters
    ----------
    fold
        Whether it is matched without regard to ASCII case.

    Raises
    ------
    GateError
        When the compiled part of tidegate is missing.
    """
    if len(pattern) > LENGTH_MAX:
        return f"the regex has more than {LENGTH_MAX} characters", "split it: every regex of `all` must match"
    plain = _without_classes(pattern)
    for sign, what, hint in _FOREIGN:
        if sign.search(plain):
            return f"the regex has {what}", hint
    if words := compiles(pattern, fold=fold):
        return words
    if part := repeat_of_repeat(pattern):
        hint = r"repeat once: `\S+(?:\s+\S+)*` in place of `(\s*\S+\s*)+`"
        return f"the regex repeats a repeat, {part}, which takes exponential time in other engines", hint
    return None


def _without_classes(pattern: str) -> str:
    """Return ``pattern`` with escaped backslashes and character classes blanked out."""
    return re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "[]", pattern.replace(r"\\", "__"))
