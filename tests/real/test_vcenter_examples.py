"""The two examples at vcsim: the same snapshots, with a login per machine and with one session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.clients.vcenter import shared_session
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import vim
from vcenter_front import Front, front
from vcenters import PASSWORD_ENV, vcsim

pytestmark = pytest.mark.peer("vcsim")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    counts = {"cluster": 1, "host": 1, "standalone_host": 0, "vm": 8}
    with vcsim(tmp_path / "vcsim", monkeypatch, **counts) as running, front(running) as one:
        yield one


def machines(watched: Front, cache: Path) -> dict[str, Any]:
    options = watched.options
    how = {"port": options.port, "password_env": PASSWORD_ENV, "ca": options.ca, "cache": cache}
    with shared_session("127.0.0.1", user="operator", **how) as content:  # type: ignore[arg-type]
        found = read_all(content, vim.VirtualMachine, ("name", "snapshot"), 100)
        return {seen["name"]: seen.get("snapshot") for _, seen in found}


def run(example: str, watched: Front, names: list[str], cache: Path, password: str | None = None) -> Any:
    secret = os.environ[PASSWORD_ENV] if password is None else password
    command = [sys.executable, str(EXAMPLES / example), "127.0.0.1", "operator", *names]
    command += ["--port", str(watched.options.port), "--ca", str(watched.options.ca)]
    environ = {**os.environ, "TIDEGATE_VCENTER_PASSWORD": secret, "XDG_CACHE_HOME": str(cache)}
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


@pytest.mark.parametrize(("example", "logins"), [("login-per-vm.py", 8), ("one-session.py", 1)])
def test_the_same_snapshots_with_as_many_logins(watched: Front, tmp_path: Path, example: str, logins: int) -> None:
    names = sorted(machines(watched, tmp_path / "ours"))
    before = watched.calls["Login"]
    ran = run(example, watched, names, tmp_path / "cache")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert watched.calls["Login"] - before == logins
    assert None not in machines(watched, tmp_path / "ours").values()
    assert len(names) == watched.calls["CreateSnapshot_Task"] == 8


def test_the_second_script_needs_no_login(watched: Front, tmp_path: Path) -> None:
    names = sorted(machines(watched, tmp_path / "ours"))[:2]
    before = watched.calls["Login"]
    for _ in range(2):
        assert run("one-session.py", watched, names, tmp_path / "cache").stdout == "2 snapshots, one session\n"
    assert watched.calls["Login"] - before == 1


def test_a_machine_that_is_not_there_is_told(watched: Front, tmp_path: Path) -> None:
    ran = run("one-session.py", watched, ["nowhere"], tmp_path / "cache")
    assert (ran.returncode, ran.stderr) == (1, "nowhere: there is no such machine\n")


def test_a_refused_login_is_a_sentence(watched: Front, tmp_path: Path) -> None:
    ran = run("one-session.py", watched, ["x"], tmp_path / "cache", "no")
    assert ran.returncode == 2
    assert ran.stderr.startswith("vCenter 127.0.0.1 refuses the login of operator\n")
