"""``tidegate demo fleet``: controllers in processes of their own, killed at random, and hosts that keep count.

And its world by itself: hosts in a process that reconnect by sockets to the lab's provider when their file says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.fleet.journal_sqlite import SqliteJournal
from tidegate.fleet.runner import plan_run
from tidegate.fleet.state import Run, fold
from tidegate.fleet.summary import summary
from tidegate.lab import fleet_controller, vasa_host
from tidegate.lab.fleet import JOURNAL, FleetWorld, LabProbe, LabWork
from tidegate.lab.fleet_calls import Calls, Reconnect
from tidegate.lab.fleet_hosts import Misbehaviour
from tidegate.lab.fleet_play import FleetDemo, begin_fleet
from tidegate.lab.vasa_host import CallFailed, VasaLine
from tidegate.lab.world import World, lab_binary

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
    assert value["provider_sessions"] == 40
    assert 0 < value["provider_p95_ms_max"] < value["storm_p95_ms"]


@pytest.mark.parametrize("variant", ["stop-all", "rolling"])
def test_controllers_are_killed_at_random(variant: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    value = demo("--hosts", "40", "--kill-at", "random", "--variant", variant, "--report", str(page))
    assert value["kills"] >= 1
    assert (value["restarted"], value["restarted_twice"], value["status"]) == (40, 0, "finished")
    assert value["provider_sessions"] == 40
    assert "esx0040.lab" in page.read_text()


class Fleet:
    """A world that runs."""

    def __init__(
        self, processes: World, count: int, misbehaving: dict[int, Misbehaviour] | None = None, unit_s: float = 0.06
    ) -> None:
        self.world, self.processes = FleetWorld(processes.folder, "rolling", 500.0, unit_s=unit_s), processes
        self.inventory = self.world.make(count, misbehaving)
        self.provider, self.calls = begin_fleet(processes, self.world), Calls(processes.folder)

    def start(self, number: int) -> None:
        hosts = self.world.hosts
        hosts.write(hosts.read(self.inventory[number].name).stopped().started(time.time()))

    def stop(self, number: int) -> None:
        hosts = self.world.hosts
        hosts.write(hosts.read(self.inventory[number].name).stopped())

    def wait(self, number: int, start: int, condition: Callable[[Reconnect], bool]) -> Reconnect:
        """Wait until something is so of a host's newest attempt; the test's own timeout bounds it."""
        while (last := self.calls.last(self.inventory[number].name, start)) is None or not condition(last):
            for who, message in self.processes.hear(0.01):
                assert message["kind"] != "ended", who
        return last

    def control(self) -> Run:
        """Let a controller work in this process; return what became of the run."""
        journal = SqliteJournal(self.world.folder / JOURNAL)
        work = LabWork(self.world, self.calls)
        journal.plan("demo", asyncio.run(plan_run(work, self.inventory, self.world.policy, at=1.0)))
        assert fleet_controller.main([str(self.world.folder), "demo"]) == 0
        events = [event for _, event in journal.events("demo")]
        journal.close()
        return fold(events)

    def counted(self) -> Any:
        """End the provider and return its own counts."""
        self.provider.say({"cmd": "stop"})
        return next(message for who, message in self.processes.hear(10) if message["kind"] == "final")


def test_a_host_reconnects_when_it_is_started() -> None:
    with World() as processes:
        fleet = Fleet(processes, 3, {1: "never"})
        for number in range(3):
            fleet.start(number)
        for number in (0, 2):
            one = fleet.wait(number, 1, lambda last: last.connected)
            assert one.answered is not None
            assert one.answered > one.came
        fleet.stop(0)
        assert fleet.wait(0, 1, lambda last: not last.connected).why == "its service was stopped"
        fleet.start(0)
        fleet.wait(0, 2, lambda last: last.connected)
        assert fleet.calls.last(fleet.inventory[1].name, 1) is None
        assert len(fleet.calls.read()) == 3
        final = fleet.counted()
        assert (final["sessions_made"], final["connections"]) == (3, 3)


def test_a_host_begins_anew_when_its_provider_has_fallen() -> None:
    with World() as processes:
        fleet = Fleet(processes, 1)
        fleet.start(0)
        first = fleet.wait(0, 1, lambda last: last.connected)
        fleet.provider.say({"cmd": "restart", "down_s": 0.2})
        fleet.wait(0, 1, lambda last: last.connected and last.came > first.came)
        assert first.why.startswith("cut")
        assert fleet.counted()["sessions_made"] == 2


def test_the_guards_figure_is_what_the_hosts_have_measured() -> None:
    with World() as processes:
        fleet = Fleet(processes, 16)
        for number in range(16):
            fleet.start(number)
        times = []
        for number in range(16):
            one = fleet.wait(number, 1, lambda last: last.connected)
            times.append((one.answered or 0.0) - one.came)
        at = max(one.answered or 0.0 for one in fleet.calls.read())
        assert asyncio.run(LabProbe(fleet.calls, lambda: at).sample()) == pytest.approx(sorted(times)[15])


def said(capfd: pytest.CaptureFixture[str], address: str) -> tuple[int, str]:
    code = vasa_host.main([address, "1"])
    return code, capfd.readouterr().out.strip()


def test_one_reconnect_says_what_really_happened(capfd: pytest.CaptureFixture[str]) -> None:
    def provider(processes: World, name: str, **spec: object) -> tuple[Any, str]:
        child, ready = processes.start(name, [lab_binary(), "provider", json.dumps({"unit_s": 0.01, **spec})])
        return child, ready["address"]

    with World() as processes:
        child, fine = provider(processes, "fine")
        code, words = said(capfd, fine)
        assert (code, words.split()[0], words.split()[1].isdecimal()) == (0, "connected", True)

        _, shut = provider(processes, "shut", start_down=True)
        code, words = said(capfd, shut)
        assert (code, words.split()[0]) == (1, "refused")

        _, falls = provider(processes, "falls", crash_at=1)
        code, words = said(capfd, falls)
        assert (code, words.split()[0]) == (1, "cut")

        _, other = provider(processes, "other", protocol="http")
        code, words = said(capfd, other)
        assert (code, words.split()[0]) == (1, "fault")

        child.say({"cmd": "expire"})
        with pytest.raises(CallFailed, match="fault: getEvents: No valid VASA SessionId"):
            asyncio.run(poll_without_session(fine))


async def poll_without_session(address: str) -> None:
    line = await VasaLine.open(address, 1)
    try:
        await line.poll()
    finally:
        line.close()


def test_what_a_controller_says(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert FleetDemo().kill is False
    monkeypatch.setattr(fleet_controller, "die_with_parent", lambda: None)
    with World() as processes:
        fleet = Fleet(processes, 3)
        assert fleet.control().ended == "finished"
        assert [json.loads(line)["kind"] for line in capfd.readouterr().out.splitlines()] == ["ready", "left"]
        assert fleet.counted()["sessions_made"] == 3


def test_a_provider_that_is_slow_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_controller, "die_with_parent", lambda: None)
    with World() as processes:
        fleet = Fleet(processes, 12, unit_s=1.0)
        run = fleet.control()
        figures = summary("demo", run)
        assert not run.ended
        assert (figures["guard_stops"], figures["batches"]) == (1, 1)
        # The first batch asked for its sessions, and nobody else did.
        starts = [host.starts for host in fleet.world.hosts.all()]
        assert 0 < len(fleet.calls.read()) == sum(starts) <= 5
