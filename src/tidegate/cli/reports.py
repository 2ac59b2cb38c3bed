"""Pages that a command was asked to write."""

from __future__ import annotations

from pathlib import Path

from tidegate.errors import UsageError
from tidegate.page import write_page

__all__ = ["write_report"]


def write_report(report: Path, page: str) -> None:
    """Write a page to where ``--report`` says.

    Raises
    ------
    UsageError
        When it cannot be written.
    """
    try:
        write_page(report, page)
    except OSError as error:
        raise UsageError(f"the report {report} cannot be written: {error.strerror}") from None
