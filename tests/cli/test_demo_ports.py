"""``tidegate demo ports`` around two trials that were measured before: what it says and returns."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from commands import Run
from tidegate.cli import demo_ports
from tidegate.lab.ports_play import GateName, PortsDemo, PortsResult
from tidegate.lab.ports_trial import Moment, Outcome

THEIRS = PortsResult(Outcome(2, 1371, 70, 1301, 5.81, 1.44), 40)
OURS = PortsResult(Outcome(0, 240, 240, 0, 0.02, 1.31), 24)
MOMENT = Moment(3.5, "connections are held", 511, 30, 441, 2, 2)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def set_up(ours: PortsResult = OURS, *, haproxy: bool = True) -> None:
        def play(demo: PortsDemo, gate: GateName, watch: Callable[[Moment], None], *, keep: bool) -> PortsResult:
            del demo, keep
            watch(MOMENT)
            return THEIRS if gate == "haproxy" else ours

        monkeypatch.setattr("tidegate.cli.demo_ports.play_ports", play)
        monkeypatch.setattr("tidegate.cli.demo_ports.haproxy_program", lambda: "true" if haproxy else None)

    return set_up


def test_json_has_the_promised_keys(run: Run, played: Callable[..., None]) -> None:
    played()
    ran = run("demo", "ports", "--output", "json")
    value = ran.json()
    assert ran.code == 0
    assert (value["haproxy_false_down"], value["tidegate_false_down"]) == (2, 0)
    assert (value["recovered_s"], value["detect_down_s"]) == (0.02, 1.31)
    assert (value["backend_connections"], value["clients"], value["ports"], value["format"]) == (24, 60, 20, 1)
    assert value["requests"] == value["answered"] + value["failed_requests"]
    assert value["haproxy"] == {
        "requests": 1371, "answered": 70, "failed_requests": 1301, "recovered_s": 5.81, "detect_down_s": 1.44,
        "backend_connections": 40,
    }  # fmt: skip
    assert set(value["versions"]) == {"tidegate", "haproxy"}


def test_a_table_for_people(run: Run, played: Callable[..., None]) -> None:
    played(replace(OURS, outcome=replace(OURS.outcome, recovered_s=3.0)))
    ran = run("demo", "ports", "--clients", "100")
    assert ran.code == 0
    assert "100 clients hold a connection, 20 source ports per server" in ran.out
    assert "HAProxy:   3.5 s, connections are held: 511 requests, 30 answered, 441 failed, 2 of 2 servers" in ran.err


def test_without_haproxy(run: Run, played: Callable[..., None]) -> None:
    played(haproxy=False)
    ran = run("demo", "ports", "--output", "json")
    assert (ran.code, ran.json()["haproxy_false_down"], ran.json()["haproxy"]) == (0, None, None)
    assert "HAProxy is not installed" in ran.err
    assert "apt-get install haproxy" in ran.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"false_down": 1}, "took a healthy server out 1 times"),
        ({"recovered_s": None}, "not well again"),
        ({"detect_down_s": None}, "did not notice that a server had died"),
        ({"fine": 239}, "of 240 requests 239 were answered and 0 failed"),
    ],
)
def test_a_promise_broken(run: Run, played: Callable[..., None], change: dict[str, Any], words: str) -> None:
    played(replace(OURS, outcome=replace(OURS.outcome, **change)))
    ran = run("demo", "ports")
    assert ran.code == 1
    assert words in ran.err


@pytest.mark.parametrize("clients", [40, 1001])
def test_clients_out_of_range(run: Run, clients: int) -> None:
    ran = run("demo", "ports", "--clients", clients)
    assert ran.code == 2
    assert "choose 41 to 1000" in ran.err


def test_both_on_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=150, height=40, color_system=None)
    with demo_ports._shown_on(console, PortsDemo()) as show:
        show("haproxy", MOMENT)
        show("tidegate", replace(MOMENT, times_down=0, down=0))
    text = out.getvalue()
    assert "2 of 2 servers down, taken out 2 times" in text
    assert "0 of 2 servers down, taken out 0 times" in text
