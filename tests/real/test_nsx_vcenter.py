"""A host leaves ENS with maintenance mode at vcsim and its mode at the lab's NSX Manager."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from managers import Managers
from tidegate.clients.vcenter import Vcenter
from tidegate.errors import FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.plans.nsx_estate import Clock, Estate
from tidegate.fleet.plans.nsx_mode import ModeOptions
from tidegate.fleet.plans.nsx_reach import VcenterMaintenance
from tidegate.fleet.plans.nsx_standard import EnsToStandard
from tidegate.lab.nsx_server import NsxServer
from vcenters import vcsim

pytestmark = pytest.mark.peer("vcsim")


class Followed(VcenterMaintenance):
    """vCenter's maintenance mode; NSX hears of it, as the real one does."""

    def __init__(self, vcenter: Vcenter, server: NsxServer) -> None:
        super().__init__(vcenter, 60)
        self._server = server

    async def enter(self, host: Host) -> None:
        await super().enter(host)
        await self.tell(host)

    async def leave(self, host: Host) -> None:
        await super().leave(host)
        await self.tell(host)

    async def tell(self, host: Host) -> None:
        node = next(node for node in self._server.nodes.values() if node.name == host.name)
        node.maintenance = await self.state(host) == "in"


def test_a_host_leaves_ens_between_two_tasks_of_vcenter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(vcenter: Vcenter, managers: Managers) -> None:
        found = await vcenter.hosts()
        async with managers.nsx() as server:
            server.offered = ("STANDARD", "ENS", "LEGACY")
            for one in found:
                server.add_node(one.name, lag=2, cluster=one.cluster)
            maintenance = Followed(vcenter, server)
            clock = Clock(managers.clock.time, managers.clock.sleep)
            work = EnsToStandard(Estate(managers.nsx_client(server), maintenance, None, clock), ModeOptions())
            hosts = [Host(one.name, one.name, one.cluster) for one in found]
            before = await work.look("mode", hosts[0])
            assert before["maintenance"] == "out"
            await work.act("mode", hosts[0], before)
            assert (await work.verify("mode", hosts[0], before)).ok
            assert not (await vcenter.host_state(found[0].moid)).maintenance
            # Somebody else's maintenance: refused, and left as it is.
            await vcenter.enter_maintenance(found[1].moid, 60)
            with pytest.raises(FleetError, match="somebody is at work on them"):
                await _hinted(work, hosts)
            with pytest.raises(FleetError, match="in maintenance mode already"):
                await work.act("mode", hosts[1], await work.look("mode", hosts[1]))
            assert (await vcenter.host_state(found[1].moid)).maintenance
            await work.close()

    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=1, host=2, standalone_host=0) as running:
        vcenter = Vcenter(running.options(), sleep=lambda _: asyncio.sleep(0))
        asyncio.run(play(vcenter, Managers(tmp_path)))


async def _hinted(work: EnsToStandard, hosts: list[Host]) -> None:
    """Prepare; what is raised says its hint too."""
    try:
        await work.prepare(hosts)
    except FleetError as error:
        raise FleetError(f"{error.message}: {error.hint}") from error
