"""A module of these tests, run where it may build networks: as root, in network and mount namespaces of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from peers import PLACES

__all__ = ["alone"]

_ALONE = ("unshare", "--net", "--mount")
_SECONDS = 55


def alone(module: str, *arguments: str) -> None:
    """Run a module as a program; skip the test where nobody may make namespaces."""
    if subprocess.run([*_ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    here = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "scripts")]
    environment = {"PYTHONPATH": os.pathsep.join(here), "PATH": f"{os.environ.get('PATH', '')}:{PLACES}"}
    command = [*_ALONE, sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=_SECONDS)
    assert ran.returncode == 0, ran.stderr
