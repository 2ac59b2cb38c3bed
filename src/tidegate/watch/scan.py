"""The compiled scanner, as the rest of ``tidegate.watch`` uses it: plans and results are dictionaries here."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from tidegate.compiled import load_core
from tidegate.errors import UsageError

__all__ = ["Json", "Scanner", "compiles", "finds"]

Json = dict[str, Any]

HEAD = 4096
"""How many bytes at the beginning of a text :func:`finds` looks at."""


class Scanner:
    """A plan that is ready to read with.

    Parameters
    ----------
    plan
        What to look for (:func:`tidegate.watch.plan.to_plan`).

    Raises
    ------
    UsageError
        When the plan cannot be used: a regex that does not compile, for one.
    GateError
        When the compiled part is missing.
    """

    def __init__(self, plan: Json) -> None:
        core = load_core()
        try:
            self._core = core.Scanner(json.dumps(plan).encode())
        except core.ScanError as error:
            message, hint = _words(error)
            raise UsageError(message, hint=hint, slug="scan") from None

    def scan(
        self,
        paths: Sequence[str],
        *,
        stdin: bool = False,
        threads: int = 2,
        progress: Callable[[int, int], None] | None = None,
    ) -> Json:
        """Read files, folders and archives, and standard input where asked for; return what was found.

        The GIL is free meanwhile. ``progress`` is told the bytes read and all bytes (0: not known); what it raises ends
        the run, and so does Ctrl-C.
        """
        core = load_core()
        try:
            result: Json = json.loads(self._core.scan(list(paths), stdin=stdin, threads=threads, progress=progress))
        except core.ScanError as error:
            message, hint = _words(error)
            raise UsageError(message, hint=hint, slug="scan") from None
        return result

    def scan_text(self, name: str, data: bytes, *, cut: int | None = None) -> Json:
        """Read ``data`` as if it were the file ``name``; with ``cut`` as if it came in two reads, split there."""
        result: Json = json.loads(self._core.scan_text(name, data, cut))
        return result


def compiles(pattern: str, *, fold: bool = False) -> tuple[str, str] | None:
    """Return what the engine says against ``pattern``, as a sentence and a hint; ``None`` when it takes it."""
    signature = {"id": "r/s", "literals": ["0123456789"], "fold": fold, "all": [pattern], "not": [], "programs": []}
    try:
        Scanner(_plan(signatures=[signature]))
    except UsageError as error:
        words = error.message.replace(' of the signature "r/s"', "").rstrip(".")
        return words[:1].lower() + words[1:], error.hint
    return None


def finds(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Tell whether ``pattern`` is found in the first :data:`HEAD` bytes of ``text`` as it stands there, header and all.

    It asks the engine, so the time is linear whatever the pattern is.
    """
    found = _finder(f"(?i:{pattern})" if fold else pattern).scan_text("text", text.encode())
    return bool(found["dumps"])


@functools.lru_cache(maxsize=256)
def _finder(pattern: str) -> Scanner:
    # The regex that says what kind of dump a text is, is the one that sees the text as it stands.
    return Scanner(_plan(dumps=[{"id": "text", "sniff": pattern}]))


def _plan(**parts: list[Json]) -> Json:
    empty: Json = {"format": 1, "now": 0, "signatures": [], "tallies": [], "marks": [], "dumps": []}
    return {**empty, "limits": {"hits": 1, "evidence": 1, "keys": 1}, **parts}


def _words(error: Exception) -> tuple[str, str]:
    message, hint = (*error.args, "", "")[:2]
    return str(message), str(hint)
