"""``tidegate fleet``: from a plan to a run, what is said meanwhile, and how commands end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands import Run
from fleets import CURRENT, MAINTENANCE, ROLLING, STOP_ALL, FakeWork
from tidegate.fleet import events as e
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.journal_sqlite import SqliteJournal
from tidegate.fleet.plans import WORKS

PLAN = """
[run]
plan = "vvold-phased-restart"
[targets]
inventory = "hosts.toml"
[batch]
size = 2
grow_to = 4
pause = "10ms"
"""
KEYS = {
    "format", "run", "plan", "status", "hosts", "verified", "failed", "skipped", "waiting", "batches", "max_batch",
    "guard_stops", "stopped", "by_host",
}  # fmt: skip


def inventory(count: int) -> str:
    return "".join(f'[[host]]\nname = "esx{n:02}"\ncluster = "c{n % 2}"\n' for n in range(1, count + 1))


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a plan whose work is done by a fake in this process."""
    monkeypatch.setitem(WORKS, "vvold-phased-restart", "fleets:work")
    monkeypatch.setitem(WORKS, "nsx-ens-check", "fleets:work")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "hosts.toml").write_text(inventory(5))
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    CURRENT.append(FakeWork(ROLLING, name="vvold-phased-restart"))
    yield file
    CURRENT.clear()


def stop_all() -> FakeWork:
    CURRENT.append(FakeWork(STOP_ALL, name="vvold-phased-restart", notes=("esx03 is in lockdown mode",)))
    return CURRENT[-1]


def test_a_dry_run_prints_batches_and_commands_and_does_nothing(run: Run, plan: Path, tmp_path: Path) -> None:
    stop_all()
    ran = run("fleet", "restart", plan, "--dry-run")
    assert ran.code == 0
    assert "stop all, after an approval: stops all" in ran.out
    assert "1 (2)" in ran.out
    assert "2 (3)" in ran.out
    assert "ssh esx05 /etc/init.d/vvold start" in ran.out
    assert "5 hosts; 10ms between two batches. Nothing was done." in ran.out
    value = run("fleet", "restart", plan, "--dry-run", "--output", "json").json()
    assert [[len(batch) for batch in phase["batches"]] for phase in value["phases"]] == [[5], [2, 3]]
    assert value["phases"][1]["batches"][0][0] == {
        "host": "esx01",
        "commands": ["ssh esx01 /etc/init.d/vvold start"],
    }
    assert not (tmp_path / "state").exists()
    assert not any(what == "act" for what, _, _ in CURRENT[-1].log)


def test_a_run_to_its_end(run: Run, plan: Path, tmp_path: Path) -> None:
    ran = run("fleet", "restart", plan, "--report", tmp_path / "page.html")
    assert ran.code == 0
    assert "batch 1: restart, 2 hosts" in ran.err
    assert "esx01: restart verified, fine" in ran.err
    assert "5 hosts: 5 verified" in " ".join(ran.out.split())
    page = (tmp_path / "page.html").read_text()
    assert "Hosts: 5 verified" in page
    assert "esx05" in page
    value = run("fleet", "status", "--output", "json").json()
    assert [(one["status"], one["controller"]) for one in value["runs"]] == [("finished", False)]
    name = value["runs"][0]["run"]
    value = run("fleet", "status", name, "--output", "json").json()
    assert set(value) >= KEYS
    assert (value["batches"], value["max_batch"], value["stopped"]) == (2, 3, {})
    assert run("fleet", "status").code == 0


def test_approval_resume_and_what_is_said_meanwhile(run: Run, plan: Path) -> None:
    work = stop_all()
    ran = run("fleet", "restart", plan)
    assert ran.code == 3
    assert "note: esx03 is in lockdown mode" in ran.err
    assert "stop all wants an approval: stops all" in ran.err
    assert not any(what == "act" for what, _, _ in work.log)
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    assert f"tidegate fleet approve {name}" in ran.err
    assert run("fleet", "status", name).code == 3
    assert run("fleet", "status").code == 3
    ran = run("fleet", "approve", name)
    assert (ran.code, "approved: stop all: stops all" in ran.out) == (0, True)
    ran = run("fleet", "approve", name)
    assert (ran.code, "waits for no approval" in ran.err) == (2, True)
    ran = run("fleet", "resume", name, "--output", "jsonl")
    assert ran.code == 0
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["kind"] for line in lines[:2]] == ["taken", "opened"]
    assert lines[-1]["status"] == "finished"
    assert all("evidence" not in line for line in lines)
    assert {service.starts for service in work.services.values()} == {1}
    ran = run("fleet", "resume", name)
    assert (ran.code, f"the run {name} is over: finished" in ran.err) == (2, True)
    assert run("fleet", "abort", name).code == 2


