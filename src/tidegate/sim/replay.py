"""Replays a trace of a live gate on the simulator's side: the same code must come to the same decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tidegate.errors import GateError, UsageError

__all__ = ["replay"]


def replay(file: Path) -> dict[str, Any]:
    """Replay the trace in ``file``; return the report, of which ``identical`` is the answer.

    Raises
    ------
    UsageError
        When the file is no whole trace of this format.
    GateError
        When the compiled part is missing.
    """
    try:
        from tidegate import _core
    except ImportError as error:
        hint = "build it with `make build`, or install a wheel for this platform"
        raise GateError(f"the compiled part of tidegate is missing: {error}", hint=hint, slug="no-core") from None
    try:
        report: dict[str, Any] = json.loads(_core.replay(file))
    except _core.TraceError as error:
        message, hint = error.args
        raise UsageError(f"{file}: {message}", hint=hint, slug="trace") from None
    return report
