"""``tidegate demo vcenter`` with real processes: few sessions through the gate, and nothing fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.lab.vcenter_play import VcenterMoment, play_scripts
from tidegate.lab.vcenter_scenario import VcenterScenario

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120), pytest.mark.peer("vcsim")]


def test_straight_at_the_vcenter_every_script_has_a_session() -> None:
    moments: list[VcenterMoment] = []
    result = play_scripts(VcenterScenario(scripts=20, pyvmomi=3), gate=False, watch=moments.append)
    numbers = result.numbers()
    # 18 scripts log in once (three of them by pyVmomi), two for each of their 20 machines; seven
    # forget their sessions, one of them all 20.
    assert numbers["upstream_logins"] == 18 + 2 * 20
    assert result.counts["sessions"] == 6 + 20
    assert (numbers["scripts_done"], numbers["failed_calls"], numbers["not_authenticated"]) == (20, 0, 0)
    assert numbers["calls"] == result.counts["calls"]
    assert [sample.t for sample in result.samples] == sorted(sample.t for sample in result.samples)


def test_the_demo_keeps_its_promise(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    command = [sys.executable, "-m", "tidegate", "demo", "vcenter", "--output", "json", "--report", str(report)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stderr
    value = json.loads(ran.stdout)
    assert value["with_gate"]["peak_sessions"] <= 16
    assert value["with_gate"]["failed_calls"] == value["with_gate"]["expired_in_queue"] == 0
    assert value["without_gate"]["failed_calls"] > 0
    assert report.read_text().startswith("<!doctype html>")
