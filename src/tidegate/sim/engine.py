"""Plays a spec, and replays a trace: the one place of this package that calls the compiled module."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.compiled import load_core
from tidegate.errors import UsageError

__all__ = ["Json", "play", "replay"]

Json = dict[str, Any]


def play(spec: bytes, policy: Json, progress: Callable[[float], None]) -> Json:
    """Play ``spec`` under one policy; return what came of it.

    The GIL is free while it plays. ``progress`` is told the share that is done, some times a second; what it raises
    ends the run: so does Ctrl-C.

    Raises
    ------
    UsageError
        When Rust refuses the spec or the policy.
    GateError
        When the compiled part is missing.
    """
    _core = load_core()
    try:
        result: Json = json.loads(_core.simulate(spec, json.dumps(policy).encode(), progress))
    except _core.SpecError as error:
        message, _, hint = error.args
        raise UsageError(f"the storm cannot be played: {message}", hint=hint) from None
    return result


def replay(trace: Path) -> Json:
    """Tell the machine of a recorded gate what it was told then; return the report: ``identical`` is the answer.

    Raises
    ------
    UsageError
        When the file is no whole trace of this format.
    GateError
        When the compiled part is missing.
    """
    _core = load_core()
    try:
        report: Json = json.loads(_core.replay(trace))
    except _core.TraceError as error:
        message, hint = error.args
        raise UsageError(f"{trace}: {message}", hint=hint, slug="trace") from None
    return report
