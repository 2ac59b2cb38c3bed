"""Latencies on their way to the gate: what is told, where they come from, and that an old one holds nobody."""

import json
import math
from pathlib import Path
from queue import SimpleQueue

import pytest

from tidegate.clients.vcenter_machines import Place
from tidegate.config.load import parse_config
from tidegate.errors import GateError
from tidegate.gate.latency import Feeds, look_of, sources_of

FILE = Path("/etc/tidegate/gate.toml")
TEXT = """\
[service.vc]
listen = "127.0.0.1:0"
protocol = "vcenter"

[service.vc.server.b]
address = "192.0.2.9:443"
standby = true
tls.insecure = true

[service.vc.server.a]
address = "[::1]:1"
tls = {sha256 = "SHA"}

[service.vc.vcenter]
broker = "off"

[service.vc.vcenter.pace]
interval = "30s"
account = {user = "counters", password_file = "counters"}
""".replace("SHA", "ab" * 32)


def test_a_look() -> None:
    places = {"vm-1": Place("host-1", ("datastore-1",)), "vm-2": Place(None, ())}
    assert json.loads(look_of("vc", {"datastore-2": math.nan, "datastore-1": 18.25}, places)) == {
        "service": "vc",
        "datastores": [{"id": "datastore-1", "latency_us": 18_250}, {"id": "datastore-2", "latency_us": None}],
        "vms": {
            "vm-1": {"host": "host-1", "datastores": ["datastore-1"]},
            "vm-2": {"host": None, "datastores": []},
        },
    }
    assert json.loads(look_of("vc", {}, None))["vms"] is None


def test_a_look_is_bounded() -> None:
    many = {f"datastore-{n}": 1e300 for n in range(5000)}
    look = json.loads(look_of("vc", many, {"vm-1": Place(None, tuple(many))}))
    assert len(look["datastores"]) == 4096
    assert look["datastores"][0]["latency_us"] == 2**32 - 1
    assert len(look["vms"]["vm-1"]["datastores"]) == 16
    assert len(json.loads(look_of("vc", {}, {f"vm-{n}": Place(None, ()) for n in range(70_000)}))["vms"]) == 65_536


def test_a_source_is_the_server_that_serves() -> None:
    (source,) = sources_of(parse_config(TEXT, FILE))
    options = source.options
    assert (source.service, source.interval_s) == ("vc", 30.0)
    assert (options.address, options.port, options.user) == ("::1", 1, "counters")
    assert (options.thumbprint, options.ca, options.verify) == (":".join(["AB"] * 32), None, True)
    assert options.password_file == FILE.with_name("counters")


def test_an_account_may_verify_in_its_own_way() -> None:
    (source,) = sources_of(parse_config(TEXT.replace('"counters"}', '"counters", ca = "ca.pem"}'), FILE))
    assert (source.options.ca, source.options.thumbprint) == (FILE.with_name("ca.pem"), None)


def test_without_an_account_there_is_none() -> None:
    account = next(line for line in TEXT.splitlines() if line.startswith("account"))
    assert sources_of(parse_config(TEXT.replace(account, ""), FILE)) == []


def test_one_that_cannot_read_says_so_and_its_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_VCENTER_PASSWORD", "x")
    said: SimpleQueue[str] = SimpleQueue()
    feeds = Feeds(lambda _: None, said.put)
    config = parse_config(TEXT, FILE)
    feeds.follow(config)
    feeds.follow(config)
    assert said.get(timeout=60).startswith("no latencies of datastores for vc, none is waited for: ")
    feeds.close()
    assert said.empty()


def test_what_the_gate_refuses_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    said: SimpleQueue[str] = SimpleQueue()

    def refuse(_: str) -> None:
        raise GateError("there is no service", hint="")

    monkeypatch.setenv("TIDEGATE_VCENTER_PASSWORD", "x")
    feeds = Feeds(refuse, said.put)
    feeds.follow(parse_config(TEXT, FILE))
    assert said.get(timeout=60)
    feeds.close()