def test_hints_name_the_journal_that_was_named(run: Run, plan: Path, tmp_path: Path) -> None:
    stop_all()
    state = str(tmp_path / "my runs.db")
    waiting = run("fleet", "restart", plan, "--state", state)
    assert waiting.code == 3
    name = SqliteJournal(Path(state)).runs()[0].run
    assert f"`tidegate fleet approve {name} --state '{state}'`" in waiting.err
    listed = run("fleet", "status", "--state", state)
    assert name in listed.out
    assert "5: 5 waiting" in listed.out


def test_approved_from_the_start(run: Run, plan: Path) -> None:
    stop_all()
    assert run("fleet", "restart", plan, "--approve", "--output", "json").json()["verified"] == 5


def test_hosts_that_fail_are_told_and_give_exit_code_1(run: Run, plan: Path) -> None:
    work = stop_all()
    work.broken = {("start", "esx02"): "exit 1: no"}
    ran = run("fleet", "restart", plan, "--approve")
    assert ran.code == 1
    assert "STILL STOPPED: esx02" in ran.err
    assert "then start it by hand, or by a new run" in ran.err
    assert "esx02: start FAILED: exit 1: no" in ran.err
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    ran = run("fleet", "status", name)
    assert ran.code == 1
    assert "STOPPED since" in " ".join(ran.out.split())


def test_skipped_hosts_are_told(run: Run, plan: Path) -> None:
    CURRENT[-1].skip = {"esx04": "enters maintenance mode"}
    ran = run("fleet", "restart", plan)
    assert (ran.code, "1 hosts were skipped" in ran.err) == (1, True)


def test_an_abort_without_a_controller_starts_what_is_stopped(run: Run, plan: Path, tmp_path: Path) -> None:
    work = stop_all()
    assert run("fleet", "restart", plan).code == 3
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    journal = SqliteJournal(tmp_path / "state" / "tidegate" / "fleet.db")
    # as a controller leaves it that died after it had stopped one host
    journal.append(name, e.Approved(at=1.0, phase=0, by="me"))
    journal.append(name, e.Taken(at=1.0, by="gone"))
    journal.append(name, e.Opened(at=1.0, phase=0, hosts=("esx01", "esx02")))
    journal.append(name, e.Looked(at=1.0, phase=0, host="esx01", evidence={"state": "running", "pid": 1}))
    journal.append(name, e.Acting(at=1.0, phase=0, host="esx01"))
    journal.close()
    work.services.clear()
    work._service(Host("esx01", "esx01")).do("stop")
    ran = run("fleet", "status", name)
    assert ran.code == 3
    assert "no controller is at work on it" in ran.err
    assert "STILL STOPPED: esx01" in ran.err
    ran = run("fleet", "abort", name)
    assert ran.code == 0
    assert work.services["esx01"].starts == 1
    assert run("fleet", "status", name, "--output", "json").json()["status"] == "aborted"


def test_an_abort_reaches_the_controller_that_is_at_work(run: Run, plan: Path, tmp_path: Path) -> None:
    stop_all()
    run("fleet", "restart", plan)
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    journal = SqliteJournal(tmp_path / "state" / "tidegate" / "fleet.db")
    with journal.lock(name):
        ran = run("fleet", "abort", name)
        assert (ran.code, "asked; the controller that is at work" in ran.err) == (0, True)
        ran = run("fleet", "status", name)
        assert (ran.code, "a controller is at work on it" in ran.err) == (0, True)
        ran = run("fleet", "resume", name)
        assert (ran.code, f"another controller is at work on the run {name}" in ran.err) == (2, True)
    journal.close()


def test_two_runs_on_one_host(run: Run, plan: Path) -> None:
    stop_all()
    assert run("fleet", "restart", plan).code == 3
    ran = run("fleet", "restart", plan)
    assert ran.code == 2
    assert "the host esx01 is in the unfinished run" in ran.err
    assert "Traceback" not in ran.err


def test_ctrl_c_pauses(run: Run, plan: Path) -> None:
    class Interrupted(FakeWork):
        async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
            if not self.services["esx01"].starts:
                os.kill(os.getpid(), signal.SIGINT)
            return await super().act(step, host, before)

    CURRENT.append(Interrupted(ROLLING, name="vvold-phased-restart"))
    ran = run("fleet", "restart", plan)
    assert ran.code == 130
    assert "pausing after the hosts that are being worked on" in ran.err
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    assert f"paused; `tidegate fleet resume {name}` goes on" in ran.err
    assert run("fleet", "resume", name).code == 0
    assert {service.starts for service in CURRENT[-1].services.values()} == {1}


def test_check(run: Run, plan: Path) -> None:
    ran = run("fleet", "check", plan)
    assert ran.code == 0
    assert "fine: vvold-phased-restart, 5 hosts in 2 clusters; phases: restart" in ran.out
    stop_all()
    value = run("fleet", "check", plan, "--look", "--output", "json").json()
    assert (value["hosts"], value["notes"]) == (5, ["esx03 is in lockdown mode"])


def test_restart_is_for_plans_that_restart(run: Run, plan: Path) -> None:
    CURRENT.append(FakeWork(ROLLING, name="nsx-ens-check"))
    plan.write_text(PLAN.replace("vvold-phased-restart", "nsx-ens-check"))
    ran = run("fleet", "restart", plan)
    assert (ran.code, "nsx-ens-check restarts nothing" in ran.err) == (2, True)
    assert run("fleet", "apply", plan).code == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("vvold-phased-restart", "vvold-phased-restar", [":3: run.plan", 'did you mean "vvold-phased-restart"?']),
        ('pause = "10ms"', "pause = 150", [":9: batch.pause: 150 has no unit", 'write "150s" for seconds']),
        ("grow_to", "grow_too", [':8: batch.grow_too: there is no key "grow_too" here', 'did you mean "grow_to"?']),
        ("grow_to = 4", "grow_to = 1", [":8: batch.grow_to: is smaller than size"]),
        ('inventory = "hosts.toml"', "", [":4: targets: names no hosts"]),
        ("hosts.toml", "nothere.toml", ["nothere.toml: cannot be read: No such file"]),
        ('pause = "10ms"', 'until = "steady"', [":9: batch.until: waits for guards, and there is none"]),
        ("[batch]", "[options]\nx = 1\n[batch]", ["this plan has no options"]),
        ("[batch]", '[targets.vcenter]\naddress = "vc"\nuser = "me"\n[batch]', ["has both", "selects no hosts"]),
    ],
)
def test_bad_plans(run: Run, plan: Path, old: str, new: str, words: list[str]) -> None:
    plan.write_text(PLAN.replace(old, new))
    ran = run("fleet", "check", plan)
    assert ran.code == 2
    assert all(word in ran.err for word in words), ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ("", ["names no host"]),
        (inventory(2) + inventory(1), [':8: host[2].name: the host "esx01" stands here twice']),
        ('[[host]]\nname = "a"\naddress = "b"\n[[host]]\nname = "b"\n', [':4: host[1]: has the address of "a"']),
        ("".join(f'[[host]]\nname = "h{n}"\n' for n in range(5001)), ["5001 hosts, more than 5000"]),
        ('[[host]]\nname = "a b"\n', [":2: host[0].name"]),
        ('[[host]]\nnam = "a"\n', ['did you mean "name"?']),
    ],
)
def test_bad_inventories(run: Run, plan: Path, hosts: str, words: list[str]) -> None:
    (plan.parent / "hosts.toml").write_text(hosts)
    ran = run("fleet", "check", plan)
    assert ran.code == 2
    assert all(word in ran.err for word in words), ran.err


def test_a_whole_cluster_is_refused_by_every_command(run: Run, plan: Path) -> None:
    CURRENT.append(FakeWork(MAINTENANCE, name="vvold-phased-restart"))
    (plan.parent / "hosts.toml").write_text(inventory(3))
    for command in (("check", plan), ("restart", plan, "--dry-run"), ("restart", plan)):
        ran = run("fleet", *command)
        assert ran.code == 2
        assert 'the phase "convert" would take a whole cluster out of service: the cluster c0 has one host' in ran.err
        assert 'hint: leave it out, or write cluster_size = "N"' in ran.err
    assert not any(what == "act" for what, _, _ in CURRENT[-1].log)
    assert run("fleet", "status", "--output", "json").json()["runs"] == []
    (plan.parent / "hosts.toml").write_text(inventory(4))
    assert run("fleet", "restart", plan, "--output", "json").json()["max_batch"] == 2


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ('from = "22:00"\nto = "22:00"', "never opens"),
        ('days = []\nfrom = "22:00"\nto = "04:00"', "never opens"),
        ('from = "25:00"\nto = "04:00"', "25:00"),
    ],
)
def test_a_window_that_never_opens_is_refused(run: Run, plan: Path, window: str, says: str) -> None:
    plan.write_text(f'{PLAN}[guard.night]\nkind = "window"\n{window}\n')
    for command in ("check", "restart"):
        ran = run("fleet", command, plan)
        assert (ran.code, says in ran.err) == (2, True), ran.err
        assert "guard.night" in ran.err
    assert not CURRENT[-1].log


