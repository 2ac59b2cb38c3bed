"""Secrets: from an environment variable or from a file that nobody else can read; never from a plan, never printed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from tidegate.errors import FleetError

__all__ = ["read_secret"]

_SECRET_MAX = 4096


def read_secret(
    variable: str, file: Path | None, whose: str, what: str = "password", *, environ: Mapping[str, str] | None = None
) -> str:
    """Return the secret in ``$variable``, else the first line of ``file``.

    Parameters
    ----------
    variable
        Name of an environment variable.
    file
        A file of mode 0600, or ``None``.
    whose
        What it opens, for the sentence: ``vCenter vc.example``.
    what
        What it is, as the keys ``WHAT_env`` and ``WHAT_file`` of a plan say.

    Raises
    ------
    FleetError
        When there is none, or others can read the file.
    """
    value = (os.environ if environ is None else environ).get(variable, "")
    if value:
        return value
    if file is None:
        raise FleetError(
            f"no {what} for {whose}: ${variable} is not set",
            hint=f"export {variable}, or name a {what}_file of mode 0600",
            slug="no-secret",
        )
    try:
        with file.open(encoding="utf-8") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise FleetError(
                    f"others can read {file}, the {what} for {whose}", hint=f"chmod 600 {file}", slug="open-secret"
                )
            value = opened.readline(_SECRET_MAX).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise FleetError(f"cannot read {file}, the {what} for {whose}: {reason}", slug="no-secret") from error
    if not value:
        raise FleetError(f"{file}, the {what} for {whose}, is empty", slug="no-secret")
    return value
