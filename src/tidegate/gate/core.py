"""The compiled module, imported when it is first needed, and its errors in the tree of ``tidegate.errors``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tidegate.errors import GateError

__all__ = ["load_core", "translated"]


def load_core() -> Any:
    """Import the compiled module late: reading a configuration does not need it.

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


@contextmanager
def translated() -> Iterator[None]:
    """Turn Rust's error into the one of ``tidegate.errors``."""
    core = load_core()
    try:
        yield
    except core.GateError as error:
        slug, message, hint = error.args
        raise GateError(message, hint=hint, slug=slug) from None
