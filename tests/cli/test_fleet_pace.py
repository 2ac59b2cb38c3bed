"""``tidegate fleet pace`` with real commands: exit codes, what is printed, a controller that is killed, Ctrl-C."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import Run
from fakes import Authority, web_server
from tidegate.cli import fleet_pace, fleet_pace_view
from tidegate.errors import HostUnreachable
from tidegate.fleet import pace_vcenter

ROOT = Path(__file__).resolve().parents[2]
PLAN = '[pace]\nbatch = 2\nconcurrency = 2\npause = "0s"\n[vms]\nfile = "vms.txt"\n'
FAILS_B = "import sys; print('sorry', file=sys.stderr); sys.exit(3 if sys.argv[1] == 'b' else 0)"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "vms.txt").write_text("a\nb\nc\n")
    file = tmp_path / "night.toml"
    file.write_text(PLAN)
    return file


def python(code: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", code, "{vm}")


def test_all_goes_well(run: Run, plan: Path) -> None:
    ran = run("fleet", "pace", plan, "--output", "json", *python("pass"))
    assert ran.code == 0
    state = plan.with_name("night.state.jsonl")
    assert ran.json() == {
        "format": 1,
        "vms": 3,
        "done": 3,
        "done_before": 0,
        "failed": {},
        "unknown": {},
        "left": 0,
        "stopped": "",
        "state": str(state),
    }
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    ran = run("fleet", "pace", plan, "--output", "json", *python("pass"))
    assert (ran.code, ran.json()["done"], ran.json()["done_before"]) == (0, 0, 3)


def test_what_failed_is_said_and_the_code_is_1(run: Run, plan: Path) -> None:
    ran = run("fleet", "pace", plan, *python(FAILS_B))
    assert ran.code == 1
    assert "b: exit code 3: sorry" in ran.err
    assert "b: exit code 3" in ran.out
    assert "--again" in ran.err
    ran = run("fleet", "pace", plan, *python(FAILS_B))
    assert (ran.code, "b: failed before with exit code 3" in ran.out) == (1, True)


def test_a_guard_stops_it_with_3_and_it_goes_on_later(run: Run, plan: Path) -> None:
    alert = plan.with_name("alert")
    alert.write_text("firing")
    plan.write_text(PLAN.replace("[vms]", 'patience = "0s"\n[vms]') + '[guard.storm]\nkind = "alert"\nfile = "alert"\n')
    ran = run("fleet", "pace", plan, *python("pass"))
    assert ran.code == 3
    assert "stopped: storm: the alert fires" in ran.err
    assert "goes on with the 3 that are left" in ran.err
    alert.write_text("ok")
    assert run("fleet", "pace", plan, *python("pass")).code == 0


def test_why_it_holds_is_said_once(run: Run, plan: Path) -> None:
    plan.write_text(PLAN.replace("[vms]", 'patience = "1s"\n[vms]') + '[guard.storm]\nkind = "alert"\nfile = "alert"\n')
    ran = run("fleet", "pace", plan, *python("pass"))
    assert ran.code == 3
    (line,) = [line for line in ran.err.splitlines() if line.startswith("holding")]
    assert line.startswith("holding: storm: there is no sample of the alert yet; none is not zero (the alert's file ")
    ran = run("fleet", "pace", plan, "--output", "jsonl", *python("pass"))
    held = json.loads(ran.out.splitlines()[0])
    assert (held["event"], held["guard"]) == ("held", "storm")


def test_a_closed_window_says_when_it_opens(run: Run, plan: Path) -> None:
    hour = time.gmtime().tm_hour
    opens, closes = f"{(hour + 12) % 24:02}:00", f"{(hour + 13) % 24:02}:00"
    plan.write_text(
        PLAN.replace("[vms]", 'window = "night"\n[vms]')
        + f'[window.night]\nfrom = "{opens}"\nto = "{closes}"\nzone = "UTC"\n'
    )
    ran = run("fleet", "pace", plan, *python("pass"))
    assert ran.code == 3
    assert f"{opens} UTC" in ran.err
    assert "night: the window is closed; it opens" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "there is no command"),
        (("--", "true"), "the command names no {vm}"),
        (("--", "no-such-program", "{vm}"), "no-such-program cannot be run"),
    ],
)
def test_a_command_that_cannot_be_meant_is_2(run: Run, plan: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = run("fleet", "pace", plan, *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert not plan.with_name("night.state.jsonl").exists()


def test_a_wrong_plan_is_2_with_its_line(run: Run, plan: Path) -> None:
    plan.write_text(PLAN.replace("pause", "puase"))
    ran = run("fleet", "pace", plan, *python("pass"))
    assert ran.code == 2
    assert f'{plan}:4: pace.puase: there is no key "puase" here' in ran.err
    assert 'did you mean "pause"?' in ran.err
    assert run("fleet", "pace", plan.with_name("none.toml"), *python("pass")).code == 2


def test_another_command_is_2(run: Run, plan: Path) -> None:
    assert run("fleet", "pace", plan, *python("pass")).code == 0
    ran = run("fleet", "pace", plan, *python("print()"))
    assert (ran.code, "belongs to another command" in ran.err) == (2, True)
    assert run("fleet", "pace", plan, "--fresh", *python("print()")).code == 0
    assert plan.with_name("night.state.jsonl.old").exists()


def test_a_dry_run_prints_batches_and_commands_and_does_nothing(run: Run, plan: Path) -> None:
    ran = run("fleet", "pace", plan, "--dry-run", "--", "sh", "-c", "exit 1", "{vm} x")
    assert ran.code == 0
    assert "3 machines in 2 batches, 2 at a time, 0ns between batches" in ran.out
    assert "  sh -c 'exit 1' 'c x'" in ran.out
    ran = run("fleet", "pace", plan, "--dry-run", "--output", "json", "--", "echo", "{vm}")
    assert ran.json()["batches"] == [["a", "b"], ["c"]]
    assert ran.json()["commands"][1] == [["echo", "c"]]
    assert not plan.with_name("night.state.jsonl").exists()


def test_lines_tell_of_each_machine(run: Run, plan: Path) -> None:
    ran = run("fleet", "pace", plan, "--output", "jsonl", *python(FAILS_B))
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["event"] for event in events if event.get("vm") == "b"] == ["began", "failed"]
    failed = next(event for event in events if event["event"] == "failed")
    assert (failed["why"], failed["stderr"]) == ("exit code 3", "sorry\n")
    assert events[-1]["event"] == "finished"
    assert events[-1]["done"] == 2


def test_outputs_are_kept_where_asked(run: Run, plan: Path) -> None:
    plan.with_name("vms.txt").write_text("a/../b\n")
    logs = plan.with_name("logs")
    assert run("fleet", "pace", plan, "--logs", logs, *python("print('out')")).code == 0
    (kept,) = logs.glob("*.out")
    assert (kept.name, kept.read_text()) == ("a%2F..%2Fb.out", "out\n")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(logs.stat().st_mode) == 0o700


def test_unverified_is_said_aloud(run: Run, plan: Path) -> None:
    plan.write_text(PLAN + '[guard.a]\nkind = "alert"\nurl = "https://a.example/"\nverify = false\n')
    ran = run("fleet", "pace", plan, "--dry-run", *python("pass"))
    assert "warning: [guard.a] has verify = false" in ran.err


VCENTER = PLAN.replace('file = "vms.txt"', 'folders = ["nightly"]\ntags = ["backup:nightly"]') + (
    '[vcenter]\naddress = "vc.example"\nuser = "pace"\n[guard.disk]\nkind = "datastore-latency"\n'
)


class FakeVcenter:
    """What a vCenter gives to paced work."""

    token = "5EC2E7"

    def __init__(self) -> None:
        self.logins = self.closed = 0
        self.selected: tuple[object, ...] = ()

    async def vms(self, clusters: object, folders: object, tags: object) -> list[str]:
        self.selected = (clusters, folders, tags)
        return ["a", "b", "c"]

    async def latencies(self, datastores: object) -> dict[str, float]:
        del datastores
        return {"fast": 1.0, "slow": 4.0}

    async def keep(self) -> None:
        return

    async def session(self) -> FakeSession:
        self.logins += 1
        return FakeSession()

    async def close(self) -> None:
        self.closed += 1


class FakeSession:
    """The one session."""

    token = "5EC2E7"

    async def close(self) -> None:
        return


def test_one_session_for_all_and_no_password(run: Run, plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vcenter = FakeVcenter()

    async def connect(_: object) -> FakeVcenter:
        return vcenter

    monkeypatch.setattr(fleet_pace, "connect", connect)
    monkeypatch.setenv("TIDEGATE_VCENTER_PASSWORD", "password")
    plan.write_text(VCENTER)
    code = (
        "import os, sys; sys.exit(os.environ.get('TIDEGATE_SESSION') != '5EC2E7'"
        " or 'TIDEGATE_VCENTER_PASSWORD' in os.environ)"
    )
    ran = run("fleet", "pace", plan, "--output", "json", *python(code))
    assert (ran.code, ran.json()["done"]) == (0, 3)
    assert (vcenter.logins, vcenter.closed) == (1, 1)
    assert vcenter.selected == ((), ("nightly",), ("backup:nightly",))
    state = plan.with_name("night.state.jsonl").read_text()
    assert "5EC2E7" not in state
    assert "password" not in state


def test_the_token_of_a_guard_is_sent_to_it_and_not_given_to_commands(
    run: Run, plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, bearers = Authority(plan.parent), list[str]()
    monkeypatch.setenv("STORM_TOKEN", "5EC2E7")
    with web_server({"/": "ok"}, authority.server_context("127.0.0.1", ask_clients=False), bearers=bearers) as address:
        guard = f'kind = "alert"\nurl = "https://{address}/"\nca = "{authority.ca}"\ntoken_env = "STORM_TOKEN"\n'
        plan.write_text(f"{PLAN}[guard.storm]\n{guard}")
        ran = run("fleet", "pace", plan, *python("import os, sys; sys.exit('STORM_TOKEN' in os.environ)"))
    assert ran.code == 0, ran.err
    assert bearers
    assert set(bearers) == {"Bearer 5EC2E7"}
    assert "5EC2E7" not in ran.out + ran.err + plan.with_name("night.state.jsonl").read_text()


def test_a_vcenter_that_is_away_is_4(run: Run, plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(_: object) -> FakeVcenter:
        raise HostUnreachable("vCenter vc.example does not answer")

    monkeypatch.setattr(fleet_pace, "connect", connect)
    plan.write_text(VCENTER)
    ran = run("fleet", "pace", plan, *python("pass"))
    assert (ran.code, "does not answer" in ran.err) == (4, True)


@contextmanager
def controller(plan: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command as a process of its own."""
    command = [sys.executable, "-m", "tidegate", "fleet", "pace", str(plan), "--output", "json", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=plan.parent, env=env, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def eventually(happens: Callable[[], bool]) -> None:
    for _ in range(3000):
        if happens():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


# Counts itself by machine; then "b" waits until there is a file "go".
COUNTED = (
    "import os, sys, time\n"
    "vm = sys.argv[1]\n"
    "open('ran-' + vm, 'a').write(str(os.getpid()) + '\\n')\n"
    "while vm == 'b' and not os.path.exists('go'): time.sleep(0.01)\n"
)


def counted(plan: Path) -> dict[str, int]:
    return {file.name[4:]: len(file.read_text().splitlines()) for file in plan.parent.glob("ran-*")}


def state_of(plan: Path) -> str:
    state = plan.with_name("night.state.jsonl")
    return state.read_text() if state.exists() else ""


def test_a_controller_that_is_killed_is_resumed_and_nothing_runs_twice(plan: Path) -> None:
    with controller(plan, *python(COUNTED)) as process:
        eventually(lambda: '"vm": "a", "did": "ended"' in state_of(plan))
        eventually(lambda: '"vm": "b", "did": "runs"' in state_of(plan) and "b" in counted(plan))
        process.kill()
    # The batch was not over, so "c" has not begun; the command for "b" goes on without its controller.
    assert counted(plan) == {"a": 1, "b": 1}
    with controller(plan, "--again", *python(COUNTED)) as process:
        out, _ = process.communicate()
    result = json.loads(out)
    assert process.returncode == 1
    assert "its command still runs" in result["unknown"]["b"]
    assert (result["done"], result["done_before"]) == (1, 1)
    plan.with_name("go").touch()
    pid = int(plan.with_name("ran-b").read_text())
    eventually(lambda: not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z")
    with controller(plan, *python(COUNTED)) as process:
        out, _ = process.communicate()
    assert (process.returncode, "nobody saw it end" in json.loads(out)["unknown"]["b"]) == (1, True)
    assert counted(plan) == {"a": 1, "b": 1, "c": 1}
    with controller(plan, "--again", *python(COUNTED)) as process:
        out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["done"]) == (0, 1)
    assert counted(plan) == {"a": 1, "b": 2, "c": 1}


def test_a_second_controller_is_refused(plan: Path) -> None:
    with controller(plan, *python(COUNTED)) as first:
        eventually(lambda: "b" in counted(plan))
        with controller(plan, *python(COUNTED)) as second:
            _, err = second.communicate()
        assert (second.returncode, "another controller works with" in err) == (2, True)
        plan.with_name("go").touch()
        first.communicate()
    assert first.returncode == 0
    assert state_of(plan).count('"did": "began"') == 3


def test_a_state_file_that_cannot_be_written_any_more_is_4(plan: Path) -> None:
    with controller(plan, *python(COUNTED)) as process:
        eventually(lambda: '"vm": "a", "did": "ended"' in state_of(plan))
        eventually(lambda: '"vm": "b", "did": "runs"' in state_of(plan) and "b" in counted(plan))
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, hard))
        plan.with_name("go").touch()
        out, err = process.communicate()
    assert process.returncode == 4
    assert "stopped: state: the state file " in err
    assert "cannot be written: File too large" in err
    assert "see to its disk first; the same command line goes on with the 1 that are left" in err
    result = json.loads(out)
    assert (result["done"], result["failed"], result["left"]) == (1, {}, 1)
    assert result["unknown"] == {"b": "its command went well, and that could not be written down"}
    assert counted(plan) == {"a": 1, "b": 1}
    with controller(plan, *python(COUNTED)) as process:
        out, _ = process.communicate()
    assert (process.returncode, list(json.loads(out)["unknown"])) == (1, ["b"])
    assert counted(plan) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_what_is_under_way(plan: Path, number: signal.Signals) -> None:
    with controller(plan, *python(COUNTED)) as process:
        eventually(lambda: "b" in counted(plan) and '"vm": "a", "did": "ended"' in state_of(plan))
        process.send_signal(number)
        line = process.stderr.readline() if process.stderr else ""
        assert "under way; once more breaks them off" in line
        plan.with_name("go").touch()
        out, _ = process.communicate()
    assert process.returncode == 130
    result = json.loads(out)
    assert (result["done"], result["left"], result["unknown"]) == (2, 1, {})


def test_a_second_interrupt_breaks_off(plan: Path) -> None:
    with controller(plan, *python(COUNTED)) as process:
        eventually(lambda: "b" in counted(plan) and '"vm": "a", "did": "ended"' in state_of(plan))
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    assert process.returncode == 130
    assert json.loads(out)["failed"] == {"b": "broken off by the operator"}


def test_modules_are_what_they_say() -> None:
    assert fleet_pace_view.__doc__
    assert pace_vcenter.__doc__
