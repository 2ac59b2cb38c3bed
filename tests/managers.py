"""NSX and Avi of the lab for tests: real sockets and TLS in one loop, on a clock that passes when somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from fakes import Authority
from tidegate.clients.avi import Avi
from tidegate.clients.http import HttpOptions
from tidegate.clients.nsx import Nsx
from tidegate.clients.session import Pace
from tidegate.clients.tls import Trust
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.plans.nsx_estate import Clock, Estate, MaintenanceState
from tidegate.lab.avi_server import AviServer
from tidegate.lab.nsx_server import LabNode, NsxServer

__all__ = ["Cut", "HostsSay", "Managers", "Vcenter", "host_of"]


@dataclass
class Passing:
    """A clock that stands still, but for those who wait."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


class Cut:
    """Cuts a task off at the ``at``-th thing that happens to the managers, as a killed process is: in the middle.

    Things are requests before they are looked at, answers before they leave, and both ends of every move in vCenter.
    """

    def __init__(self, at: int) -> None:
        self._at = at
        self._things = 0
        self._task: asyncio.Task[object] | None = None

    def heard(self, *_: object) -> None:
        self._things += 1
        if self._things == self._at and self._task is not None:
            self._task.cancel()

    async def run(self, coroutine: Coroutine[object, object, object]) -> bool:
        """Run until it is cut off; return whether it was."""
        self._things = 0
        self._task = asyncio.ensure_future(coroutine)
        try:
            await self._task
        except asyncio.CancelledError:
            return True
        finally:
            self._task = None
        return False


class Managers:
    """What one test needs of both managers."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.clock = Passing()
        self.clients: list[Nsx | Avi] = []
        self.tls = self.authority.server_context("127.0.0.1", ask_clients=False)

    @property
    def pace(self) -> Pace:
        return Pace(now=self.clock.time, sleep=self.clock.sleep)

    def nsx(self) -> NsxServer:
        return NsxServer(self.tls, now=self.clock.time)

    def avi(self) -> AviServer:
        return AviServer(self.tls, now=self.clock.time)

    def options(self, port: int, whose: str, ca: Path | None = None) -> HttpOptions:
        trust = Trust(ca=ca or self.authority.ca)
        return HttpOptions("127.0.0.1", whose, port=port, trust=trust, tries=8, patience_s=180, at_once=40)

    def nsx_client(self, server: NsxServer, password: Callable[[], str] | None = None) -> Nsx:
        options = self.options(server.port, "NSX Manager nsx.example")
        client = Nsx.at(options, server.user, password or (lambda: server.password), pace=self.pace)
        self.clients.append(client)
        return client

    def avi_client(self, server: AviServer) -> Avi:
        options = self.options(server.port, "Avi Controller avi.example")
        client = Avi.at(options, server.user, lambda: server.password, pace=self.pace)
        self.clients.append(client)
        return client

    async def close(self) -> None:
        """Log every client out."""
        for client in self.clients:
            await client.close()

    def estate(self, server: NsxServer, vcenter: Vcenter | None = None, proof: HostsSay | None = None) -> Estate:
        clock = Clock(self.clock.time, self.clock.sleep)
        return Estate(self.nsx_client(server), vcenter, proof, clock)


class Vcenter:
    """Maintenance mode of the lab's hosts; every move is counted."""

    def __init__(self, server: NsxServer) -> None:
        self._server = server
        self.moves: list[str] = []
        self.moving: dict[str, MaintenanceState] = {}
        self.ssh_open: set[str] = set()
        self.killed = False
        self.heard: Callable[..., None] = lambda *_: None

    def node(self, host: Host) -> LabNode:
        return next(node for node in self._server.nodes.values() if node.name == host.name)

    async def state(self, host: Host) -> MaintenanceState:
        return self.moving.get(host.name, "in" if self.node(host).maintenance else "out")

    async def enter(self, host: Host) -> None:
        await self._move(host, True)

    async def leave(self, host: Host) -> None:
        await self._move(host, False)

    async def _move(self, host: Host, into: bool) -> None:
        self.heard()
        await asyncio.sleep(0)
        self.moves.append(f"{host.name} {'in' if into else 'out'}")
        self.node(host).maintenance = into
        self.heard()
        await asyncio.sleep(0)

    async def close(self) -> None:
        return


class HostsSay:
    """What ``esxcfg-nics -e`` says on the lab's hosts."""

    def __init__(self, vcenter: Vcenter) -> None:
        self._vcenter = vcenter
        self._opened: set[str] = set()
        self.mute: set[str] = set()
        self.given_back: list[str] = []
        self.still_open = ""

    async def ens_driven(self, host: Host) -> bool | None:
        if host.name not in self._vcenter.ssh_open:
            self._vcenter.ssh_open.add(host.name)
            self._opened.add(host.name)
        return None if host.name in self.mute else self._vcenter.node(host).ens_driven

    def note(self, host: Host) -> Evidence:
        return {"ssh_opened": host.name in self._opened}

    def adopt(self, host: Host, evidence: Evidence) -> None:
        if evidence.get("ssh_opened"):
            self._opened.add(host.name)

    def recall(self, host: Host, evidence: Evidence) -> None:
        self.adopt(host, evidence)
        if evidence.get("ssh_opened") is False:
            self._opened.discard(host.name)

    async def give_back(self, host: Host) -> str:
        self.given_back.append(host.name)
        if not self.still_open:
            self._close(host.name)
        return self.still_open

    async def close(self) -> None:
        task = asyncio.current_task()
        if self._vcenter.killed or (task is not None and task.cancelling()):
            return  # the controller is killed: it closes nothing
        for name in list(self._opened):
            self._close(name)

    def _close(self, name: str) -> None:
        if name in self._opened:
            self._opened.remove(name)
            self._vcenter.ssh_open.discard(name)


def host_of(node: LabNode) -> Host:
    """Return the run's host for a node of the lab."""
    return Host(node.name, node.name, node.cluster)
