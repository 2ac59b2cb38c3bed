"""The vCenter client at vcsim: inventory, states, services, maintenance, tasks, counters, and what can go wrong."""

from __future__ import annotations

import asyncio
import hashlib
import math
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from fakes import Authority
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_counters import Counters
from tidegate.clients.vcenter_inventory import select
from tidegate.clients.vcenter_latency import worst
from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.clients.vmomi import vim
from tidegate.errors import FleetError, HostUnreachable
from vcenters import PASSWORD_ENV, Vcsim, vcsim

pytestmark = pytest.mark.peer("vcsim")

T = TypeVar("T")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vcsim]:
    with pytest.MonkeyPatch.context() as patch, vcsim(tmp_path_factory.mktemp("vcsim"), patch, folder=1) as running:
        yield running


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=1, host=2, standalone_host=0) as running:
        yield running


def ask(options: VcenterOptions, question: Callable[[Vcenter], Awaitable[T]]) -> T:
    async def through() -> T:
        vcenter = Vcenter(options, sleep=lambda _: asyncio.sleep(0))
        try:
            return await question(vcenter)
        finally:
            await vcenter.close()

    return asyncio.run(through())


def first_host(running: Vcsim) -> str:
    return ask(running.options(), lambda vcenter: vcenter.hosts())[0].moid


def test_inventory_with_clusters_and_folders(shared: Vcsim) -> None:
    hosts = ask(shared.options(), lambda vcenter: vcenter.hosts())
    assert len(hosts) == 2 * 3 + 1
    in_clusters = [host for host in hosts if host.cluster]
    assert {host.cluster_size for host in in_clusters} == {3}
    assert len({host.moid for host in hosts}) == 7
    clusters = sorted({host.cluster for host in in_clusters})
    one = select(hosts, [clusters[0]], [])
    assert [host.cluster for host in one] == [clusters[0]] * 3
    # A folder is a name or a path; the datacenter's own is in everybody's path.
    folder = one[0].folders
    assert "host" in folder
    assert set(select(hosts, [], ["/".join(folder)])) >= set(one)
    assert select(hosts, [], [folder[0]]) == hosts
    with pytest.raises(FleetError, match="no cluster") as caught:
        select(hosts, [f"{clusters[0]}x"], [])
    assert caught.value.hint == f'did you mean "{clusters[0]}"?'
    with pytest.raises(FleetError, match='no folder "nowhere"'):
        select(hosts, [], ["nowhere"])


def test_pages_are_bounded_and_complete(shared: Vcsim) -> None:
    whole = ask(shared.options(), lambda vcenter: vcenter.hosts())
    assert ask(shared.options(page=2), lambda vcenter: vcenter.hosts()) == whole


def test_machines_on_vvols_are_counted_by_host(own: Vcsim) -> None:
    assert {host.vvol_machines for host in ask(own.options(), lambda vcenter: vcenter.hosts())} == {None}
    own.control("vvol", datastore="LocalDS_0")
    hosts = ask(own.options(), lambda vcenter: vcenter.hosts())
    assert sum(host.vvol_machines or 0 for host in hosts) == 1


def test_maintenance_mode_and_back(own: Vcsim) -> None:
    host = first_host(own)

    async def whole(vcenter: Vcenter) -> list[bool]:
        seen = [(await vcenter.host_state(host)).maintenance]
        await vcenter.enter_maintenance(host, 60)
        await vcenter.enter_maintenance(host, 60)
        seen.append((await vcenter.host_state(host)).maintenance)
        await vcenter.exit_maintenance(host, 60)
        seen.append((await vcenter.host_state(host)).maintenance)
        return seen

    assert ask(own.options(), whole) == [False, True, False]


def test_a_host_in_transition_and_in_lockdown_is_seen(own: Vcsim) -> None:
    host = first_host(own)
    own.control("task", host=host, name="HostSystem.enterMaintenanceMode", user="alice")
    own.control("lockdown", host=host, mode="lockdownStrict")
    state = ask(own.options(), lambda vcenter: vcenter.host_state(host))
    assert (state.connected, state.maintenance) == (True, False)
    assert (state.moving, state.lockdown) == ("enters maintenance mode", "strict")


def test_running_tasks_are_listed(own: Vcsim) -> None:
    host = first_host(own)
    assert ask(own.options(), lambda vcenter: vcenter.running_tasks()) == []
    own.control("task", host=host, name="VirtualMachine.createSnapshot", user="backup@vsphere.local")
    (task,) = ask(own.options(), lambda vcenter: vcenter.running_tasks())
    assert (task.name, task.user, task.state) == ("VirtualMachine.createSnapshot", "backup@vsphere.local", "running")
    assert task.since is not None


def test_services_of_a_host(own: Vcsim) -> None:
    host = first_host(own)

    async def whole(vcenter: Vcenter) -> list[object]:
        seen: list[object] = [(await vcenter.services(host))["TSM-SSH"]]
        seen.append(await vcenter.service(host, "TSM-SSH", "start"))
        seen.append((await vcenter.services(host))["TSM-SSH"])
        seen.append(await vcenter.service(host, "TSM-SSH", "stop"))
        seen.append((await vcenter.services(host))["TSM-SSH"])
        seen.append(await vcenter.service(host, "vvold", "restart"))
        return seen

    assert ask(own.options(), whole) == [False, True, True, True, False, False]


