"""Scenario to spec: seconds, units, and nothing that Rust does not know."""

import json
from pathlib import Path
from typing import Any

import pytest

from tidegate.sim.load import parse_scenario
from tidegate.sim.policies import EnvoyAdaptive, Haproxy, KbManual, NginxReq, Policy, Tidegate
from tidegate.sim.spec import compile_policy, compile_spec
from tidegate.units import Duration

TEXT = """\
format = 1

[scenario]
seed = 7
window = "5m"

[server.vp-a]
knee = 22
unit = "500ms"
full = "busy"
down_until = "10s"

[[server.vp-a.change]]
at = "30s"
knee = 7
unit = "1s"

[[server.vp-a.change]]
at = "60s"
restart_for = "5s"

[server.vp-b]
sigma = 0.02
kappa = 0.002
unit = "5ms"

[hosts.esx]
count = 300
begin = "5s"
retry = { kind = "greedy", after = "500ms" }

[hosts.polite]
count = 2
retry = { kind = "retry-after" }

[bulk.backup]
principals = 4
rate = 3.0
units = 8.0

[[network.flap]]
at = "40s"
down = "20s"

[gate]
restart_at = ["50s"]
expected_hosts = 302
"""


def spec(**options: float) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(compile_spec(parse_scenario(TEXT, Path("a.toml")), **options))
    return value


def test_the_run_and_the_gate() -> None:
    world = spec()
    assert (world["format"], world["seed"], world["window_s"], world["sample_s"]) == (1, 7, 300.0, 0.5)
    assert world["gate"] == {"restart_at_s": [50.0], "down_s": 1.0, "expected_hosts": 302}
    assert world["network"] == {"delay_s": 0.0005, "flaps": [{"at_s": 40.0, "for_s": 20.0}]}


def test_a_server() -> None:
    first, second = spec()["servers"]
    assert first["law"] == {"kind": "usl", "knee": 22, "unit_s": 0.5}
    assert (first["refuse"], first["down_until_s"], first["crash_at"]) == ("busy", 10.0, None)
    assert first["changes"] == [{"at_s": 30.0, "knee": 7, "unit_s": 1.0}, {"at_s": 60.0, "restart_for_s": 5.0}]
    assert second["law"] == {"kind": "usl", "sigma": 0.02, "kappa": 0.002, "unit_s": 0.005}


def test_the_populations() -> None:
    greedy, polite, bulk = spec()["populations"]
    assert (greedy["name"], greedy["hosts"], greedy["begin_s"], greedy["poll_s"]) == ("esx", 300, 5.0, 10.0)
    assert greedy["retry"] == {"kind": "greedy", "s": 0.5}
    assert greedy["poll"] == {"operation": "getEvents", "role": "poll", "units": 0.01}
    assert [(step["operation"], step["times"]) for step in greedy["script"]] == [("setContext", 1), ("queryArrays", 3)]
    assert (greedy["honours_retry_after"], polite["honours_retry_after"]) == (False, True)
    assert bulk == {
        "name": "backup", "kind": "bulk", "principals": 4, "rate_per_s": 3.0, "units": 8.0, "operation": "bulk",
        "begin_s": 0.0, "timeout_s": 60.0,
    }  # fmt: skip


def test_nobody_begins_before() -> None:
    assert [population["begin_s"] for population in spec(not_before_s=10.0)["populations"]] == [10.0, 10.0, 0.0]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Tidegate(kind="tidegate"), {"kind": "tidegate", "limit": {"most": 256}}),
        (Tidegate(kind="tidegate", limit=22), {"kind": "tidegate", "limit": 22}),
        (NginxReq(kind="nginx-req", rate=15, burst=300), {"kind": "nginx-req", "rate_per_s": 15.0, "burst": 300}),
        (
            Haproxy(kind="haproxy", maxconn=22, timeout_queue=Duration.parse("25s")),
            {"kind": "haproxy", "maxconn": 22, "timeout_queue_s": 25.0, "class_by_operation": False},
        ),
        (KbManual(kind="kb-manual"), {"kind": "kb-manual", "batch": 10, "pause_s": 150.0}),
        (EnvoyAdaptive(kind="envoy-adaptive"), {"kind": "envoy-adaptive"}),
        (
            EnvoyAdaptive(kind="envoy-adaptive", percentile=90, update=Duration.parse("1s")),
            {"kind": "envoy-adaptive", "percentile": 90.0, "update_s": 1.0},
        ),
    ],
)
def test_a_policy(policy: Policy, expected: dict[str, Any]) -> None:
    assert compile_policy(policy) == expected


def test_the_same_storm_played_with_other_numbers() -> None:
    scenario = parse_scenario(TEXT, Path("a.toml"))
    other = scenario.played_with(seed=9, window_s=12.5, sample_s=0.25)
    world = json.loads(compile_spec(other))
    assert (world["seed"], world["window_s"], world["sample_s"]) == (9, 12.5, 0.25)
    assert json.loads(compile_spec(other.played_with(seed=7, window_s=300, sample_s=0.5))) == spec()
