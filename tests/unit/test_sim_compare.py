"""Several policies under one storm: names, the time that a restart by hand gets, the search for the best HAProxy."""

from pathlib import Path

import pytest

from rehearsals import FakeEngine
from tidegate.errors import UsageError
from tidegate.sim.compare import names_of, rehearse, rehearse_all, scenario_json
from tidegate.sim.load import parse_scenario
from tidegate.sim.policies import BUILT_IN

TEXT = """\
format = 1
scenario.title = "A storm"
server.vp-a = { knee = 22, unit = "500ms", down_until = "10s" }
hosts.esx = { count = 300 }
policy.mine = { kind = "haproxy", maxconn = 30, timeout_queue = "20s" }
"""
STORM = parse_scenario(TEXT, Path("storm.toml"))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("tidegate.sim.engine.play", fake)
    return fake


def silent(name: str, share: float) -> None:
    del name, share


def test_names() -> None:
    assert names_of(STORM, "all") == [*BUILT_IN, "mine"]
    assert names_of(STORM, "tidegate, none,tidegate") == ["tidegate", "none"]


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ("haproxy-bset", 'there is no policy "haproxy-bset"', 'did you mean "haproxy-best"?'),
        ("zzz", 'there is no policy "zzz"', "there are none, kb-manual"),
        (" , ", "no policy is named", "there are none, kb-manual"),
    ],
)
def test_names_that_are_none(wanted: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        names_of(STORM, wanted)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_all_of_them(engine: FakeEngine) -> None:
    told: list[float] = []
    runs = rehearse_all(STORM, ["none", "mine", "tidegate"], lambda _, share: told.append(share))
    assert {name: run["policy"] for name, run in runs.items()} == {name: name for name in runs}
    assert [policy["kind"] for _, policy in engine.asked] == ["none", "haproxy", "tidegate"]
    assert told == pytest.approx([1 / 6, 3 / 6, 5 / 6])


def test_a_restart_by_hand_has_its_time_and_waits_for_the_server(engine: FakeEngine) -> None:
    run = rehearse(STORM, "kb-manual", silent)
    world, policy = engine.asked[0]
    assert policy == {"kind": "kb-manual", "batch": 10, "pause_s": 150.0}
    assert world["window_s"] == 600 + 10 + 30 * 150
    assert world["window_s"] / world["sample_s"] == pytest.approx(1200)
    assert world["populations"][0]["begin_s"] == 10
    assert run["last_connected_s"] == 10 + 29 * 150 + 3


def test_a_restart_by_hand_of_very_many_hosts_ends_with_the_window(engine: FakeEngine) -> None:
    rehearse(parse_scenario(TEXT.replace("300", "100_000"), Path("a.toml")), "kb-manual", silent)
    assert engine.asked[0][0]["window_s"] == 600


def test_the_best_haproxy_is_searched_on_another_seed(engine: FakeEngine) -> None:
    run = rehearse(STORM, "haproxy-best", silent)
    *tried, (world, policy) = engine.asked
    assert len(tried) == run["grid"]["runs"] == 56
    assert {asked["seed"] for asked, _ in tried} == {run["grid"]["seed"]} != {1}
    assert world["seed"] == 1
    assert world["window_s"] == 600
    assert (policy["maxconn"], policy["timeout_queue_s"]) == (17, 25.0)
    assert {key: run["grid"][key] for key in policy} == policy


def test_a_run_of_the_search_ends_when_it_can_no_longer_be_the_best(engine: FakeEngine) -> None:
    rehearse(STORM, "haproxy-best", silent)
    windows = [world["window_s"] for world, _ in engine.asked[:-1]]
    assert windows == sorted(windows, reverse=True)
    assert windows[-1] == 41.0


def test_what_a_report_says_about_the_storm() -> None:
    assert scenario_json(STORM) == {
        "title": "A storm", "hosts": 300, "seed": 1, "window_s": 600.0, "best_in_flight": 22, "best_rate": 18.68,
    }  # fmt: skip
