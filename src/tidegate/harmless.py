"""Text of strangers made harmless to look at: what would hide, steer a terminal or turn text around is spelled out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

__all__ = ["harmless", "harmless_line", "visible"]

_KEPT = "\n\t"
# Control, format (bidi marks, zero widths, tags), surrogate, private; separators of lines and paragraphs.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def harmless(text: str) -> str:
    r"""Return ``text`` without anything that a terminal or a reader could be led astray with.

    Control characters (C0, C1, escape sequences), marks of direction and what is invisible become ``\xNN`` or
    ``\uNNNN``; line feeds and tabs stay.
    """
    return _spelled(text, _HIDDEN, _escape)


def harmless_line(text: str) -> str:
    """Return ``text`` as :func:`harmless` does, on one line: for names, which may hold line feeds and make up lines."""
    return harmless(text).replace("\n", _escape("\n")).replace("\t", _escape("\t"))


def visible(text: object) -> str:
    """Return the text with every character that cannot be seen named, as ``⟨ESC⟩`` or ``⟨U+202E⟩``: for a page.

    A page has a font of its own, so that characters which are not assigned are named as well.
    """
    return _spelled(str(text), _HIDDEN | {"Cn"}, _name)


def _spelled(text: str, hidden: frozenset[str], spell: Callable[[str], str]) -> str:
    return "".join(spell(char) if unicodedata.category(char) in hidden and char not in _KEPT else char for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _name(char: str) -> str:
    return "⟨ESC⟩" if char == "\x1b" else f"⟨U+{ord(char):04X}⟩"
