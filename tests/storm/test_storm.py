"""A reconnect storm end to end: the lab's provider and hosts, a real gate between them, its promises."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tidegate.config.model import Config, Server, ServerTls, Terminate
from tidegate.lab.play import Result, play
from tidegate.lab.scenario import Law, Scenario

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]

SMALL = Scenario(hosts=60, knee=8, speed=10, limit=8)


def through_the_gate(scenario: Scenario) -> Result:
    return play(scenario, gate=True, watch=lambda _: None)


def check(scenario: Scenario, result: Result, *, wasted: float) -> None:
    seen = result.numbers()
    assert seen["connected"] == scenario.hosts
    assert seen["last_connected_s"] is not None
    assert seen["timeouts"] == 0
    assert seen["wasted_work"] <= wasted
    assert seen["max_in_flight"] <= (scenario.limit or 2 * scenario.knee) + 1
    assert seen["arrived"] == seen["admitted"] + seen["turned_away"] + seen["client_gone"]


@pytest.mark.parametrize("law", ["usl", "cliff", "convoy"])
@pytest.mark.parametrize("limit", [8, None])
def test_every_host_gets_in(law: Law, limit: int | None) -> None:
    scenario = Scenario(hosts=60, law=law, knee=8, speed=10, limit=limit)
    check(scenario, through_the_gate(scenario), wasted=0)


def test_every_host_gets_in_through_passthrough() -> None:
    scenario = Scenario(hosts=60, knee=8, speed=10, passthrough=True, limit=8)
    check(scenario, through_the_gate(scenario), wasted=0.05)


class Terminated(Scenario):
    """The gate ends TLS: it sees the hosts' certificates, and shows its own to the provider."""

    def storm(self, folder: Path, target: str, window_s: float) -> dict[str, Any]:
        return {**super().storm(folder, target, window_s), "tls": {"dir": str(folder), "name": "gate.lab"}}

    def gate(self, folder: Path, server: str) -> Config:
        config = super().gate(folder, server)
        certificate, key, ca = folder / "gate.lab.pem", folder / "gate.lab.key", folder / "ca.pem"
        towards = ServerTls(ca=ca, name="vp.lab", certificate=certificate, key=key)
        service = config.service["vasa"].model_copy(
            update={
                "tls": Terminate(kind="terminate", certificate=certificate, key=key, client_ca=ca),
                "server": {"vp-a": Server(address=server, limit=self.gate_limit, tls=towards)},
            }
        )
        return config.model_copy(update={"service": {"vasa": service}})


def test_every_host_gets_in_through_a_gate_that_ends_tls() -> None:
    scenario = Terminated(hosts=60, knee=8, speed=5, passthrough=True, limit=8)
    check(scenario, through_the_gate(scenario), wasted=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_ended_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tidegate", "demo", "--report", str(tmp_path / "report.html")]
    worlds = tmp_path / "worlds"
    worlds.mkdir()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(worlds)}) as demo:
        assert demo.stderr is not None
        while "without the gate" not in demo.stderr.readline():
            assert demo.poll() is None
        assert list(worlds.iterdir())
        demo.send_signal(number)
        demo.communicate()
    assert demo.returncode == 130
    assert not list(worlds.iterdir())


def test_no_call_is_without_a_fate() -> None:
    result = through_the_gate(SMALL)
    counters = result.counters
    assert counters is not None
    assert counters["unknown_call"] == 0
    assert result.provider["requests"] == counters["admitted"]


def test_without_the_gate_the_provider_takes_more_than_it_can_serve() -> None:
    seen = play(Scenario(hosts=150, knee=8, speed=20), gate=False, watch=lambda _: None).numbers()
    assert seen["max_in_flight"] > 100
    assert seen["timeouts"] > 0
    assert seen["arrived"] == seen["admitted"] + seen["turned_away"]
