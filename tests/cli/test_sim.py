"""``tidegate sim run`` and ``sim plan``: what they say, write and return, and what they do with bad input."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import Run
from rehearsals import NEVER, FakeEngine, result
from tidegate.cli.sim_view import progress_on

EXAMPLES = Path(__file__).parents[2] / "examples"
RESTART = EXAMPLES / "vasa-restart.toml"
PROMISED = {
    "hosts", "connected", "floor_s", "last_connected_s", "wasted_work", "decisions", "events", "wall_s", "parameters",
}  # fmt: skip


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("tidegate.sim.engine.play", fake)
    return fake


def test_one_policy_as_json(run: Run, engine: FakeEngine) -> None:
    ran = run("sim", "run", RESTART, "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    value = ran.json()
    assert set(value) >= PROMISED
    assert value["scenario"]["title"] == "A VASA provider restarts"
    assert [policy for _, policy in engine.asked] == [{"kind": "tidegate", "limit": {"most": 256}}]


def test_all_policies_as_json(run: Run, engine: FakeEngine) -> None:
    del engine
    value = run("sim", "run", RESTART, "--compare", "all", "--output", "json").json()
    assert {"format", "scenario", "policies"} == set(value)
    assert list(value["policies"]) == [
        "none", "kb-manual", "nginx-conn", "nginx-req", "haproxy-default", "haproxy-best", "envoy-adaptive",
        "envoy-admission", "tidegate", "haproxy-misset",
    ]  # fmt: skip
    assert all(set(one) >= PROMISED for one in value["policies"].values())


def test_a_table_for_people(run: Run, engine: FakeEngine) -> None:
    del engine
    ran = run("sim", "run", RESTART, "--compare", "none,tidegate")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["none", "3", "never", "never", "5000", "0", "40", "99.0", "%", "23"] in rows
    assert ["tidegate", "300", "40.0", "20.0", "0", "57", "0", "0.0", "%", "23"] in rows
    assert "Least possible time 32.4 s" in " ".join(ran.out.split())


def test_another_seed(run: Run, engine: FakeEngine) -> None:
    assert run("sim", "run", RESTART, "--seed", "9", "--policy", "none").code == 0
    assert engine.asked[0][0]["seed"] == 9


def test_the_report(run: Run, engine: FakeEngine, tmp_path: Path) -> None:
    del engine
    ran = run("sim", "run", RESTART, "--report", tmp_path / "page.html")
    assert ran.err == f"report: {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    ran = run("sim", "run", RESTART, "--report", tmp_path / "no" / "page.html")
    assert (ran.code, "cannot be written: No such file or directory" in ran.err) == (2, True)


def test_a_gate_that_does_not_get_all_in(run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answer", lambda *_: result(**NEVER))
    ran = run("sim", "run", RESTART)
    assert ran.code == 1
    assert "through the gate only 3 of 300 hosts are connected at the end" in ran.err
    assert run("sim", "run", RESTART, "--policy", "none").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policy", "tidegat"], ['there is no policy "tidegat"', 'did you mean "tidegate"?']),
        (["--compare", "none,zzz"], ['there is no policy "zzz"', "there are none, kb-manual"]),
        (["--policy", "none,tidegate"], ["--policy names more than one policy", "--compare none,tidegate"]),
        (["--policy", "all"], ["--policy names more than one policy"]),
        (["--seed", "-1"], ["--seed -1 is out of range", "choose 0 to"]),
    ],
)
def test_bad_arguments_of_run(run: Run, engine: FakeEngine, arguments: list[str], words: list[str]) -> None:
    ran = run("sim", "run", RESTART, *arguments)
    assert ran.code == 2
    assert all(word in ran.err for word in words)
    assert not engine.asked


def test_a_bad_file(run: Run, engine: FakeEngine, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(RESTART.read_text().replace("count = 300", "count = -300").replace("knee = 22", "knee = 0"))
    for command in ("run", "plan"):
        ran = run("sim", command, file)
        assert ran.code == 2
        assert f"{file}:17: server.vp-a.knee: 0 is out of range\n  hint: write 1 or more" in ran.err
        assert "hosts.esx.count: -300 is out of range\n  hint: write 1 or more" in ran.err
    assert run("gate", "check", file).code == 2
    assert not engine.asked


def test_a_file_that_is_not_there(run: Run) -> None:
    ran = run("sim", "run", "none.toml")
    assert (ran.code, "cannot be read: No such file or directory" in ran.err) == (2, True)


def test_ctrl_c(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("tidegate.sim.engine.play", interrupted)
    assert run("sim", "run", RESTART).code == 130


def test_a_plan_from_a_file(run: Run, engine: FakeEngine) -> None:
    del engine
    ran = run("sim", "plan", RESTART)
    assert ran.code == 0
    assert ran.out.startswith("Through a gate: the last of 300 hosts is in after 40.0 s")
    value = json.loads(run("sim", "plan", RESTART, "--output", "json").out)
    assert set(value) == {"format", "scenario", "floor_s", "gate", "none", "manual"}


def test_a_plan_from_figures(run: Run, engine: FakeEngine) -> None:
    ran = run("sim", "plan", "--hosts", "40", "--knee", "7", "--unit", "1s", "--down", "5s", "--law", "cliff")
    assert ran.code == 0
    world = engine.asked[0][0]
    assert world["servers"][0]["law"] == {"kind": "cliff", "unit_s": 1.0, "knee": 7}
    assert world["servers"][0]["down_until_s"] == 5.0
    assert world["populations"][0]["hosts"] == 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["a plan is about a scenario's file or about --hosts"]),
        ([RESTART, "--hosts", "3"], ["a plan is about a scenario's file or about --hosts"]),
        ([RESTART, "--knee", "3"], ["--knee goes with --hosts"]),
        (["--hosts", "-3"], ["--hosts -3 is out of range", "choose 1 to 1000000"]),
        (["--hosts", "3", "--knee", "0"], ["--knee 0 is out of range"]),
        (["--hosts", "3", "--unit", "500"], ["--unit", 'a duration has a unit, as "500ms" or "30s"']),
        (["--hosts", "3", "--unit", "0s"], ["--unit is no time at all"]),
        (["--hosts", "3", "--law", "usk"], ["usk"]),
    ],
)
def test_bad_arguments_of_plan(run: Run, engine: FakeEngine, arguments: list[object], words: list[str]) -> None:
    ran = run("sim", "plan", *arguments)
    assert ran.code == 2
    assert all(word in ran.err for word in words)
    assert not engine.asked


def test_the_bar_shows_on_a_terminal_only() -> None:
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
        with progress_on(console) as tell:
            tell("haproxy-best", 0.5)
        assert ("playing haproxy-best" in out.getvalue()) == terminal
