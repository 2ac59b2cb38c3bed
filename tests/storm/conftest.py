"""How tests run a command: in this process, with its output and exit code."""

from __future__ import annotations

import pytest

from commands import Ran, Run
from tidegate.cli.app import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("TIDEGATE_ADMIN", raising=False)

    def once(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return once
