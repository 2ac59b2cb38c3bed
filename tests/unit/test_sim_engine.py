"""The engine itself: a small storm is played by the compiled module, and what it refuses becomes words."""

import json
from pathlib import Path

import pytest

from tidegate.config.fields import duration
from tidegate.errors import UsageError
from tidegate.sim.compare import names_of, rehearse_all
from tidegate.sim.engine import play
from tidegate.sim.load import parse_scenario
from tidegate.sim.policies import EnvoyAdaptive
from tidegate.sim.spec import compile_policy, compile_spec

TEXT = """\
format = 1
scenario.window = "3m"
server.vp-a = { knee = 4, unit = "100ms", down_until = "2s" }
hosts.esx = { count = 20, spread = "1s" }
bulk.backup = { principals = 1, rate = 0.5, units = 1.0 }
"""
SPEC = compile_spec(parse_scenario(TEXT, Path("a.toml")))
TIDEGATE = {"kind": "tidegate", "limit": {"most": 256}}


def silent(share: float) -> None:
    del share


def test_a_storm_is_played_the_same_way_twice() -> None:
    first, second = (play(SPEC, TIDEGATE, silent) for _ in range(2))
    assert (first["hosts"], first["connected"]) == (20, 20)
    assert {key: value for key, value in first.items() if key != "wall_s"} == {
        key: value for key, value in second.items() if key != "wall_s"
    }


def test_every_setting_of_envoy_is_known_to_the_compiled_module() -> None:
    second = duration("1s")
    policy = EnvoyAdaptive(
        kind="envoy-adaptive", percentile=90, update=second, max_concurrency=50, min_rtt_interval=second,
        request_count=20, jitter=10, min_concurrency=2, buffer=20,
    )  # fmt: skip
    assert play(SPEC, compile_policy(policy), silent)["hosts"] == 20


def test_every_policy_is_known_to_the_compiled_module() -> None:
    scenario = parse_scenario(TEXT, Path("a.toml"))
    runs = rehearse_all(scenario, names_of(scenario, "all"), lambda *_: None)
    assert all(run["hosts"] == 20 for run in runs.values())
    assert all(set(run["failed_attempts"]) == {"timeout", "turned_away", "refused", "broken"} for run in runs.values())


@pytest.mark.parametrize(
    ("spec", "policy", "words"),
    [
        (json.dumps({**json.loads(SPEC), "windows": 1}).encode(), TIDEGATE, "windows"),
        (SPEC, {"kind": "zzz"}, "zzz"),
        (SPEC, {"kind": "haproxy", "maxconn": 0, "timeout_queue_s": 5.0}, "maxconn"),
    ],
)
def test_what_is_refused(spec: bytes, policy: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        play(spec, policy, silent)
    assert "the storm cannot be played: " in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint
