"""Whole runs at hosts behind OpenSSH's sshd whose vvold reconnects to the lab's provider, on sockets.

A controller that is killed, a host that never reconnects, a provider that refuses, falls, or comes up late. What
happened is counted by the hosts and by the provider, not by the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sshd import SshSite, site
from tidegate.lab.world import Child, World, lab_binary

pytestmark = [pytest.mark.peer("sshd"), pytest.mark.timeout(180)]


@pytest.fixture
def six(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path / "site", 6) as made:
        yield made


class Provider:
    """The lab's provider as a process: what the hosts of a site reconnect to."""

    def __init__(self, processes: World, made: SshSite, **spec: Any) -> None:
        self._processes = processes
        command: list[str | Path] = [
            lab_binary(),
            "provider",
            json.dumps({"speed": 1.0, "knee": 8, "unit_s": 0.2, **spec}),
        ]
        self.child: Child
        self.child, ready = processes.start("provider", command)
        for number, host in enumerate(made.hosts):
            host.register(ready["address"], number)

    def counted(self) -> Any:
        """End it and return its own counts."""
        self.child.say({"cmd": "stop"})
        return next(message for _, message in self._processes.hear(10) if message["kind"] == "final")


@pytest.fixture
def processes() -> Iterator[World]:
    with World() as processes:
        yield processes


def write_plan(folder: Path, made: SshSite, *, deadline: str = "60s", size: int = 2) -> Path:
    options = made.options()
    inventory = "".join(
        f'[[host]]\nname = "{host.folder.name}"\naddress = "{host.address}"\ncluster = "c{number % 2}"\n'
        for number, host in enumerate(made.hosts)
    )
    (folder / "hosts.toml").write_text(inventory)
    file = folder / "plan.toml"
    file.write_text(
        f"""
[run]
plan = "vvold-phased-restart"
[targets]
inventory = "hosts.toml"
[batch]
size = {size}
grow_to = {size}
pause = "1ms"
[verify]
quiet = "0s"
deadline = "{deadline}"
[ssh]
user = "{options.user}"
known_hosts = "{options.known_hosts}"
identity = "{options.identity}"
"""
    )
    return file


def fleet(folder: Path, *arguments: object) -> list[str]:
    state = ["--state", str(folder / "fleet.db")]
    return [sys.executable, "-m", "tidegate", "fleet", *map(str, arguments), *state]


def ended(command: list[str]) -> tuple[int, Any, str]:
    ran = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, json.loads(ran.stdout) if ran.stdout.strip() else None, ran.stderr


