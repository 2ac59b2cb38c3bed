"""``[service.NAME.monitor]`` and standbys: what is read, what is left to the gate, what the plan says."""

import json
from pathlib import Path
from typing import Any

import pytest

from texts import MINIMAL
from tidegate.config.headroom import headroom
from tidegate.config.load import parse_config
from tidegate.config.write import to_toml
from tidegate.errors import ConfigError
from tidegate.gate.service import plan_for

FILE = Path("/etc/tidegate/gate.toml")
MONITOR = "\n[service.web.monitor]\n"
PASSTHROUGH = '\n[service.web.tls]\nkind = "passthrough"\n'
SECOND = 1_000_000_000


def service(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(plan_for(parse_config(text, FILE)))["services"][0]
    return value


def refused(text: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    (problem,) = caught.value.problems
    return problem.where, problem.message


def test_without_the_table_nothing_is_probed() -> None:
    assert service(MINIMAL)["monitor"] is None
    assert service(MINIMAL)["admission"]["servers"] == [{"name": "a", "limit": 4, "standby": False}]


def test_the_defaults() -> None:
    monitor = service(MINIMAL + MONITOR)["monitor"]
    assert monitor["probe"] == {"kind": "tcp"}
    assert monitor["settings"] == {
        "interval_ns": 2 * SECOND,
        "timeout_ns": 2 * SECOND,
        "fast_ns": SECOND,
        "fall": 3,
        "rise": 2,
        "slow_start_ns": 30 * SECOND,
    }


def test_what_is_left_out_follows_from_the_interval() -> None:
    settings = service(f'{MINIMAL}{MONITOR}interval = "300ms"\n')["monitor"]["settings"]
    assert (settings["timeout_ns"], settings["fast_ns"]) == (300_000_000, 150_000_000)
    settings = service(f'{MINIMAL}{MONITOR}interval = "10ms"\n')["monitor"]["settings"]
    assert settings["fast_ns"] == 10_000_000


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        (MINIMAL + PASSTHROUGH + MONITOR, {"kind": "tls"}),
        (MINIMAL + MONITOR + 'kind = "half-open"\n', {"kind": "half-open"}),
        (MINIMAL + MONITOR + 'kind = "http"\n', {"kind": "http", "path": "/", "status": [200]}),
        (
            MINIMAL + MONITOR + 'kind = "http"\npath = "/health?deep"\nstatus = [200, 204]\n',
            {"kind": "http", "path": "/health?deep", "status": [200, 204]},
        ),
        (MINIMAL + MONITOR + 'kind = "http"\nstatus = 301\n', {"kind": "http", "path": "/", "status": [301]}),
        (
            MINIMAL.replace('"http"', '"vasa"') + PASSTHROUGH + MONITOR,
            {"kind": "http", "path": "/vasa/version.xml", "status": [200]},
        ),
        (
            MINIMAL.replace('"http"', '"vasa"') + '\n[service.web.vasa]\nversion_path = "/v.xml"\n' + MONITOR,
            {"kind": "http", "path": "/v.xml", "status": [200]},
        ),
    ],
)
def test_what_a_probe_does(text: str, probe: dict[str, Any]) -> None:
    assert service(text)["monitor"]["probe"] == probe
    assert parse_config(to_toml(parse_config(text, FILE)), FILE) == parse_config(text, FILE)


@pytest.mark.parametrize(
    ("line", "where", "message"),
    [
        ("kind = 'htp'", "kind", '"htp" is not one of the words'),
        ("kind = 'tls'", "kind", "not every server of this service speaks TLS"),
        ("path = '/health'", "path", 'a monitor with kind = "tcp" asks for no page'),
        ("status = 200", "status", 'a monitor with kind = "tcp" asks for no page'),
        ("interval = 2", "interval", "2 has no unit"),
        ("interval = '2h'", "interval", "2h is out of range"),
        ("interval = '0s'", "interval", "is out of range"),
        ("timeout = '1ms'", "timeout", "1ms is out of range"),
        ("fast = '3s'", "fast", "3s is out of range"),
        ("fall = 0", "fall", "0 is out of range"),
        ("rise = 51", "rise", "51 is out of range"),
    ],
)
def test_one_mistake(line: str, where: str, message: str) -> None:
    found = refused(f"{MINIMAL}{MONITOR}{line}\n")
    assert found[0] == f"service.web.monitor.{where}"
    assert message in found[1]


@pytest.mark.parametrize("line", ["path = 'health'", "path = '/a b'", "status = []", "status = [99]", "status = 600"])
def test_pages_and_statuses_that_are_none(line: str) -> None:
    where, _ = refused(f"{MINIMAL}{MONITOR}kind = 'http'\n{line}\n")
    assert where.startswith(f"service.web.monitor.{line.partition(' ')[0]}")


def test_a_standby() -> None:
    second = '\n[service.web.server.b]\naddress = "127.0.0.1:8001"\nstandby = true\n'
    servers = service(MINIMAL + second)["admission"]["servers"]
    assert [server["standby"] for server in servers] == [False, True]


def test_a_pool_of_standbys_is_refused() -> None:
    where, message = refused(f"{MINIMAL}standby = true\n")
    assert where == "service.web.server.a.standby"
    assert "none to stand by for" in message


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ("", 8),
        ('interval = "100ms"\ntimeout = "300ms"\n', 12),
        ('interval = "100ms"\ntimeout = "301ms"\n', 16),
        ('interval = "1h"\ntimeout = "10ms"\n', 8),
    ],
)
def test_the_headroom_follows_from_the_monitors(keys: str, kept: int) -> None:
    assert headroom(parse_config(MINIMAL, FILE)) == 8
    assert headroom(parse_config(f"{MINIMAL}{MONITOR}{keys}", FILE)) == kept
    own = parse_config(f"[gate.ports]\nheadroom = 5\n\n{MINIMAL}{MONITOR}{keys}", FILE)
    assert json.loads(plan_for(own))["ports"]["headroom"] == 5


@pytest.mark.parametrize(
    ("ports", "where", "message"),
    [
        ('[gate.ports]\nrange = "20000-20039"\n', "gate.ports.range", "40 ports are kept for probes, as the monitors"),
        ("", "service.web.monitor.interval", "at this pace 1440000 ports are kept for probes"),
    ],
)
def test_a_headroom_that_leaves_nothing_is_refused_with_its_line(ports: str, where: str, message: str) -> None:
    pace = 'timeout = "100ms"\ninterval = "10ms"\n' if ports else 'timeout = "1h"\ninterval = "10ms"\n'
    text = f"{ports}\n{MINIMAL}{MONITOR}{pace}"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    (problem,) = caught.value.problems
    assert problem.where == where
    assert problem.message.startswith(message)
    line = text.splitlines()[problem.line - 1]
    assert line.startswith("range" if ports else "interval")
    assert "headroom" in problem.hint
