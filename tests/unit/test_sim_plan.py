"""A plan: the gate, no gate, the article's way by hand, and the quickest way by hand that goes well."""

from pathlib import Path
from typing import Any

import pytest

from rehearsals import NEVER, FakeEngine, result
from tidegate.sim.advice import sentences
from tidegate.sim.load import parse_scenario
from tidegate.sim.plan import plan, storm_of
from tidegate.sim.scenario import Server
from tidegate.units import Duration

TEXT = """\
format = 1
scenario.title = "A storm"
server.vp-a = { knee = 22, unit = "500ms", down_until = "10s" }
hosts.esx = { count = 300 }
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("tidegate.sim.engine.play", fake)
    return fake


def answer(text: str = TEXT) -> dict[str, Any]:
    told: list[float] = []
    value = plan(parse_scenario(text, Path("a.toml")), lambda _, share: told.append(share))
    assert told == sorted(told)
    return value


def test_the_answer(engine: FakeEngine) -> None:
    value = answer()
    assert value["gate"]["last_connected_s"] == 40.0
    assert value["none"]["last_connected_s"] is None
    # The fake server stands a batch that is no larger than the pause has seconds.
    assert value["manual"]["fastest"] == {
        "batch": 30, "pause_s": 30, "played": True, "clean": True, "last_connected_s": 10 + 9 * 30 + 3,
    }  # fmt: skip
    assert [(way["batch"], way["pause_s"]) for way in value["manual"]["article"]] == [(10, 120), (5, 180)]
    assert value["manual"]["article"][0]["last_connected_s"] == 10 + 29 * 120 + 3
    assert 0 < value["manual"]["tried"] < 13 * 12
    assert len(engine.asked) > value["manual"]["tried"]


def test_the_quickest_way_is_played_with_several_seeds(engine: FakeEngine) -> None:
    answer()
    way = {"kind": "kb-manual", "batch": 30, "pause_s": 30.0}
    seeds = {world["seed"] for world, policy in engine.asked if policy == way}
    assert seeds == {1, 2, 3}


def test_the_answer_in_words(engine: FakeEngine) -> None:
    del engine
    gate, none, article, fastest, wins = sentences(answer())
    assert gate == (
        "Through a gate: the last of 300 hosts is in after 40.0 s (the least possible time is 32.4 s). "
        "57 attempts fail (57 turned away) and no work is wasted."
    )
    assert none == (
        "Without one: only 3 of 300 hosts are in after 10 min. "
        "5040 attempts fail (5000 timeout, 40 refused) and 99 % of the server's work is wasted."
    )
    assert article == "By hand as KB 412434 says, 5 to 10 hosts every 2 to 3 minutes: 58 min 13 s to 3.0 h."
    assert fastest == (
        "By hand at its quickest without a timeout and without wasted work: 30 hosts every 30 s, the last one is in "
        "after 4 min 43 s."
    )
    assert wins == (
        "So a gate wins the difference between all hosts and a server that never recovers by itself; "
        "4 min 3 s against the quickest restart by hand."
    )


def test_too_many_hosts_are_reckoned_not_played(engine: FakeEngine) -> None:
    value = answer(TEXT.replace("300", "100_000"))
    assert value["manual"]["fastest"] == {
        "batch": 50, "pause_s": 15, "played": False, "clean": None, "last_connected_s": 10 + 1999 * 15,
    }  # fmt: skip
    assert [policy["kind"] for _, policy in engine.asked] == ["tidegate", "none"]
    assert "By hand no quicker than 8.3 h: 50 hosts every 15 s" in " ".join(sentences(value))


def test_a_server_that_takes_the_storm(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answer", lambda *_: result(last_connected_s=9.0, failed_attempts={"timeout": 0}))
    words = " ".join(sentences(answer()))
    assert "No attempt fails, and no work is wasted." in words
    assert "no time against no gate" in words


def test_a_server_that_is_too_slow_for_everything(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answer", lambda *_: result(**NEVER))
    value = answer()
    assert value["manual"]["fastest"] is None
    words = " ".join(sentences(value))
    assert "no batch of 5 to 50 hosts" in words
    assert "the server is too slow for them" in words


def test_a_storm_from_a_few_figures() -> None:
    storm = storm_of(300, Server(knee=22, unit=Duration.parse("500ms")), Duration.parse("20s"))
    assert storm.host_count == 300
    assert storm.hosts["hosts"].timeout.seconds == 20
    assert storm.scenario.window.seconds == 60 + 322
