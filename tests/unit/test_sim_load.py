"""A scenario's file: its defaults, and every mistake at once, with file, line and what to write instead."""

from pathlib import Path

import pytest

from tidegate.cli.other_files import reader_of
from tidegate.errors import ConfigError, Problem
from tidegate.sim.load import load_scenario, parse_scenario
from tidegate.sim.rules import HOSTS_MAX, POINTS_MAX, broken_rules

FILE = Path("storm.toml")
MINIMAL = """\
format = 1

[scenario]
window = "10m"

[server.vp-a]
knee = 22
unit = "500ms"

[hosts.esx]
count = 300
"""


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_scenario(text, FILE)
    return list(caught.value.problems)


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def test_the_smallest_file_is_a_storm() -> None:
    scenario = parse_scenario(MINIMAL, FILE)
    assert scenario.host_count == 300
    assert scenario.best_in_flight == 22
    assert scenario.best_rate == pytest.approx(18.68, abs=0.01)
    assert scenario.hosts["esx"].session_units == pytest.approx(2.0, abs=0.001)
    assert list(broken_rules(scenario)) == []


def test_sigma_and_kappa_have_a_knee() -> None:
    text = MINIMAL.replace("knee = 22", "sigma = 0.02\nkappa = 0.002").replace("500ms", "5ms")
    scenario = parse_scenario(text, FILE)
    assert scenario.best_in_flight == 22
    assert scenario.best_rate == pytest.approx(1877, abs=1)


@pytest.mark.parametrize(
    ("old", "new", "where", "message", "hint"),
    [
        ("count = 300", "count = -300", "hosts.esx.count", "-300 is out of range", "write 1 or more"),
        ("count = 300", "count = 2_000_000", "hosts.esx.count", "2000000 is out of range", "write 1000000 or less"),
        ("knee = 22", "knee = 0", "server.vp-a.knee", "0 is out of range", "write 1 or more"),
        ('"500ms"', '"0s"', "server.vp-a.unit", "no time at all", "write the time that you mean"),
        ('"500ms"', "500", "server.vp-a.unit", "500 has no unit", 'write "500s" for seconds'),
        ("knee = 22", "kne = 22", "server.vp-a.kne", 'there is no key "kne" here', 'did you mean "knee"?'),
        ("knee = 22", 'law = "usk"\nknee = 22', "server.vp-a.law", '"usk" is not one of the words', '"usl"'),
        ("knee = 22", "", "server.vp-a", "nothing says how much the server can work on", "write knee"),
        ("knee = 22", "knee = 22\nkappa = 0.1", "server.vp-a", "a server has one law", "both sigma and kappa"),
        ("knee = 22", 'law = "cliff"\nkappa = 0.1', "server.vp-a", 'the law "cliff" has a knee', "write knee"),
        ("knee = 22", "knee = 22\nchange = [{at = '5s'}]", "server.vp-a.change[0]", "nothing changes", "write knee"),
        ("knee = 22", "knee = 22\nchange = [{at = '9h', knee = 2}]", "server.vp-a.change[0].at", "never happen", "10m"),
        ("knee = 22", "knee = 22\ndown_until = '1h'", "server.vp-a.down_until", "never happen", "less than scenario.w"),
        (
            "count = 300",
            "count = 300\nretry = {kind = 'fixd'}",
            "hosts.esx.retry",
            "is not one",
            'did you mean "fixed"?',
        ),
        ("count = 300", "count = 300\nretry = {kind = 'fixed', min = '20s'}", "hosts.esx.retry", "longer than max", ""),
        ('"10m"', '"10m"\nsample = "1ms"', "scenario.sample", "too close", str(POINTS_MAX)),
        ("format = 1", "format = 2", "format", "2 is not one of the words", "write 1"),
    ],
)
def test_one_mistake(old: str, new: str, where: str, message: str, hint: str) -> None:
    problem = only(MINIMAL.replace(old, new, 1))
    assert problem.where == where
    assert message in problem.message
    assert hint in problem.hint
    assert problem.line > 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("[{operation = 'a', role = 'call', units = 1}]", "a host opens one session"),
        ("[{operation = 'a', role = 'open', units = 1, times = 2}]", "a host opens one session"),
        ("[{operation = 'a', role = 'open', units = 0}]", "0 is out of range"),
        ("[]", "a host opens one session"),
    ],
)
def test_a_script_that_is_none(script: str, message: str) -> None:
    assert message in only(f"{MINIMAL}script = {script}\n").message


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        ("[policy.tidegate]\nkind = 'none'", "policy.tidegate", '"tidegate" is built in'),
        ("[policy.x]\nkind = 'haproxi'", "policy.x", '"haproxi" is not one of the words'),
        ("[policy.x]\nkind = 'haproxy'\nmaxcon = 3", "policy.x.maxcon", 'there is no key "maxcon" here'),
        ("[policy.x]\nkind = 'kb-manual'\npause = '0s'", "policy.x.pause", "no time at all"),
        ("[[network.flap]]\nat = '1s'\ndown = '0s'", "network.flap[0].down", "no time at all"),
        ("[gate]\nexpected_hosts = 0", "gate.expected_hosts", "0 is out of range"),
        ("[bulk.backup]\nprincipals = 0\nrate = 1\nunits = 1", "bulk.backup.principals", "0 is out of range"),
    ],
)
def test_one_mistake_in_another_table(table: str, where: str, message: str) -> None:
    found = problems(f"{MINIMAL}\n{table}\n")
    assert [problem.where for problem in found if message in problem.message] == [where]


def test_too_many_hosts_together() -> None:
    text = MINIMAL + f"\n[hosts.more]\ncount = {HOSTS_MAX}\n"
    assert only(text).message == f"{HOSTS_MAX + 300} hosts are more than can be played"


def test_only_a_scenario_is_one(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(MINIMAL.replace("[scenario]", "  [ scenario ] # it"))
    assert reader_of(file) is not None
    assert load_scenario(file).host_count == 300
    file.write_text('[service.scenario]\nlisten = "[scenario]"\n')
    assert reader_of(file) is None
    assert reader_of(tmp_path / "none.toml") is None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_scenario(tmp_path / "none.toml")
    assert caught.value.problems[0].hint == "the folder examples/ has some"
