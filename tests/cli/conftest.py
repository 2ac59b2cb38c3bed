"""How tests run a command: in this process, with its output and exit code."""

from __future__ import annotations

import pytest

from commands import Run, commanding


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("TIDEGATE_ADMIN", raising=False)
    return commanding(capsys)
