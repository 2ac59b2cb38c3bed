"""Whole runs at hosts behind OpenSSH's sshd: controllers that die or lose their journal, and hosts that misbehave.

Where controllers die, the journal is a file, and a real PostgreSQL.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from postgres import Server, postgres
from ssh_runs import Fleet, Provider, reached, write_plan
from sshd import SshSite, site
from tidegate.lab.world import World

pytestmark = [pytest.mark.peer("sshd"), pytest.mark.timeout(180)]


@pytest.fixture
def six(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path / "site", 6) as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Fleet:
    return Fleet(str(tmp_path / "fleet.db"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def fleet(request: pytest.FixtureRequest, files: Fleet) -> Fleet:
    """Return commands over each kind of journal; a run of its own is all that is in it."""
    if request.param == "sqlite":
        return files
    url: str = request.getfixturevalue("server").url
    with psycopg.connect(url, autocommit=True) as base:
        for table in ("meta", "claims", "events", "runs"):
            base.execute(f"DROP TABLE IF EXISTS tidegate_fleet_{table} CASCADE")
    return Fleet(url)


def moments(made: SshSite) -> list[Callable[[], bool]]:
    """Return when controllers die: as the hosts themselves count."""

    def stopped() -> int:
        return sum(host.read("stops").count("stop") for host in made.hosts)

    def started() -> int:
        return sum(host.restarts for host in made.hosts)

    return [lambda: stopped() >= 1, lambda: started() >= 1, lambda: started() >= 3]


def look_at_the_hosts(made: SshSite) -> None:
    """Assert that nobody was restarted twice, and nobody forgotten: the hosts count, not the journal."""
    assert [host.restarts for host in made.hosts] == [1] * 6
    assert [host.read("stops").split() for host in made.hosts] == [["stop"]] * 6
    assert all(host.runs for host in made.hosts)


def test_a_run_that_is_killed_again_and_again_restarts_every_host_once(
    six: SshSite, fleet: Fleet, tmp_path: Path
) -> None:
    with World() as processes:
        provider = Provider(processes, six)
        kill_again_and_again(six, fleet, tmp_path)
        assert [host.reconnects for host in six.hosts] == [["connected"]] * 6
        assert provider.counted()["sessions_made"] == 6


def kill_again_and_again(six: SshSite, fleet: Fleet, tmp_path: Path) -> None:
    kills = 0
    command: list[object] = ["restart", write_plan(tmp_path, six), "--approve"]
    for moment in moments(six):
        with fleet.begun(*command) as process:
            if reached(moment, lambda process=process: process.poll() is None):  # type: ignore[misc]
                process.kill()
                kills += 1
        command = ["resume", fleet.only()]
    code, said, words = fleet.ended(*command)
    assert code == 0, words
    assert kills >= 1
    assert said["status"] == "finished"
    look_at_the_hosts(six)


def test_controllers_that_stand_by_take_over_from_each_other(six: SshSite, fleet: Fleet, tmp_path: Path) -> None:
    assert fleet.ended("restart", write_plan(tmp_path, six))[0] == 3
    run = fleet.only()
    assert fleet.ended("approve", run)[0] == 0
    with ExitStack() as all_of_them:
        waiting = {one.pid: one for one in (fleet.begun("resume", run, "--stand-by") for _ in range(4))}
        for process in waiting.values():
            all_of_them.enter_context(process)
            all_of_them.callback(process.kill)
        killed: list[int] = []

        def takers() -> list[int]:
            return [pid for pid in fleet.controllers(run) if pid in waiting]

        def alive() -> bool:
            return any(process.poll() is None for process in waiting.values())

        for moment in moments(six):
            if not reached(lambda: len(takers()) > len(killed), alive):
                break
            at_work = waiting[takers()[-1]]
            if reached(moment, lambda at_work=at_work: at_work.poll() is None):  # type: ignore[misc]
                at_work.kill()
                at_work.wait()
                killed.append(at_work.pid)
        codes = [process.wait(timeout=100) for process in waiting.values()]
    assert len(killed) >= 1
    assert sorted(codes) == [-signal.SIGKILL] * len(killed) + [0] * (4 - len(killed))
    assert set(takers()) > set(killed), "nobody took over"
    code, said, _ = fleet.ended("status", run)
    assert (code, said["status"]) == (0, "finished")
    look_at_the_hosts(six)


def test_a_controller_that_loses_its_database_says_what_is_half_done(
    six: SshSite, fleet: Fleet, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    command = fleet.command("restart", write_plan(tmp_path, six), "--approve")
    file, away = Path(fleet.state), tmp_path / "away.db"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert reached(moments(six)[0], lambda: process.poll() is None)
        if file.exists():
            file.rename(away)
        else:
            request.getfixturevalue("server").stop()
        _, words = process.communicate(timeout=100)
    assert process.returncode == 4, words
    assert "Traceback" not in words
    assert str(file) in words or "the journal postgresql://" in words
    half = sorted(host.folder.name for host in six.hosts if not host.runs)
    assert half
    assert all(name in words.partition("hint: ")[2] for name in half), words
    if away.exists():
        assert "put it back before" in words
        away.rename(file)
    else:
        code, _, said = fleet.ended("status")
        assert (code, "does not answer" in said) == (4, True)
        request.getfixturevalue("server").start()
    assert fleet.ended("resume", fleet.only())[0] == 0
    look_at_the_hosts(six)


def put_off(made: SshSite) -> str:
    made.hosts[4].__exit__(None, None, None)
    return "cannot be reached by SSH"


def change_key(made: SshSite) -> str:
    made.hosts[4].new_key()
    return "shows another host key than the one in"


def forget_address(made: SshSite) -> str:
    inventory = made.folder.parent / "hosts.toml"
    inventory.write_text(inventory.read_text().replace(made.hosts[4].address, "esx-04.invalid"))
    return "cannot be reached by SSH"


@pytest.mark.parametrize("spoil", [put_off, change_key, forget_address])
def test_a_host_that_cannot_be_reached_or_trusted_is_failed_with_a_sentence(
    six: SshSite, files: Fleet, tmp_path: Path, spoil: Callable[[SshSite], str]
) -> None:
    plan = write_plan(tmp_path, six)
    says = spoil(six)
    code, said, words = files.ended("restart", plan, "--approve")
    if spoil is put_off:
        six.hosts[4].__enter__()
    assert code == 1, words
    (failed,) = [one for one in said["by_host"] if one["outcome"] == "failed"]
    assert (failed["host"], says in failed["why"]) == ("esx-04", True), failed["why"]
    assert said["stopped"] == {}
    assert [host.restarts for host in six.hosts] == [1, 1, 1, 1, 0, 1]


@pytest.mark.parametrize("unknown", ["uuid", "proc/sys/kernel/random/boot_id"])
def test_a_host_with_two_names_is_restarted_once(six: SshSite, files: Fleet, tmp_path: Path, unknown: str) -> None:
    """It is known by its own id where its kernel tells no boot id, and the other way round."""
    (six.hosts[2].folder / unknown).unlink()
    plan = write_plan(tmp_path, six)
    with (tmp_path / "hosts.toml").open("a") as inventory:
        inventory.write(f'[[host]]\nname = "alias"\naddress = "localhost:{six.hosts[2].port}"\n')
    known = six.folder / "known_hosts"
    known.write_text(known.read_text() + six.hosts[2].known.replace("127.0.0.1", "localhost"))
    code, said, words = files.ended("restart", plan, "--approve")
    assert code == 1, words
    assert (said["verified"], said["failed"]) == (6, 1)
    (failed,) = [one for one in said["by_host"] if one["outcome"] == "failed"]
    assert failed["why"].startswith(("alias and esx-02 are the same host", "esx-02 and alias are the same host"))
    assert said["stopped"] == {}
    look_at_the_hosts(six)
