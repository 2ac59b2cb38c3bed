"""Finds and starts the simulator behind the lab's vCenter: our vcsim (``tests/vcsim``), built by ``scripts/vcsim``."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path

from tidegate.errors import LabError

__all__ = ["find_vcsim", "start_vcsim"]

_READY_S = 60.0
_HINT = "in a checkout `scripts/vcsim` builds it (Go 1.25 or newer); or put it on PATH"


def find_vcsim() -> Path:
    """Return where vcsim is: built in this checkout, or on PATH.

    Raises
    ------
    LabError
        When it is nowhere.
    """
    built = Path(__file__).resolve().parents[3] / "target" / "vcsim" / "vcsim"
    if built.is_file():
        return built
    if on_path := shutil.which("vcsim"):
        return Path(on_path)
    raise LabError("the program vcsim is missing", hint=_HINT)


async def start_vcsim(program: Path, users: str, password: str, counts: Mapping[str, int]) -> tuple[Process, int]:
    """Start it in plain HTTP on a free loopback port; return the process and the port. It ends with this process.

    Parameters
    ----------
    program
        Where it is.
    users, password
        Who may log in: names with commas between them.
    counts
        What is in its inventory, by its own flags (``cluster``, ``host``, ``standalone-host``, ``vm``, ``ds``).

    Raises
    ------
    LabError
        When it does not start, or is another program of that name.
    """
    command = ["-until-eof", "-username", users]
    for name, count in counts.items():
        command += [f"-{name}", str(count)]
    environment = {**os.environ, "VCSIM_PASSWORD": password}
    try:
        process = await asyncio.create_subprocess_exec(program, *command, stdin=PIPE, stdout=PIPE, env=environment)
    except OSError as error:
        raise LabError(f"vcsim cannot be started: {error.strerror}", hint=_HINT) from None
    assert process.stdout is not None  # noqa: S101 (it was asked for)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_S)
        return process, int(json.loads(line)["ready"].rpartition(":")[2])
    except (ValueError, KeyError, TypeError, TimeoutError):
        if process.returncode is None:
            process.kill()
        raise LabError("that vcsim is not the one that the lab needs", hint=_HINT) from None
