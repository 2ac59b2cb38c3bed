"""The gate does not need Python: while a thread of its process holds the GIL, it gates, and answers for itself."""

import json
import select
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from gates import http_config
from tidegate.gate.admin import AdminClient
from tidegate.lab.world import World, lab_binary

pytestmark = [pytest.mark.storm, pytest.mark.timeout(90)]

HOLDS_THE_GIL = """
import ctypes, json, sys
from pathlib import Path
from tidegate.config.load import load_config
from tidegate.gate.service import Gate

with Gate(load_config(Path(sys.argv[1]))) as gate:
    print(json.dumps(gate.addresses()), flush=True)
    sys.stdin.readline()
    print("asleep", flush=True)
    ctypes.PyDLL(None).sleep(5)  # PyDLL, unlike CDLL, keeps the GIL: no Python code of this process runs now
    print("awake", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def lines(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def test_it_gates_and_answers_for_itself_while_python_is_stuck(tmp_path: Path, world: World) -> None:
    lab = lab_binary()
    _, origin = world.start("origin", [lab, "origin", json.dumps({"listen": "127.0.0.1:0", "body_bytes": 128})])
    file = tmp_path / "gate.toml"
    file.write_text(http_config(tmp_path, origin["address"], limit=8))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_GIL, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        to, said = lines(process)
        address = json.loads(said.readline())["web"]
        spec = {"target": address, "mode": "rate", "connections": 20, "rate": 200, "duration_s": 2, "timeout_s": 10}
        load, _ = world.start("load", [lab, "load", json.dumps(spec)])
        to.write("sleep\n")
        to.flush()
        assert said.readline() == "asleep\n"
        load.say({"cmd": "go"})
        seen = one_round(AdminClient(tmp_path / "admin.sock"), address)
        final = next(message for _, message in world.hear(60) if message["kind"] == "final")
        # Had Python been needed for any of this, it would have come after "awake".
        asleep_still = not select.select([said], [], [], 0)[0]
        assert said.readline() == "awake\n"
        to.write("end\n")
    assert seen == {"livez": 200, "readyz": 200, "metrics": 200, "call": 200}
    assert final["answered"] == final["offered"]
    assert set(final["statuses"]) == {"200"}
    assert asleep_still


def one_round(admin: AdminClient, address: str) -> dict[str, Any]:
    """Ask everything once."""
    seen: dict[str, Any] = {path: admin.get(f"/{path}")[0] for path in ("livez", "readyz", "metrics")}
    with urllib.request.urlopen(f"http://{address}/", timeout=30) as answer:
        seen["call"] = answer.status
    return seen
