"""Plays a spec: the one place of this package that knows the compiled module."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tidegate.errors import GateError, UsageError

__all__ = ["Json", "play"]

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
    try:
        from tidegate import _core
    except ImportError as error:
        hint = "build it with `make build`, or install a wheel for this platform"
        raise GateError(f"the compiled part of tidegate is missing: {error}", hint=hint, slug="no-core") from None
    try:
        result: Json = json.loads(_core.simulate(spec, json.dumps(policy).encode(), progress))
    except _core.SpecError as error:
        message, _, hint = error.args
        raise UsageError(f"the storm cannot be played: {message}", hint=hint) from None
    return result
