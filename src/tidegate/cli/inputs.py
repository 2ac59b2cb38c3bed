"""Files that a command was asked to read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidegate.errors import UsageError
from tidegate.harmless import harmless_line

__all__ = ["STDIN", "files_named"]

STDIN = "-"
"""Stands for standard input."""


def files_named(paths: Sequence[str], *, what: str) -> list[Path]:
    """Return the files and folders among ``paths``, which may name standard input too, if they can be looked at.

    Parameters
    ----------
    what
        What could be named, for when nothing is.

    Raises
    ------
    UsageError
        When there is none, or one is not there.
    """
    if not paths:
        raise UsageError("there is nothing to read", hint=f"name {what}")
    return [_file(path) for path in paths if path != STDIN]


def _file(path: str) -> Path:
    name = harmless_line(path)
    if path.startswith("-"):
        raise UsageError(f"Unknown option: {name}", hint=f"add --help to see what may stand here; a file is ./{name}")
    if not path:
        raise UsageError("the name of a file is empty", hint="the folder that you are in is .")
    try:
        Path(path).stat()
    except FileNotFoundError:
        raise UsageError(f"{name} does not exist") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    return Path(path)
