"""The compiled module ``tidegate._core``, imported when it is first needed: the one place of the package that does."""

from __future__ import annotations

from typing import Any

from tidegate.errors import GateError

__all__ = ["load_core"]


def load_core() -> Any:
    """Return the compiled module; reading a configuration or printing help does not need it.

    Raises
    ------
    GateError
        When it was not built.
    """
    try:
        from tidegate import _core
    except ImportError as error:
        hint = "build it with `make build`, or install a wheel for this platform"
        raise GateError(f"the compiled part of tidegate is missing: {error}", hint=hint, slug="no-core") from None
    return _core
