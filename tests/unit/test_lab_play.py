"""What a run comes to, under the names that the demo's JSON promises."""

from pathlib import Path

import pytest

from storms import through, without
from tidegate.config.load import parse_config
from tidegate.config.write import to_toml
from tidegate.lab.play import Result
from tidegate.lab.scenario import Scenario
from tidegate.units import Duration

NAMES = {
    "connected", "last_connected_s", "failed_attempts", "wasted_work", "max_in_flight", "timeouts", "arrived",
    "admitted", "turned_away", "client_gone", "lab_cpu_share",
}  # fmt: skip


def test_both_runs_have_the_same_names() -> None:
    assert set(without().numbers()) == set(through().numbers()) == NAMES


@pytest.mark.parametrize("result", [without(), through()], ids=["without", "through"])
def test_conservation(result: Result) -> None:
    numbers = result.numbers()
    assert numbers["arrived"] == numbers["admitted"] + numbers["turned_away"] + numbers["client_gone"]


def test_never_is_none() -> None:
    assert without().numbers()["last_connected_s"] is None


def test_the_busier_process_of_the_lab_counts() -> None:
    assert without().numbers()["lab_cpu_share"] == 0.2


def test_a_bottleneck_in_either_process_is_told() -> None:
    result = through()
    assert result.bottleneck() is None
    result.storm["bottleneck"] = "the storm used a whole core"
    assert result.bottleneck() == "the storm used a whole core"


def test_the_floor_is_all_work_at_the_best_rate() -> None:
    assert Scenario().floor_s(18.68) == pytest.approx(32.38, abs=0.01)


def test_both_runs_get_the_same_provider_and_hosts(tmp_path: Path) -> None:
    folder = tmp_path
    scenario = Scenario(hosts=10, law="cliff", knee=6, seed=9, speed=20)
    spec = scenario.provider(folder)
    assert (spec["law"], spec["knee"], spec["seed"], spec["speed"], spec["tls"]) == ("cliff", 6, 9, 20, None)
    storm = scenario.storm(folder, "127.0.0.1:1", 30)
    assert (storm["hosts"], storm["seed"], storm["window_s"]) == (10, 9, 30)


@pytest.mark.parametrize("passthrough", [False, True])
def test_the_gates_file_is_sped_up_whole_and_reads_back(tmp_path: Path, passthrough: bool) -> None:
    folder = tmp_path
    config = Scenario(knee=6, speed=5, passthrough=passthrough, limit=6).gate(folder, "127.0.0.1:9")
    service = parse_config(to_toml(config), folder / "gate.toml").service["vasa"]
    assert service == config.service["vasa"]
    assert service.mode == "enforce"
    assert service.server["vp-a"].limit == "static:6"
    assert service.admission.client_timeout == Duration.parse("6s")
    assert service.admission.margin == Duration.parse("400ms")
    assert service.io.connect_timeout == Duration.parse("1s")
    assert (service.tls is not None) == passthrough


def test_a_gate_that_is_told_no_limit_finds_one(tmp_path: Path) -> None:
    assert Scenario(knee=6).gate(tmp_path, "127.0.0.1:9").service["vasa"].server["vp-a"].limit == "adaptive"
