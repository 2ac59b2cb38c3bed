"""The latencies of vcsim's datastores reach a gate, and are unknown again when vcsim is gone."""

import json
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tidegate.config.load import parse_config
from tidegate.config.model import Config
from tidegate.errors import GateError
from tidegate.gate.latency import Feeds
from tidegate.gate.service import Gate
from vcenters import PASSWORD_ENV, Vcsim, known, vcsim

pytestmark = pytest.mark.peer("vcsim")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=2, host=2, standalone_host=0, vm=2) as running:
        yield running


def config(folder: Path, running: Vcsim, more: str = "", host: str = "127.0.0.1") -> Config:
    text = f"""
[gate]
admin = "unix:{folder}/admin.sock"

[service.vc]
listen = "127.0.0.1:0"
protocol = "vcenter"
mode = "enforce"

[service.vc.server.a]
address = "{host}:{running.port}"
tls.ca = "{running.authority.ca}"
{more}

[service.vc.vcenter.pace]
interval = "100ms"
account = {{user = "operator", password_env = "{PASSWORD_ENV}"}}
"""
    return parse_config(text, folder / "gate.toml")


def test_latencies_and_places_are_told_by_id(own: Vcsim, tmp_path: Path) -> None:
    hosts, ids = known(own)
    own.control("latency", host=hosts[0], datastore=ids["LocalDS_0"], read=3, write=21, age=5)
    looks: SimpleQueue[str] = SimpleQueue()
    said: SimpleQueue[str] = SimpleQueue()
    feeds = Feeds(looks.put, said.put)
    feeds.follow(config(tmp_path, own))
    try:
        first = json.loads(looks.get(timeout=60))
        assert first["datastores"][0] == {"id": ids["LocalDS_0"], "latency_us": 21_000}
        assert len(first["vms"]) == 4
        placed: dict[str, Any] = next(iter(first["vms"].values()))
        assert placed["host"] in hosts
        assert set(placed["datastores"]) <= set(ids.values())
        assert json.loads(looks.get(timeout=60))["vms"] is None
        own.kill()
        assert "no latencies of datastores for vc" in said.get(timeout=60)
        told = json.loads(looks.get(timeout=60))
        while told["datastores"][0]["latency_us"] is not None:
            told = json.loads(looks.get(timeout=60))
        assert [one["id"] for one in told["datastores"]] == [ids["LocalDS_0"]]
    finally:
        feeds.close()


def test_a_gate_takes_them(own: Vcsim, tmp_path: Path) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    taken: SimpleQueue[str] = SimpleQueue()
    plan = config(tmp_path, own)
    with Gate(plan) as gate:

        def tell(look: str) -> None:
            gate.datastores(look)
            taken.put(look)

        feeds = Feeds(tell, said.put)
        feeds.follow(plan)
        assert taken.get(timeout=60)
        feeds.close()
        with pytest.raises(GateError, match='no service "other"'):
            gate.datastores('{"service": "other", "datastores": []}')
        with pytest.raises(GateError, match="is refused"):
            gate.datastores("{}")
    assert said.empty()


def test_a_vcenter_may_be_verified_by_a_name_that_does_not_lead_there(own: Vcsim, tmp_path: Path) -> None:
    for name, told in (("vc.test", "shows a certificate that nobody vouches for"), ("127.0.0.1", "")):
        looks: SimpleQueue[str] = SimpleQueue()
        feeds = Feeds(looks.put, looks.put)
        plan = config(tmp_path, own, f'tls.name = "{name}"', host="localhost")
        feeds.follow(plan)
        answer = looks.get(timeout=60)
        feeds.close()
        assert told in answer
        assert bool(told) == ("none is waited for" in answer)