def reached(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> bool:
    """Wait until something is so on the hosts, or the controller has ended."""
    while process.poll() is None:
        if condition():
            return True
        time.sleep(0.001)
    return False


def test_the_provider_sees_each_host_once_and_a_batch_at_a_time(six: SshSite, tmp_path: Path, processes: World) -> None:
    provider = Provider(processes, six)
    code, said, words = ended(fleet(tmp_path, "restart", write_plan(tmp_path, six), "--approve"))
    assert code == 0, words
    assert (said["verified"], said["max_batch"]) == (6, 2)
    counted = provider.counted()
    # One setContext and one poll of each host, in a connection of its own.
    assert (counted["sessions_made"], counted["requests"], counted["connections"]) == (6, 12, 6)
    assert counted["max_in_flight"] <= 2
    assert [host.reconnects for host in six.hosts] == [["connected"]] * 6
    assert len({session for host in six.hosts for session in host.sessions}) == 6
    assert [host.restarts for host in six.hosts] == [1] * 6


def test_a_provider_that_refuses_leaves_nobody_verified(six: SshSite, tmp_path: Path, processes: World) -> None:
    provider = Provider(processes, six, start_down=True)
    code, said, words = ended(fleet(tmp_path, "restart", write_plan(tmp_path, six, deadline="2s", size=6), "--approve"))
    assert code == 1, words
    assert (said["verified"], said["failed"]) == (0, 6)
    assert json.dumps(said).count("has not reconnected to vp-a; last failure of vp-a: TransportError") >= 6
    assert {word for host in six.hosts for word in host.reconnects} == {"refused"}
    assert all(host.runs for host in six.hosts)
    assert provider.counted()["requests"] == 0


def test_hosts_wait_for_a_provider_that_comes_up_late(six: SshSite, tmp_path: Path, processes: World) -> None:
    provider = Provider(processes, six, start_down=True)
    command = fleet(tmp_path, "restart", write_plan(tmp_path, six, deadline="8s"), "--approve")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert reached(lambda: any(host.reconnects for host in six.hosts), process)
        provider.child.say({"cmd": "go"})
    assert process.returncode == 0
    assert provider.counted()["sessions_made"] == 6
    assert all(host.reconnects[-1] == "connected" for host in six.hosts)
    assert [host.restarts for host in six.hosts] == [1] * 6


def test_a_host_that_is_cut_off_is_fine_when_it_has_come_through(
    six: SshSite, tmp_path: Path, processes: World
) -> None:
    # One call at a time: whoever comes meanwhile is cut off, as by a provider that has more than it can take.
    # Of those who try together one gets through at least, so each has after three attempts.
    provider = Provider(processes, six, threads=1, backlog=0)
    plan = write_plan(tmp_path, six, deadline="16s", size=3)
    code, said, words = ended(fleet(tmp_path, "restart", plan, "--approve"))
    assert code == 0, words
    assert said["verified"] == 6
    counted = provider.counted()
    tries = [word for host in six.hosts for word in host.reconnects]
    assert (counted["refused"] > 0) == ("cut" in tries)
    assert set(tries) <= {"connected", "cut"}
    assert tries.count("connected") == 6
    assert counted["max_in_flight"] == 1


def test_a_run_that_is_killed_again_and_again_restarts_every_host_once(
    six: SshSite, tmp_path: Path, processes: World
) -> None:
    provider, plan = Provider(processes, six), write_plan(tmp_path, six)

    def stopped() -> int:
        return sum(host.read("stops").count("stop") for host in six.hosts)

    def started() -> int:
        return sum(host.restarts for host in six.hosts)

    kills = 0
    command = fleet(tmp_path, "restart", plan, "--approve")
    moments: list[Callable[[], bool]] = [
        lambda: stopped() >= 1,
        lambda: started() >= 1,
        lambda: started() >= 3,
    ]
    for moment in moments:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            if reached(moment, process):
                process.kill()
                kills += 1
        _, runs, _ = ended(fleet(tmp_path, "status"))
        command = fleet(tmp_path, "resume", runs["runs"][0]["run"])
    code, said, words = ended(command)
    assert code == 0, words
    assert kills >= 1
    assert said["status"] == "finished"
    # The hosts count, not the journal.
    assert [host.restarts for host in six.hosts] == [1] * 6
    assert [host.read("stops").split() for host in six.hosts] == [["stop"]] * 6
    assert all(host.runs for host in six.hosts)
    assert [host.reconnects for host in six.hosts] == [["connected"]] * 6
    assert provider.counted()["sessions_made"] == 6


def test_a_host_that_never_reconnects_is_failed_and_the_others_are_not(
    six: SshSite, tmp_path: Path, processes: World
) -> None:
    provider = Provider(processes, six)
    plan = write_plan(tmp_path, six, deadline="2s", size=6)
    six.hosts[2].write("mode", "never")
    code, said, words = ended(fleet(tmp_path, "restart", plan, "--approve"))
    assert code == 1, words
    assert (said["verified"], said["failed"]) == (5, 1)
    (failed,) = [one for one in said["by_host"] if one["state"] == "failed"]
    assert failed["host"] == "esx-02"
    assert "has not reconnected to vp-a" in json.dumps(failed)
    assert all(host.runs for host in six.hosts)
    assert [len(host.sessions) for host in six.hosts] == [1, 1, 0, 1, 1, 1]
    assert provider.counted()["sessions_made"] == 5


def test_a_host_that_is_off_is_failed_with_a_sentence(six: SshSite, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, six)
    six.hosts[4].__exit__(None, None, None)
    try:
        code, said, words = ended(fleet(tmp_path, "restart", plan, "--approve"))
    finally:
        six.hosts[4].__enter__()
    assert code in {1, 4}, words
    assert "cannot be reached by SSH" in json.dumps(said)
    assert [host.restarts for host in six.hosts] == [1, 1, 1, 1, 0, 1]
