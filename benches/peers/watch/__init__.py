"""The peers of `bench-watch`: each takes the same file of events and says what it alerted and what it cost."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benches.peers import PROXY_CPU
from benches.process import BenchError
from benches.record import ROOT
from benches.watch_events import BenchRule

HERE = Path(__file__).parent
PEERS = ("tidegate", "elastalert2")
LOCKED = HERE / "elastalert2.txt"
_VENV = ROOT / "target" / "bench-watch"
_LIMIT_S = 600


@dataclass(frozen=True)
class Fed:
    """What a peer said of one run."""

    events: int
    windows: int
    alerts: dict[str, int]
    cost: float
    """CPU seconds (speed), or bytes (memory)."""


def feed(peer: str, mode: str, rule: BenchRule, events: Path) -> Fed:
    """Let a peer take all events, on one CPU.

    Parameters
    ----------
    mode
        ``speed`` or ``memory``.

    Raises
    ------
    BenchError
        It failed, or took more than ten minutes.
    """
    program = {
        "tidegate": [sys.executable, str(HERE / "ours.py")],
        "elastalert2": [str(_python()), str(HERE / "elastalert2_rules.py")],
    }[peer]
    words = [str(events), mode, rule.kind, str(rule.over_s), str(rule.threshold)]
    command = ["taskset", "--cpu-list", str(PROXY_CPU), *program, *words]
    try:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{peer} took more than {_LIMIT_S} s") from None
    if ran.returncode:
        raise BenchError(f"{peer} failed: {ran.stderr.strip()[-400:]}")
    said = json.loads(ran.stdout)
    return Fed(**said)


def versions() -> dict[str, str]:
    """Return the versions of what takes part."""
    pins = [line for line in LOCKED.read_text().splitlines() if line.startswith("elastalert2==")]
    return {"elastalert2": pins[0].split("==")[1].split(" ")[0], "python": sys.version.split()[0]}


def _python() -> Path:
    """Return ElastAlert2's Python; its environment is made where it is missing, or was made of other pins.

    Raises
    ------
    BenchError
        It cannot be installed.
    """
    python, mark = _VENV / "bin" / "python", _VENV / "made-of"
    pins = hashlib.sha256(LOCKED.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == pins:
        return python
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(LOCKED)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(_VENV)], [str(python), *install]):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise BenchError(f"ElastAlert2 cannot be installed: {ran.stderr.strip()[-400:]}")
    mark.write_text(pins)
    return python
