"""The talk with a running gate: what can be checked without one. `tests/storm/test_gate_process.py` has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import GateUnreachable
from tidegate.gate.admin import AdminClient


@pytest.mark.parametrize("written", ["/run/x.sock", "unix:/run/x.sock"])
def test_the_socket_may_be_written_as_in_the_file(written: str) -> None:
    assert AdminClient(Path(written)).path == Path("/run/x.sock")


def test_nobody_there_is_said_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(GateUnreachable, match=r"no gate answers at .*nobody\.sock"):
        AdminClient(tmp_path / "nobody.sock").status()
