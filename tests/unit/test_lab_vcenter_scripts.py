"""Scripts that meet nobody: they try to log in as often as they do, end, and say what came of it."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path

import pytest

from fakes import Authority
from tidegate.errors import LabError
from tidegate.lab import vcenter_scripts
from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Calls
from tidegate.lab.vcenter_habits import ScriptsSpec
from tidegate.lab.vcenter_play import vcsim_program
from tidegate.lab.vcenter_pyvmomi import work_through
from tidegate.lab.vcenter_scripts import Scripts


@pytest.fixture
def nobody(tmp_path: Path) -> ScriptsSpec:
    ca = str(Authority(tmp_path).ca)
    return ScriptsSpec("127.0.0.1", 1, "vc.lab", ca, "me", "secret", scripts=3, spread_s=0.0, pause_s=0.001, pyvmomi=1)


def test_a_login_is_tried_three_times(nobody: ScriptsSpec) -> None:
    scripts = Scripts(nobody)
    asyncio.run(scripts.play())
    final = scripts.final()
    assert (final["broken"], final["done"], final["unfinished"], final["running"]) == (3, 0, 0, 0)
    assert final["why"] == {"refused": 2 * 3, "cut": 1}
    assert (final["calls"], final["failed_calls"], final["durations_ms"]) == (7, 7, [])


def test_the_process_says_ready_then_waits_then_says_all(
    nobody: ScriptsSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vcenter_scripts, "die_with_parent", lambda: None)
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({name: getattr(nobody, name) for name in ScriptsSpec.__slots__}))
    monkeypatch.setattr("sys.stdin", io.StringIO('{"cmd": "go"}\n'))
    assert vcenter_scripts.main([f"@{file}"]) == 0
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert (kinds[0], kinds[-1], set(kinds[1:-1])) == ("ready", "final", {"sample"})
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert vcenter_scripts.main([f"@{file}"]) == 1


def test_pyvmomi_in_time_and_too_late(nobody: ScriptsSpec) -> None:
    calls = Calls()
    with pytest.raises(CallFailed, match="cut"):
        work_through(nobody, 0, calls, time.monotonic() + 60)
    assert (calls.made, calls.why) == (1, {"cut": 1})
    with pytest.raises(TimeoutError):
        work_through(nobody, 0, calls, 0.0)
    assert calls.made == 1


def test_without_the_simulator_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tidegate.lab.vcenter_play.__file__", str(tmp_path / "a" / "b" / "c" / "play.py"))
    monkeypatch.setattr("tidegate.lab.vcenter_front_vcsim.__file__", str(tmp_path / "a" / "b" / "c" / "vcsim.py"))
    with pytest.raises(LabError, match="vcsim is missing") as missing:
        vcsim_program()
    assert "scripts/vcsim" in missing.value.hint
    (tmp_path / "vcsim").write_text("#!/bin/true\n")
    (tmp_path / "vcsim").chmod(0o755)
    assert vcsim_program() == tmp_path / "vcsim"
    script = tmp_path / "scripts" / "vcsim"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho built\n")
    script.chmod(0o755)
    assert vcsim_program() == Path("built")
