"""Paced work at vcsim: machines by cluster and folder, latency of datastores, one session for every command."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tidegate.cli.app import main
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_machines import all_machines
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet import model
from tidegate.fleet.pace_vcenter import connect
from tidegate.fleet.pace_vsphere import VcenterForPace
from tidegate.fleet.probes import DatastoreProbe
from vcenters import PASSWORD_ENV, Vcsim, known, tag, vcsim

pytestmark = pytest.mark.peer("vcsim")

T = TypeVar("T")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=2, host=2, standalone_host=0, vm=2) as running:
        yield running


def ask(running: Vcsim, question: Callable[[VcenterForPace], Awaitable[T]]) -> T:
    async def through() -> T:
        vcenter = VcenterForPace(Vcenter(running.options()))
        try:
            return await question(vcenter)
        finally:
            await vcenter.close()

    return asyncio.run(through())


def test_machines_of_a_cluster_or_a_folder(own: Vcsim) -> None:
    assert ask(own, lambda vcenter: vcenter.vms(["DC0_C0"], [])) == ["DC0_C0_RP0_VM0", "DC0_C0_RP0_VM1"]
    assert len(ask(own, lambda vcenter: vcenter.vms([], ["DC0/vm"]))) == 4
    with pytest.raises(FleetError, match='no cluster "DC0_C7" with machines'):
        ask(own, lambda vcenter: vcenter.vms(["DC0_C7"], []))
    with pytest.raises(FleetError, match='no folder "nowhere" with machines'):
        ask(own, lambda vcenter: vcenter.vms([], ["nowhere"]))


def test_machines_by_a_tag_of_their_own_or_of_what_they_are_in(own: Vcsim) -> None:
    machines = ask(own, lambda vcenter: vcenter._vcenter.session.call(lambda _, content: all_machines(content, 100)))
    first, cluster = machines[0], next(one.above[-1] for one in machines if one.cluster == "DC0_C1")
    tag(own, "backup", "nightly", ("VirtualMachine", first.moid), ("ClusterComputeResource", cluster))
    tag(own, "site", "all", ("Datacenter", first.above[-2]))
    tag(own, "rest", "none")
    wanted = sorted([first.name, *(one.name for one in machines if one.cluster == "DC0_C1")])
    assert ask(own, lambda vcenter: vcenter.vms([], [], ["backup:nightly"])) == wanted
    assert len(ask(own, lambda vcenter: vcenter.vms([], [], ["all"]))) == 4
    assert ask(own, lambda vcenter: vcenter.vms([], [], ["none"])) == []
    assert len(ask(own, lambda vcenter: vcenter.vms(["DC0_C0"], [], ["nightly"]))) == 4
    with pytest.raises(FleetError, match='no tag "nowhere"'):
        ask(own, lambda vcenter: vcenter.vms([], [], ["nowhere"]))


def test_the_worst_fresh_sample_of_a_datastore(own: Vcsim) -> None:
    hosts, ids = known(own)
    own.control("latency", host=hosts[0], datastore=ids["LocalDS_0"], read=3, write=21, age=5)
    own.control("latency", host=hosts[1], datastore=ids["LocalDS_1"], read=1, write=1, age=300)
    found = ask(own, lambda vcenter: vcenter.latencies(()))
    assert found["LocalDS_0"] == 21.0
    assert math.isnan(found["LocalDS_1"])
    probe = ask(own, lambda vcenter: DatastoreProbe("disk", ("LocalDS_0",), vcenter.latencies).sample())
    assert probe == pytest.approx(0.021)
    with pytest.raises(FleetError, match="no latency of LocalDS_1"):
        ask(own, lambda vcenter: DatastoreProbe("disk", (), vcenter.latencies).sample())


def test_a_vcenter_that_is_away_or_refuses_is_said(own: Vcsim) -> None:
    async def login(user: str) -> None:
        options = model.Vcenter(
            address="127.0.0.1", port=own.port, user=user, password_env=PASSWORD_ENV, ca=own.authority.ca
        )
        await (await connect(options)).close()

    asyncio.run(login("operator"))
    with pytest.raises(FleetError, match="refuses the login of somebody"):
        asyncio.run(login("somebody"))
    own.kill()
    with pytest.raises(HostUnreachable, match="does not answer"):
        asyncio.run(login("operator"))


# What a command does with the session that it is given: it is at home there, and there is no second one.
USES = """
import os, ssl, sys
import pyVmomi
stub = pyVmomi.SoapStubAdapter(
    "127.0.0.1", int(sys.argv[2]), version="vim.version.v7_0", path="/sdk",
    sslContext=ssl.create_default_context(cafile=sys.argv[3]),
)
stub.cookie = f'vmware_soap_session="{os.environ["TIDEGATE_SESSION"]}"'
manager = vars(pyVmomi)["vim"].ServiceInstance("ServiceInstance", stub).RetrieveContent().sessionManager
sys.exit(0 if manager.currentSession is not None and len(manager.sessionList) == 1 else 1)
"""


def test_all_commands_share_one_session(own: Vcsim, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts, ids = known(own)
    own.control("latency", host=hosts[0], datastore=ids["LocalDS_0"], read=3, write=4, age=0)
    plan = tmp_path / "night.toml"
    plan.write_text(
        f"""
        [pace]
        batch = 2
        concurrency = 2
        pause = "0s"
        [vms]
        clusters = ["DC0_C0", "DC0_C1"]
        [vcenter]
        address = "127.0.0.1"
        port = {own.port}
        user = "operator"
        password_env = "{PASSWORD_ENV}"
        ca = "{own.authority.ca}"
        [guard.disk]
        kind = "datastore-latency"
        datastores = ["LocalDS_0"]
        """
    )
    command = [sys.executable, "-c", USES, "{vm}", str(own.port), str(own.authority.ca)]
    code = main(["fleet", "pace", str(plan), "--output", "json", "--", *command])
    said = capsys.readouterr()
    assert code == 0, said.err + said.out
    assert json.loads(said.out)["done"] == 4
