"""Text from logs as HTML."""

from __future__ import annotations

import html

from tidegate.harmless import visible

__all__ = ["escaped"]


def escaped(text: object, most: int | None = None) -> str:
    """Return the text visible and as HTML; what is longer than ``most`` characters is cut, and says so."""
    whole = str(text)
    if most is not None and len(whole) > most:
        return escaped(whole[:most]) + f" … ({len(whole) - most} more characters)"
    return html.escape(visible(whole))
