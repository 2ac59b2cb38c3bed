"""A run's targets from vcsim: clusters, folders and tags, and a REST interface that says "not now"."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.clients.http import Request
from tidegate.clients.tagging import tagged
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Host
from tidegate.fleet.model import TargetsVcenter
from tidegate.fleet.vcenter_targets import ask_vcenter
from vcenters import PASSWORD_ENV, Vcsim, tag, vcsim

pytestmark = pytest.mark.peer("vcsim")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=2, host=2, standalone_host=1) as running:
        yield running


def targets(running: Vcsim, **more: Any) -> list[Host]:
    table = {
        "address": "127.0.0.1",
        "port": running.port,
        "user": "operator",
        "password_env": PASSWORD_ENV,
        "ca": running.authority.ca,
    }
    return list(asyncio.run(ask_vcenter(TargetsVcenter.model_validate({**table, **more}))))


def test_everything_when_nothing_is_chosen(own: Vcsim) -> None:
    hosts = targets(own)
    assert len(hosts) == 5
    assert {host.labels.get("cluster_size") for host in hosts} == {"2", None}
    assert all(host.labels["moid"].startswith("host-") for host in hosts)
    assert len({host.address for host in hosts}) == 5


def test_clusters_folders_and_tags_add_up(own: Vcsim) -> None:
    by_name = {host.name: host for host in targets(own)}
    first, second = sorted({host.cluster for host in by_name.values() if host.cluster})
    alone = next(host for host in by_name.values() if not host.cluster)
    assert {host.cluster for host in targets(own, clusters=[first])} == {first}
    tag(own, "wave", "two", ("HostSystem", alone.labels["moid"]))
    assert [host.name for host in targets(own, tags=["two"])] == [alone.name]
    chosen = targets(own, clusters=[second], tags=["wave:two"])
    assert {host.cluster for host in chosen} == {second, ""}
    folder = alone.labels["folder"]
    assert len(targets(own, folders=[folder])) == 5


def test_objects_of_several_tags_at_once(own: Vcsim) -> None:
    tag(own, "wave", "one", ("HostSystem", "host-1"), ("Folder", "group-h4"))
    tag(own, "rack", "two")

    async def ask() -> dict[str, list[tuple[str, str]]]:
        rest = VcenterRest(own.options())
        found = await tagged(rest, ("wave:one", "two"))
        await rest.close()
        return {text: sorted(pairs) for text, pairs in found.items()}

    assert asyncio.run(ask()) == {"wave:one": [("Folder", "group-h4"), ("HostSystem", "host-1")], "two": []}


def test_a_tag_of_a_folder_is_its_hosts_tag(own: Vcsim) -> None:
    async def datacenter() -> str:
        vcenter = Vcenter(own.options())
        found = await vcenter.hosts()
        await vcenter.close()
        (top,) = {host.above[-1] for host in found}
        return top

    tag(own, "wave", "all", ("Datacenter", asyncio.run(datacenter())))
    assert len(targets(own, tags=["all"])) == 5


def test_tags_that_are_not_there_or_not_clear(own: Vcsim) -> None:
    with pytest.raises(FleetError, match='no tag "two"'):
        targets(own, tags=["two"])
    tag(own, "wave", "two")
    tag(own, "rack", "two")
    with pytest.raises(FleetError, match="in several categories: rack, wave"):
        targets(own, tags=["two"])
    assert targets(own, tags=["rack:two"]) == []


def test_not_now_is_heeded(own: Vcsim) -> None:
    tag(own, "wave", "two")
    own.control("busy", count=2, status=429, after=0)
    assert targets(own, tags=["two"]) == []
    own.control("busy", count=99, status=429, after=0)
    with pytest.raises(HostUnreachable, match="it answers 429"):
        targets(own, tags=["two"])


def test_a_rest_session_that_ended_is_replaced_and_the_last_one_given_back(own: Vcsim) -> None:
    async def whole() -> None:
        rest = VcenterRest(own.options())
        assert await rest.wanted(Request("GET", "/api/cis/tagging/tag")) == []
        rest._http.headers["vmware-api-session-id"] = "gone"
        assert await rest.wanted(Request("GET", "/api/cis/tagging/tag")) == []
        await rest.close()

    asyncio.run(whole())
    calls = own.control("seen")["calls"]
    assert calls.count("POST /api/session") == 2
    assert calls.count("DELETE /api/session") == 1


def test_a_wrong_password(own: Vcsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "no")

    async def whole() -> None:
        rest = VcenterRest(own.options(password_env="WRONG"))
        try:
            await rest.wanted(Request("GET", "/api/cis/tagging/tag"))
        finally:
            await rest.close()

    with pytest.raises(FleetError, match="refuses the login of operator"):
        asyncio.run(whole())