def test_a_window_that_is_closed_stops_and_says_when_it_opens(run: Run, plan: Path) -> None:
    now = datetime.now(UTC)
    opens, closes = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (3, 5))
    plan.write_text(f'{PLAN}[guard.night]\nkind = "window"\nfrom = "{opens}"\nto = "{closes}"\nzone = "UTC"\n')
    ran = run("fleet", "restart", plan)
    assert ran.code == 3
    assert "stopped by the guard night: the window is closed; it opens" in ran.err
    assert f"{opens} UTC" in ran.err
    assert "goes on when it is quiet" in ran.err
    assert not CURRENT[-1].services


def test_a_journal_of_another_version_is_left_alone_by_every_command(run: Run, plan: Path, tmp_path: Path) -> None:
    assert run("fleet", "status").code == 0
    file = tmp_path / "state" / "tidegate" / "fleet.db"
    with closing(sqlite3.connect(file)) as base, base:
        base.execute("UPDATE meta SET format = 2")
    before = file.read_bytes()
    for command in (("restart", plan), ("status",), ("approve", "r1"), ("resume", "r1"), ("abort", "r1")):
        ran = run("fleet", *command)
        assert ran.code == 2
        assert "has format 2, and this version of tidegate knows format 1 only" in ran.err
        assert "hint: go on with the version that wrote it" in ran.err
    assert file.read_bytes() == before
    assert not any(what == "act" for what, _, _ in CURRENT[-1].log)


def test_a_run_with_an_event_of_another_version(run: Run, plan: Path, tmp_path: Path) -> None:
    stop_all()
    assert run("fleet", "restart", plan).code == 3
    with closing(sqlite3.connect(tmp_path / "state" / "tidegate" / "fleet.db")) as base, base:
        (name,) = base.execute("SELECT run FROM runs").fetchone()
        base.execute("INSERT INTO events VALUES (?, 99, ?)", (name, '{"kind": "sung", "at": 1}'))
    for command in ("status", "resume", "abort"):
        ran = run("fleet", command, name)
        assert (ran.code, "an event that this version of tidegate does not know" in ran.err) == (2, True)
    assert not any(what == "act" for what, _, _ in CURRENT[-1].log)


def test_a_run_that_loses_its_file_says_what_is_half_done(run: Run, plan: Path, tmp_path: Path) -> None:
    file = tmp_path / "state" / "tidegate" / "fleet.db"

    class Tidy(FakeWork):
        async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
            if (step, host.name) == ("stop", "esx05"):
                file.rename(tmp_path / "away.db")
            return await super().act(step, host, before)

    work = Tidy(STOP_ALL, name="vvold-phased-restart")
    CURRENT.append(work)
    ran = run("fleet", "restart", plan, "--approve")
    assert ran.code == 4
    assert f"the journal {file} is gone: its file was removed or replaced" in ran.err
    hint = ran.err.partition("hint: ")[2]
    assert hint.startswith("what became of esx")
    assert "STILL STOPPED: esx" in hint
    assert all(name in hint for name, service in work.services.items() if not service.running)
    assert "Traceback" not in ran.err
    (tmp_path / "away.db").rename(file)
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    assert run("fleet", "resume", name).code == 0
    assert {(service.stops, service.starts) for service in work.services.values()} == {(1, 1)}


def test_runs_that_are_not_there(run: Run, plan: Path, tmp_path: Path) -> None:
    del plan
    for command in ("status", "approve", "resume", "abort"):
        ran = run("fleet", command, "nope")
        assert (ran.code, 'there is no run "nope"' in ran.err) == (2, True)
    ran = run("fleet", "status", "--state", tmp_path / "hosts.toml")
    assert (ran.code, "cannot be used" in ran.err) == (4, True)
    assert "no runs in" in run("fleet", "status").out
