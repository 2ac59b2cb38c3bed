"""Paced work from its list to its end, with real commands, and what is left out when it is resumed."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import pytest

from tidegate.errors import UsageError
from tidegate.fleet.act import Guard
from tidegate.fleet.guards import FailedHosts
from tidegate.fleet.pace import Rules
from tidegate.fleet.pace_run import Pacer
from tidegate.fleet.pace_state import Past, StateFile
from tidegate.fleet.pace_work import Command, Told, Worked, Worker, left_over

RULES = Rules(batch=3, concurrency=2, pause_s=0)


class One:
    """A session."""

    token = "5EC2E7"

    async def close(self) -> None:
        return


async def login() -> One:
    return One()


def command(code: str) -> Command:
    return Command((sys.executable, "-c", code, "{vm}"), timeout_s=30, base=os.environ, without=("SECRET",))


def worked(
    tmp_path: Path, work: Command, vms: list[str], *guards: Guard, again: bool = False, session: bool = False
) -> tuple[Worked, list[Told], dict[str, Past]]:
    told: list[Told] = []

    async def story() -> Worked:
        with StateFile.open(tmp_path / "state", "p", work.parts, 1.0) as state:
            todo, result = left_over(vms, state.past, again=again)
            async with Pacer(RULES, guards, login=login if session else None) as pacer:
                return await Worker(work, told.append).work(todo, result, state, pacer)

    result = asyncio.run(story())
    with StateFile.open(tmp_path / "state", "p", work.parts, 1.0) as state:
        return result, told, state.past


def test_everything_is_done_once_and_written_down(tmp_path: Path) -> None:
    vms = [f"vm{n}" for n in range(7)]
    work = command("import sys; open('done-' + sys.argv[1], 'x')")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        result, told, past = worked(tmp_path, work, vms)
        again, _, _ = worked(tmp_path, work, vms, again=True)
    finally:
        os.chdir(here)
    assert sorted(result.done) == vms
    assert (result.failed, result.unknown, result.left, result.stopped) == ({}, {}, [], "")
    assert {vm: was.state for vm, was in past.items()} == dict.fromkeys(vms, "done")
    assert [one.batch for one in told if one.did == "began"] == [1, 1, 1, 2, 2, 2, 3]
    assert (again.before, again.done) == (7, [])


def test_what_fails_is_said_and_done_again_only_when_asked(tmp_path: Path) -> None:
    work = command("import sys; print('no', file=sys.stderr); sys.exit(sys.argv[1] == 'b')")
    result, told, _ = worked(tmp_path, work, ["a", "b", "c"])
    assert result.failed == {"b": "exit code 1"}
    assert [one.stderr for one in told if one.did == "failed"] == ["no\n"]
    result, told, _ = worked(tmp_path, work, ["a", "b", "c"])
    assert not told
    assert result.failed == {"b": "failed before with exit code 1"}
    _, told, _ = worked(tmp_path, work, ["a", "b", "c"], again=True)
    assert [one.vm for one in told] == ["b", "b"]


def test_a_guard_stops_what_has_not_begun(tmp_path: Path) -> None:
    result, _, _ = worked(tmp_path, command("raise SystemExit(1)"), list("abcdefgh"), FailedHosts("limit", 1))
    assert "limit: " in result.stopped
    assert 2 <= len(result.failed) <= 3
    assert len(result.failed) + len(result.left) == 8


def test_the_session_is_shared_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "password")
    code = (
        "import os, sys; print(os.environ['TIDEGATE_SESSION'], 'SECRET' in os.environ, os.environ['TIDEGATE_VM']);"
        "sys.exit(os.environ['TIDEGATE_SESSION'] != '5EC' + '2E7')"
    )
    result, told, _ = worked(tmp_path, command(code), ["a"], session=True)
    assert result.done == ["a"]
    assert told[-1].stdout == "[session] False a\n"
    assert "5EC2E7" not in (tmp_path / "state").read_text()


def test_a_command_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    result, _, past = worked(tmp_path, Command(("/nowhere/tool", "{vm}")), ["a"])
    assert "cannot be started" in result.failed["a"]
    assert past["a"] == Past("failed", None)


def test_names_are_looked_at_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for an option"):
        worked(tmp_path, command("pass"), ["a", "-b"])


@pytest.mark.parametrize("at", [1, 2])
def test_a_state_that_cannot_be_written_begins_nothing_more_and_lets_what_runs_end(tmp_path: Path, at: int) -> None:
    """The system refuses to let the file grow from the ``at``-th start on; both commands wait for what comes then."""
    folder = str(tmp_path)
    work = command(
        "import os, sys, time\n"
        f"while not os.path.exists({folder!r} + '/go'): time.sleep(0.01)\n"
        f"open({folder!r} + '/ended-' + sys.argv[1], 'x')"
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    begun: list[Told] = []

    async def story() -> Worked:
        with StateFile.open(tmp_path / "state", "p", work.parts, 1.0) as state:
            todo, result = left_over(list("abcde"), state.past, again=False)

            def tell(told: Told) -> None:
                begun.extend([told] if told.did == "began" else [])
                if told.did == "began" and len(begun) == at:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (state.path.stat().st_size, hard))

            class Letting(Pacer):
                def halt(self, guard: str, why: str) -> None:
                    super().halt(guard, why)
                    (tmp_path / "go").touch()

            async with Letting(RULES) as pacer:
                return await Worker(work, tell).work(todo, result, state, pacer)

    try:
        result = asyncio.run(story())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    vms = [one.vm for one in begun]
    assert vms in (["a", "b"], ["a"])
    assert sorted(path.name for path in tmp_path.glob("ended-*")) == [f"ended-{vm}" for vm in vms]
    assert (result.done, result.failed, result.lost) == ([], {}, True)
    assert result.unknown == dict.fromkeys(vms, "its command went well, and that could not be written down")
    assert result.left == list("abcde")[len(vms) :]
    assert result.stopped == f"state: the state file {tmp_path}/state cannot be written: File too large"
    with StateFile.open(tmp_path / "state", "p", work.parts, 1.0) as state:
        assert {vm: was.state for vm, was in state.past.items()} == dict.fromkeys(vms, "unknown")


def test_the_operator_may_break_off_what_is_under_way(tmp_path: Path) -> None:
    work = command("import time; print('here', flush=True); time.sleep(600)")

    async def story() -> Worked:
        with StateFile.open(tmp_path / "state", "p", work.parts, 1.0) as state:
            todo, result = left_over(["a", "b", "c"], state.past, again=False)
            async with Pacer(RULES) as pacer:
                begun: list[Told] = []

                def tell(told: Told) -> None:
                    begun.append(told)
                    if len(begun) == 2:
                        pacer.halt("operator", "interrupted")
                        asyncio.get_running_loop().call_later(0.2, worker.break_off)

                worker = Worker(work, tell)
                return await worker.work(todo, result, state, pacer)

    result = asyncio.run(story())
    assert result.failed == dict.fromkeys(["a", "b"], "broken off by the operator")
    assert result.left == ["c"]
    assert result.stopped == "operator: interrupted"


def test_what_was_before_decides_what_is_left() -> None:
    past = {
        "done": Past("done", 0),
        "failed": Past("failed", 2),
        "lost": Past("unknown"),
        "runs": Past("unknown", pid=7),
    }
    vms = ["new", *past]
    todo, result = left_over(vms, past, again=False, running=lambda was: was.pid == 7)
    assert todo == ["new"]
    assert result.before == 1
    assert result.failed == {"failed": "failed before with exit code 2"}
    assert set(result.unknown) == {"lost", "runs"}
    todo, result = left_over(vms, past, again=True, running=lambda was: was.pid == 7)
    assert todo == ["new", "failed", "lost"]
    assert result.unknown == {"runs": "its command still runs (process 7)"}
