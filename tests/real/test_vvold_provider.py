"""Whole runs at hosts behind OpenSSH's sshd whose vvold reconnects to the lab's provider, on sockets.

A provider that serves, refuses, cuts off, or comes up late, and a host that never reconnects. What happened is counted
by the hosts and by the provider, not by the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssh_runs import Fleet, Provider, reached, write_plan
from sshd import SshSite, site
from tidegate.lab.world import World

pytestmark = [pytest.mark.peer("sshd"), pytest.mark.timeout(180)]


@pytest.fixture
def six(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path / "site", 6) as made:
        yield made


@pytest.fixture
def processes() -> Iterator[World]:
    with World() as processes:
        yield processes


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(str(tmp_path / "fleet.db"))


def test_the_provider_sees_each_host_once_and_a_batch_at_a_time(
    six: SshSite, fleet: Fleet, tmp_path: Path, processes: World
) -> None:
    provider = Provider(processes, six)
    code, said, words = fleet.ended("restart", write_plan(tmp_path, six), "--approve")
    assert code == 0, words
    assert (said["verified"], said["max_batch"]) == (6, 2)
    counted = provider.counted()
    # One setContext and one poll of each host, in a connection of its own.
    assert (counted["sessions_made"], counted["requests"], counted["connections"]) == (6, 12, 6)
    assert counted["max_in_flight"] <= 2
    assert [host.reconnects for host in six.hosts] == [["connected"]] * 6
    assert len({session for host in six.hosts for session in host.sessions}) == 6
    assert [host.restarts for host in six.hosts] == [1] * 6


def test_a_provider_that_refuses_leaves_nobody_verified(
    six: SshSite, fleet: Fleet, tmp_path: Path, processes: World
) -> None:
    provider = Provider(processes, six, start_down=True)
    code, said, words = fleet.ended("restart", write_plan(tmp_path, six, deadline="2s", size=6), "--approve")
    assert code == 1, words
    assert (said["verified"], said["failed"]) == (0, 6)
    assert json.dumps(said).count("has not reconnected to vp-a; last failure of vp-a: TransportError") >= 6
    assert {word for host in six.hosts for word in host.reconnects} == {"refused"}
    assert all(host.runs for host in six.hosts)
    assert provider.counted()["requests"] == 0


def test_hosts_wait_for_a_provider_that_comes_up_late(
    six: SshSite, fleet: Fleet, tmp_path: Path, processes: World
) -> None:
    provider = Provider(processes, six, start_down=True)
    with fleet.begun("restart", write_plan(tmp_path, six, deadline="8s"), "--approve") as process:
        assert reached(lambda: any(host.reconnects for host in six.hosts), lambda: process.poll() is None)
        provider.child.say({"cmd": "go"})
    assert process.returncode == 0
    assert provider.counted()["sessions_made"] == 6
    assert all(host.reconnects[-1] == "connected" for host in six.hosts)
    assert [host.restarts for host in six.hosts] == [1] * 6


def test_a_host_that_is_cut_off_is_fine_when_it_has_come_through(
    six: SshSite, fleet: Fleet, tmp_path: Path, processes: World
) -> None:
    # One call at a time: whoever comes meanwhile is cut off, as by a provider that has more than it can take.
    # Of those who try together one gets through at least, so each has after three attempts.
    provider = Provider(processes, six, threads=1, backlog=0)
    plan = write_plan(tmp_path, six, deadline="16s", size=3)
    code, said, words = fleet.ended("restart", plan, "--approve")
    assert code == 0, words
    assert said["verified"] == 6
    counted = provider.counted()
    tries = [word for host in six.hosts for word in host.reconnects]
    assert (counted["refused"] > 0) == ("cut" in tries)
    assert set(tries) <= {"connected", "cut"}
    assert tries.count("connected") == 6
    assert counted["max_in_flight"] == 1


def test_a_host_that_never_reconnects_is_failed_and_the_others_are_not(
    six: SshSite, fleet: Fleet, tmp_path: Path, processes: World
) -> None:
    provider = Provider(processes, six)
    plan = write_plan(tmp_path, six, deadline="2s", size=6)
    six.hosts[2].write("mode", "never")
    code, said, words = fleet.ended("restart", plan, "--approve")
    assert code == 1, words
    assert (said["verified"], said["failed"]) == (5, 1)
    (failed,) = [one for one in said["by_host"] if one["state"] == "failed"]
    assert failed["host"] == "esx-02"
    assert "has not reconnected to vp-a" in json.dumps(failed)
    assert all(host.runs for host in six.hosts)
    assert [len(host.sessions) for host in six.hosts] == [1, 1, 0, 1, 1, 1]
    assert provider.counted()["sessions_made"] == 5
