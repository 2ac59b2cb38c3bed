"""What guards read, from real sockets: a web server, a gate's socket, files."""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fakes import STATUS, Authority, fake_admin, web_server
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.guard_tables import AlertTable, DatastoreLatencyTable, ErrorRateTable, ProviderResponseTable
from tidegate.fleet.probes import (
    AlertFile,
    AlertUrl,
    DatastoreProbe,
    GateErrors,
    GateResponse,
    Page,
    UrlErrors,
    UrlResponse,
    alert_in,
    probes_of,
)

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def sampled(probe: Any) -> float:
    return float(run(probe.sample()))


def refused(probe: Any) -> FleetError:
    with pytest.raises(FleetError) as caught:
        run(probe.sample())
    return caught.value


class Ticking:
    """A clock that goes on by half a second whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def test_a_get_is_timed() -> None:
    with web_server({"/vasa/version.xml": "<supportedVersions/>"}) as address:
        assert sampled(UrlResponse("vp", Page(f"http://{address}/vasa/version.xml"), Ticking())) == 0.5


def test_certificates_are_checked_unless_told_otherwise(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with web_server({"/": "x"}, authority.server_context("127.0.0.1", ask_clients=False)) as address:
        url = f"https://{address}/"
        assert "certificate verify failed" in refused(UrlResponse("vp", Page(url))).message
        assert sampled(UrlResponse("vp", Page(url, ca=authority.ca), Ticking())) == 0.5
        assert sampled(UrlResponse("vp", Page(url, verify=False), Ticking())) == 0.5


def test_nobody_there_is_no_sample_and_is_said() -> None:
    error = refused(UrlResponse("vp", Page("http://user:secret@127.0.0.1:9/?token=abc")))
    assert isinstance(error, HostUnreachable)
    assert error.message.startswith("http://127.0.0.1:9/ does not answer")
    assert "secret" not in error.message
    assert refused(AlertUrl("a", Page("http://127.0.0.1:9/?x=abc#y"))).message.startswith("http://127.0.0.1:9/ does")


def test_a_token_comes_from_the_environment_or_a_file_and_is_never_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, bearers, file = Authority(tmp_path), list[str](), tmp_path / "token"
    file.write_text("of-the-file\n")
    file.chmod(0o600)
    context = authority.server_context("127.0.0.1", ask_clients=False)
    with web_server({"/": "ok"}, context, bearers=bearers) as address:
        where: dict[str, Any] = {"kind": "alert", "url": f"https://{address}/?a=b", "ca": authority.ca}
        (by_file,) = probes_of({"a": AlertTable(**where, token_file=file)})
        (by_name,) = probes_of({"a": AlertTable(**where, token_env="GUARD_TOKEN")})
        assert "answers 404" in refused(by_file).message
        error = refused(by_name)
        assert error.message == f"no token for https://{address}/: $GUARD_TOKEN is not set"
        assert error.hint == "export GUARD_TOKEN, or name a token_file of mode 0600"
        monkeypatch.setenv("GUARD_TOKEN", "of-the-name")
        refused(by_name)
        monkeypatch.setenv("GUARD_TOKEN", "5EC2E7\r\nX-Other: 1")
        assert "5EC2E7" not in refused(by_name).message
        file.chmod(0o644)
        assert f"others can read {file}, the token for" in refused(by_file).message
    assert bearers == ["Bearer of-the-file", "Bearer of-the-name"]
    assert "of-the-name" not in repr(by_name)


def test_who_never_answers_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page = Page(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout_s=0.05)
        assert "within 0.05 s" in refused(UrlResponse("vp", page)).message


def test_a_ca_that_cannot_be_read_is_no_sample(tmp_path: Path) -> None:
    error = refused(UrlResponse("vp", Page("https://127.0.0.1:9/", ca=tmp_path / "none.pem")))
    assert "No such file" in error.message


def test_a_gate_says_how_long_its_servers_take(tmp_path: Path) -> None:
    with fake_admin(tmp_path / "admin.sock") as gate:
        probe = GateResponse("vp", Page("http://gate/status", socket=gate.path))
        assert sampled(probe) == 0.9
        gate.status["services"][0]["servers"][0]["why"]["unit_s"] = None
        assert "measured no response time" in refused(probe).message
        gate.status["services"][0]["servers"][0]["phase"] = "down"
        assert "says that vp-a is down" in refused(probe).message


def test_a_gate_that_is_away_or_none_is_said(tmp_path: Path) -> None:
    page = Page("http://gate/status", socket=tmp_path / "nobody.sock")
    assert f"the gate at {tmp_path}/nobody.sock does not answer" in refused(GateResponse("vp", page)).message
    with web_server({"/status": '{"services": [{}]}'}) as address:
        assert "is not a gate" in refused(GateResponse("vp", Page(f"http://{address}/status"))).message


@pytest.mark.parametrize("why", [3, "0.9", {"unit_s": "many"}, {"unit_s": [0.9]}, {"unit_s": {}}])
def test_a_gate_whose_status_is_odd_is_no_sample(tmp_path: Path, why: Any) -> None:
    with fake_admin(tmp_path / "admin.sock") as gate:
        page = Page("http://gate/status", socket=gate.path)
        gate.status["services"][0]["servers"][0]["why"] = why
        assert f"the status of the gate at {gate.path} is odd: " in refused(GateResponse("vp", page)).message
        gate.status["services"][0]["servers"] = ["vp-a"]
        assert " is odd: AttributeError: " in refused(GateResponse("vp", page)).message
        gate.status["services"][0]["counters"] = {"answered": [7]}
        assert " is odd: TypeError: " in refused(GateErrors("bad", page)).message


def test_a_gate_says_what_failed_since_it_was_asked_last(tmp_path: Path) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        change(answered=8, turned_away_total=1, overload=1)

    with fake_admin(tmp_path / "admin.sock") as gate:

        def change(**more: int) -> None:
            counters = gate.status["services"][0]["counters"]
            for key, value in more.items():
                counters[key] = counters.get(key, 0) + value

        change(answered=100, broken=100)
        probe = GateErrors("bad", Page("http://gate/status", socket=gate.path), sleep)
        assert sampled(probe) == pytest.approx(0.2)
        assert len(waited) == 1
        assert sampled(probe) == 0.0  # no call since
        change(expired=3, answered=1)
        assert sampled(probe) == pytest.approx(0.75)
        gate.status = copy.deepcopy(STATUS)  # it has begun anew
        change(answered=9, broken=1)
        assert sampled(probe) == pytest.approx(0.1)


def test_gets_that_fail_are_counted_and_a_dead_server_is_a_sample() -> None:
    with web_server({"/": "x"}) as address:
        probe = UrlErrors("bad", Page(f"http://{address}/"))
        assert [sampled(probe) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert sampled(probe) == 0.25


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({}, "no latency of a"),
        ({"b": 0.001}, "no latency of a"),
        ({"a": -0.001, "b": 0.5}, "no latency of a"),
        ({"a": float("nan")}, "no latency of a"),
    ],
)
def test_a_datastore_that_nobody_knows_is_no_sample(found: dict[str, float], says: str) -> None:
    async def latencies(names: Sequence[str]) -> Mapping[str, float]:
        assert names == ("a",)
        return found

    assert says in refused(DatastoreProbe("disk", ("a",), latencies)).message


def test_the_worst_datastore_counts() -> None:
    async def latencies(_: Sequence[str]) -> Mapping[str, float]:
        return {"a": 3.0, "b": 21.0, "c": 0.0}

    assert sampled(DatastoreProbe("disk", (), latencies)) == 0.021


def test_a_datastore_that_is_no_longer_there_is_no_sample() -> None:
    given = [{"a": 3.0, "b": 21.0}, {"a": 3.0}, {"a": 3.0, "b": 4.0}]

    async def latencies(_: Sequence[str]) -> Mapping[str, float]:
        return given.pop(0)

    probe = DatastoreProbe("disk", (), latencies)
    assert sampled(probe) == 0.021
    assert "no latency of b" in refused(probe).message
    assert sampled(probe) == 0.004


def test_a_vcenter_that_hangs_is_left() -> None:
    async def latencies(_: Sequence[str]) -> Mapping[str, float]:
        await asyncio.Event().wait()
        return {}

    assert "no counters within 0.01 s" in refused(DatastoreProbe("disk", (), latencies, timeout_s=0.01)).message


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("firing", True),
        ("FIRING since 02:00\n", True),
        ("1", True),
        ("0\n", False),
        ("ok", False),
        ("resolved", False),
        ("", None),
        ("confiring", None),
        ("[]", False),
        ('[{"status": {"state": "active"}, "labels": {"alertname": "Storm"}}]', True),
        ('[{"status": {"state": "suppressed"}}]', False),
        ('[{"status": {"state": "suppressed"}}, {"status": {"state": "active"}}]', True),
        ('{"status": "success", "data": {"alerts": [{"state": "firing"}]}}', True),
        ('{"status": "success", "data": {"alerts": [{"state": "pending"}]}}', False),
        ('{"status": "error", "error": "x"}', None),
        ('[{"labels": {}}]', None),
        ("[" * 100_000, None),
    ],
)
def test_what_says_that_an_alert_fires(body: str, fires: bool | None) -> None:
    assert alert_in(body.encode()) is fires


def test_an_alert_from_a_file_or_a_url(tmp_path: Path) -> None:
    file = tmp_path / "alert"
    assert "cannot be read: No such file" in refused(AlertFile("a", file)).message
    file.write_text("firing")
    assert sampled(AlertFile("a", file)) == 1.0
    file.write_text("perhaps")
    assert "says neither firing nor ok" in refused(AlertFile("a", file)).message
    with web_server({"/api/v2/alerts": "[]", "/other": "<html>"}) as address:
        (probe,) = probes_of({"a": AlertTable(kind="alert", url=f"http://{address}/api/v2/alerts")})
        assert sampled(probe) == 0.0
        (probe,) = probes_of({"a": AlertTable(kind="alert", url=f"http://{address}/other")})
        assert "does not say whether" in refused(probe).message
        (probe,) = probes_of({"a": AlertTable(kind="alert", url=f"http://{address}/none")})
        assert "answers 404" in refused(probe).message


def test_a_plan_gives_its_probes(tmp_path: Path) -> None:
    with fake_admin(tmp_path / "admin.sock") as gate:
        written = Path(f"unix:{gate.path}")  # as the gate's own file says it
        probes = probes_of(
            {
                "vp": ProviderResponseTable(kind="provider-response", gate=written),
                "bad": ErrorRateTable(kind="error-rate", url="http://127.0.0.1:9/"),
            }
        )
        assert [probe.name for probe in probes] == ["vp", "bad"]
        assert [sampled(probe) for probe in probes] == [0.9, 1.0]


def test_latency_without_a_vcenter_is_refused() -> None:
    with pytest.raises(FleetError, match="needs a vCenter"):
        probes_of({"disk": DatastoreLatencyTable(kind="datastore-latency")})