def test_latency_is_the_worst_hosts_and_has_an_age(own: Vcsim) -> None:
    hosts = ask(own.options(), lambda vcenter: vcenter.hosts())

    async def read(vcenter: Vcenter) -> tuple[dict[str, float], dict[str, tuple[str, float]]]:
        counters = Counters(vcenter)
        latencies = await counters.latencies()
        return latencies, {name: (one.kind, one.ms) for name, one in worst(await counters.samples()).items()}

    # Nobody has measured yet: that is not 0 ms.
    assert ask(own.options(), read) == ({}, {})
    datastores = ask(own.options(), datastore_ids)
    first, second = sorted(datastores)
    own.control("latency", host=hosts[0].moid, datastore=datastores[first], read=3, write=12, age=5)
    own.control("latency", host=hosts[1].moid, datastore=datastores[first], read=31, write=4, age=20)
    latencies, kinds = ask(own.options(), read)
    assert latencies == {first: 31.0}
    assert kinds == {first: ("read", 31.0)}
    # An old sample is no sample; one of -1 is none either. Both are said.
    own.control("latency", host=hosts[1].moid, datastore=datastores[first], read=31, write=4, age=90)
    assert ask(own.options(), read)[0] == {first: 12.0}
    own.control("latency", host=hosts[0].moid, datastore=datastores[first], read=-1, write=-1, age=5)
    assert str(ask(own.options(), read)[0]) == str({first: math.nan})
    assert second not in ask(own.options(), read)[1]


async def datastore_ids(vcenter: Vcenter) -> dict[str, str]:
    def read(_: object, content: object) -> dict[str, str]:
        from tidegate.clients.vcenter_read import read_all
        from tidegate.clients.vmomi import id_of

        return {seen["name"]: id_of(thing) for thing, seen in read_all(content, vim.Datastore, ("name",), 10)}

    return await vcenter.session.call(read)


def test_a_session_that_was_ended_is_replaced(own: Vcsim) -> None:
    async def whole(vcenter: Vcenter) -> int:
        before = await vcenter.hosts()
        key = await vcenter.session.call(lambda _, content: content.sessionManager.currentSession.key)
        other = Vcenter(own.options())
        await other.session.call(lambda _, content: content.sessionManager.TerminateSession([key]))
        await other.close()
        assert await vcenter.hosts() == before
        return len(before)

    assert ask(own.options(), whole) == 2


def test_many_questions_at_once(shared: Vcsim) -> None:
    async def crowd(vcenter: Vcenter) -> list[int]:
        return [len(hosts) for hosts in await asyncio.gather(*(vcenter.hosts() for _ in range(8)))]

    assert ask(shared.options(page=2), crowd) == [7] * 8


def test_after_a_close_it_is_used_by_another_loop(shared: Vcsim) -> None:
    vcenter = Vcenter(shared.options())

    async def crowd() -> list[int]:
        found = await asyncio.gather(*(vcenter.hosts() for _ in range(3)))
        await vcenter.close()
        return [len(hosts) for hosts in found]

    assert asyncio.run(crowd()) == asyncio.run(crowd()) == [7] * 3


def test_a_wrong_password(shared: Vcsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "no")
    with pytest.raises(FleetError, match="refuses the login of operator") as caught:
        ask(shared.options(password_env="WRONG"), lambda vcenter: vcenter.hosts())
    assert "$WRONG" in caught.value.hint
    assert "no" not in caught.value.message.split()


def test_no_password(shared: Vcsim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_ENV)
    with pytest.raises(FleetError, match="is not set"):
        ask(shared.options(), lambda vcenter: vcenter.hosts())


def test_a_wrong_authority(shared: Vcsim, tmp_path: Path) -> None:
    with pytest.raises(HostUnreachable, match="nobody vouches for") as caught:
        ask(shared.options(ca=Authority(tmp_path).ca), lambda vcenter: vcenter.hosts())
    assert "thumbprint" in caught.value.hint


def test_a_thumbprint_is_enough_and_a_wrong_one_is_refused(shared: Vcsim) -> None:
    pem = ssl.get_server_certificate(("127.0.0.1", shared.port))
    shown = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    colons = ":".join(shown[i : i + 2] for i in range(0, 64, 2)).upper()
    assert len(ask(shared.options(ca=None, thumbprint=colons), lambda vcenter: vcenter.hosts())) == 7
    with pytest.raises(HostUnreachable, match="another thumbprint") as caught:
        ask(shared.options(ca=None, thumbprint="0" * 64), lambda vcenter: vcenter.hosts())
    assert shown in caught.value.hint


def test_not_verifying_is_loud(shared: Vcsim, caplog: pytest.LogCaptureFixture) -> None:
    options = shared.options(ca=None, verify=False)
    assert len(ask(options, lambda vcenter: vcenter.hosts())) == 7
    assert "NOT verified" in caplog.text
    assert "NOT verified" in Vcenter(options).warnings[0]


def test_a_vcenter_that_goes_away_in_the_middle(own: Vcsim) -> None:
    async def whole(vcenter: Vcenter) -> None:
        assert len(await vcenter.hosts()) == 2
        await asyncio.to_thread(own.kill)
        with pytest.raises(HostUnreachable, match="does not answer"):
            await vcenter.hosts()

    ask(own.options(), whole)


def test_a_vcenter_that_is_not_there(own: Vcsim) -> None:
    options = own.options()
    own.kill()
    with pytest.raises(HostUnreachable, match="does not answer"):
        ask(options, lambda vcenter: vcenter.hosts())
