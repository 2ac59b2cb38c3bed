"""A demo ends with what was promised and not kept."""

from __future__ import annotations

import pytest

from tidegate.cli.printer import Printer
from tidegate.cli.promises import kept


def test_what_was_not_kept_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert kept(Printer(), ["2 alerts were lost", "1 call failed"]) == 1
    assert capsys.readouterr().err == "not as promised: 2 alerts were lost\nnot as promised: 1 call failed\n"


def test_nothing_is_said_where_all_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert kept(Printer(), []) == 0
    assert capsys.readouterr().err == ""
