"""A gate in a process of its own, as ``tidegate gate run`` starts it, and the programs that stand behind it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tidegate.gate.admin import AdminClient

__all__ = ["RunningGate", "gate_process", "http_config"]


@dataclass
class RunningGate:
    """A gate that is ready."""

    process: subprocess.Popen[str]
    file: Path
    admin: AdminClient
    services: dict[str, str]
    log: Path

    @property
    def address(self) -> str:
        """Where its only service listens."""
        return next(iter(self.services.values()))

    def events(self) -> list[dict[str, Any]]:
        """Return its log so far; a line that is being written is not an event yet."""
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]


def http_config(folder: Path, server: str, *, limit: int = 4, mode: str = "enforce", more: str = "") -> str:
    """Return a file for a gate in front of one HTTP server; ``more`` goes into the table of the service."""
    return f"""\
[gate]
admin = "unix:{folder}/admin.sock"
seed = 1

[service.web]
listen = "127.0.0.1:0"
protocol = "http"
mode = "{mode}"
{more}

[service.web.server.a]
address = "{server}"
limit = "static:{limit}"
"""


@contextlib.contextmanager
def gate_process(text: str, folder: Path, env: dict[str, str] | None = None) -> Iterator[RunningGate]:
    """Run a gate with the file ``text``; end it if the test has not."""
    file, log = folder / "gate.toml", folder / "gate.log"
    file.write_text(text)
    command = [sys.executable, "-m", "tidegate", "gate", "run", str(file), "--output", "jsonl", "--until-eof"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | (env or {}),
        )
    try:
        line = _stream(process.stdout).readline()
        assert line, log.read_text()
        services = json.loads(line)["services"]
        yield RunningGate(process, file, AdminClient(folder / "admin.sock"), services, log)
    finally:
        _stream(process.stdin).close()
        process.wait()
        _stream(process.stdout).close()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
