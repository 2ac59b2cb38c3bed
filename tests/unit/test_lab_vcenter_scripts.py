"""Scripts that meet nobody: they try to log in as often as they do, end, and say what came of it."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path

import pytest

from fakes import Authority
from tidegate.lab import vcenter_scripts
from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Calls
from tidegate.lab.vcenter_habits import ScriptsSpec
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
