"""Plays a spec, and replays a trace: the one place of this package that knows the compiled module."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tidegate.errors import GateError, UsageError

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
    _core = _compiled()
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
    _core = _compiled()
    try:
        report: Json = json.loads(_core.replay(trace))
    except _core.TraceError as error:
        message, hint = error.args
        raise UsageError(f"{trace}: {message}", hint=hint, slug="trace") from None
    return report


def _compiled() -> ModuleType:
    try:
        from tidegate import _core
    except ImportError as error:
        hint = "build it with `make build`, or install a wheel for this platform"
        raise GateError(f"the compiled part of tidegate is missing: {error}", hint=hint, slug="no-core") from None
    return _core
