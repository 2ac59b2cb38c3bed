"""Text from logs made harmless to look at: what would hide, move the cursor or turn the text around is spelled out."""

from __future__ import annotations

import html
import unicodedata

__all__ = ["escaped", "visible"]

_KEPT = {"\n", "\t"}
# Control, format (bidi marks, zero widths, tags), surrogate, private, unassigned; separators of lines and paragraphs.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: object) -> str:
    """Return the text with every character that cannot be seen spelled out, as ``⟨ESC⟩`` or ``⟨U+202E⟩``."""
    return "".join(_seen(char) for char in str(text))


def escaped(text: object, most: int | None = None) -> str:
    """Return the text visible and as HTML; what is longer than ``most`` characters is cut, and says so."""
    whole = str(text)
    if most is not None and len(whole) > most:
        return escaped(whole[:most]) + f" … ({len(whole) - most} more characters)"
    return html.escape(visible(whole))


def _seen(char: str) -> str:
    if char in _KEPT or unicodedata.category(char) not in _HIDDEN:
        return char
    return "⟨ESC⟩" if char == "\x1b" else f"⟨U+{ord(char):04X}⟩"
