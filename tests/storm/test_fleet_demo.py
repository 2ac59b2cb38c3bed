"""``tidegate demo fleet``: controllers in processes of their own, killed at random, and hosts that keep count."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidegate.fleet.journal_sqlite import SqliteJournal
from tidegate.fleet.runner import plan_run
from tidegate.lab import fleet_controller
from tidegate.lab.fleet import JOURNAL, FleetWorld, LabWork
from tidegate.lab.fleet_play import FleetDemo

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]


def demo(*arguments: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "tidegate", "demo", "fleet", *arguments, "--output", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_forty_hosts() -> None:
    value = demo("--hosts", "40")
    assert (value["hosts"], value["restarted"], value["restarted_twice"], value["kills"]) == (40, 40, 0, 0)
    assert (value["batches"], value["max_batch"], value["guard_stops"]) == (5, 10, 0)
    assert 0 < value["provider_p95_ms_max"] < value["storm_p95_ms"]


@pytest.mark.parametrize("variant", ["stop-all", "rolling"])
def test_controllers_are_killed_at_random(variant: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    value = demo("--hosts", "40", "--kill-at", "random", "--variant", variant, "--report", str(page))
    assert value["kills"] >= 1
    assert (value["restarted"], value["restarted_twice"], value["status"]) == (40, 0, "finished")
    assert "esx0040.lab" in page.read_text()


def test_what_a_controller_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert FleetDemo().kill is False
    world = FleetWorld(tmp_path, "rolling", 500.0)
    hosts = world.make(3)
    journal = SqliteJournal(tmp_path / JOURNAL)
    journal.plan("demo", asyncio.run(plan_run(LabWork(world), hosts, world.policy, at=1.0)))
    monkeypatch.setattr(fleet_controller, "_die_with_parent", lambda: None)
    assert fleet_controller.main([str(tmp_path), "demo"]) == 0
    assert [json.loads(line)["kind"] for line in capfd.readouterr().out.splitlines()] == ["ready", "left"]
    assert [row.ended for row in journal.runs()] == ["finished"]
    journal.close()
