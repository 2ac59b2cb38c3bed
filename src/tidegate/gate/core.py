"""The errors of the compiled gate in the tree of ``tidegate.errors``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidegate.compiled import load_core
from tidegate.errors import GateError

__all__ = ["translated"]


@contextmanager
def translated() -> Iterator[None]:
    """Turn Rust's error into the one of ``tidegate.errors``."""
    core = load_core()
    try:
        yield
    except core.GateError as error:
        slug, message, hint = error.args
        raise GateError(message, hint=hint, slug=slug) from None
