"""Whole runs at hosts behind OpenSSH's sshd: a controller that is killed, and a host that never reconnects."""

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

pytestmark = [pytest.mark.peer("sshd"), pytest.mark.timeout(180)]


@pytest.fixture
def six(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path / "site", 6) as made:
        yield made


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


def test_a_run_that_is_killed_again_and_again_restarts_every_host_once(six: SshSite, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, six)

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


def test_a_host_that_never_reconnects_is_failed_and_the_others_are_not(six: SshSite, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, six, deadline="2s", size=6)
    six.hosts[2].write("mode", "never")
    code, said, words = ended(fleet(tmp_path, "restart", plan, "--approve"))
    assert code == 1, words
    assert (said["verified"], said["failed"]) == (5, 1)
    (failed,) = [one for one in said["by_host"] if one["state"] == "failed"]
    assert failed["host"] == "esx-02"
    assert "has not reconnected to vp-a" in json.dumps(failed)
    assert all(host.runs for host in six.hosts)


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
