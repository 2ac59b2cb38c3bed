"""How a demo ends: with what was promised and not kept."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.cli.printer import Printer
from tidegate.errors import Exit

__all__ = ["kept"]


def kept(printer: Printer, broken: Sequence[str]) -> Exit:
    """Say what was not as promised, and return the exit code: 1 when there is anything."""
    for sentence in broken:
        printer.words(f"not as promised: {sentence}")
    return Exit.BAD if broken else Exit.FINE
