"""What a command said and how it ended, as tests see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tidegate.cli.app import main

__all__ = ["Ran", "Run", "commanding"]


@dataclass(frozen=True)
class Ran:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


def commanding(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command in this process."""

    def once(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return once
