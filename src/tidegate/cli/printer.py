"""What goes where: data to stdout, words and progress to stderr.

Rich leaves colours out when the stream is no terminal or ``NO_COLOR`` is set.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console, RenderableType

from tidegate.errors import ConfigError, TidegateError
from tidegate.harmless import harmless

__all__ = ["Follow", "Output", "Printer"]

Output = Annotated[Literal["text", "json"], Parameter(name="--output", help="For people, or as one JSON object.")]
"""``--output`` of a command that reports once."""

Follow = Annotated[
    Literal["text", "json", "jsonl"], Parameter(name="--output", help="For people, one JSON object, or one per line.")
]
"""``--output`` of a command that may follow something."""

_WIDTH = 120
"""Columns when the stream is no terminal: wide enough for every table, so that pipes get whole lines."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to ``app.py``: rich would end the process with exit code 1."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH
    return _Console(file=stream, highlight=False, width=width, soft_wrap=width is not None)


class Printer:
    """Prints one command's data in the form that was asked for."""

    def __init__(self, output: Literal["text", "json", "jsonl"] = "text") -> None:
        self.output = output
        self.console = _console(stderr=False)
        self.errors = _console(stderr=True)

    @property
    def is_text(self) -> bool:
        """Whether people read it."""
        return self.output == "text"

    def data(self, value: dict[str, Any]) -> None:
        """Print ``value`` as JSON, on one line for ``jsonl``; nothing when people read."""
        if self.output == "json":
            print(json.dumps(value, indent=2), flush=True)
        elif self.output == "jsonl":
            print(json.dumps(value), flush=True)

    def text(self, what: RenderableType) -> None:
        """Print ``what`` to stdout when people read; nothing otherwise."""
        if self.is_text:
            self.console.print(what, markup=False)

    def words(self, sentence: str) -> None:
        """Print a sentence to stderr, which may quote what is in a file."""
        self.errors.print(harmless(sentence), markup=False)

    def error(self, error: TidegateError) -> None:
        """Print an error to stderr: the sentence, then the hint; for a file every problem in it."""
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self.words(str(problem))
                self._hint(problem.hint)
        self.errors.print(harmless(f"error: {error.message}"), markup=False, style="red")
        self._hint(error.hint)

    def _hint(self, hint: str) -> None:
        if hint:
            self.errors.print(harmless(f"  hint: {hint}"), markup=False, style="cyan")
