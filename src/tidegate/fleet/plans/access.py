"""How a plan reaches an ESXi host: by SSH, which is opened through vCenter where it is off, and closed again.

vCenter, where the plan names one, also tells what a host is doing (maintenance, lockdown), and is asked first to
restart a service: few services can be restarted that way, and what cannot is done by SSH. A vCenter that is away stops
nothing but what only it can do: it may be what is down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from tidegate.clients.reach import ssh_options, vcenter_options
from tidegate.clients.ssh import Ran, Ssh
from tidegate.clients.vcenter import HostState, Vcenter
from tidegate.clients.vcenter_inventory import FoundHost
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.model import Plan

__all__ = ["Access", "Manager", "access_for", "ssh_for", "vcenter_for"]

_LOG = logging.getLogger(__name__)
_SSH_SERVICE = "TSM-SSH"
OPENED = "ssh_opened"
"""Evidence: SSH was off on this host, and this run opened it."""


class Manager(Protocol):
    """What is needed of vCenter."""

    async def hosts(self) -> Sequence[FoundHost]:
        """Return every host."""

    async def host_state(self, moid: str) -> HostState:
        """Return what the host is doing."""

    async def services(self, moid: str) -> Mapping[str, bool]:
        """Return the host's services, and whether they run."""

    async def service(self, moid: str, key: str, verb: str) -> bool:
        """Start, stop or restart a service; ``False``: the host has no service of that name."""

    async def close(self) -> None:
        """Log out."""


class Access:
    """The hosts of one run.

    Parameters
    ----------
    manager
        vCenter, or ``None`` where the plan names none.
    open_ssh
        Whether SSH may be opened on a host where it is off.
    """

    def __init__(self, ssh: Ssh, manager: Manager | None, *, open_ssh: bool) -> None:
        self._ssh, self._manager, self._open_ssh = ssh, manager, open_ssh
        self._opened: dict[str, Host] = {}
        self._reached: set[str] = set()
        self._unknown: set[str] = set()
        self._moids: dict[str, str] | None = None
        self._asking = asyncio.Lock()
        self._away = False

    async def moid(self, host: Host) -> str | None:
        """Return vCenter's id of the host: its label, else found by its name or address; ``None``: it is not known."""
        if (label := host.labels.get("moid")) is not None or self._manager is None:
            return label
        async with self._asking:
            if self._moids is None and not self._away:
                try:
                    found = await self._manager.hosts()
                except HostUnreachable as error:
                    self._is_away(error)
                    return None
                self._moids = {one.name.lower(): one.moid for one in found}
        known = self._moids or {}
        return known.get(host.name.lower()) or known.get(host.address.lower())

    async def state(self, host: Host) -> HostState | None:
        """Return what vCenter says of the host; ``None`` where there is none to ask."""
        moid = await self.moid(host)
        if self._manager is None or moid is None or self._away:
            return None
        try:
            return await self._manager.host_state(moid)
        except HostUnreachable as error:
            self._is_away(error)
            return None

    async def run(self, host: Host, command: str, timeout_s: float | None = None) -> Ran:
        """Run a command on the host; opens SSH first where that is wanted."""
        await self._ready(host)
        return await self._ssh.run(host.address, command, timeout_s)

    async def by_manager(self, host: Host, service: str, verb: str) -> bool:
        """Try it through the API; ``False``: it cannot be done that way."""
        moid = await self.moid(host)
        if self._manager is None or moid is None or self._away or service in self._unknown:
            return False
        try:
            done = await self._manager.service(moid, service, verb)
        except HostUnreachable as error:
            self._is_away(error)
            return False
        if not done:
            self._unknown.add(service)
        return done

    def opened(self, host: Host) -> bool:
        """Return whether this run has opened SSH on the host and not closed it yet."""
        return host.name in self._opened

    def adopt(self, host: Host, evidence: Evidence) -> None:
        """Remember from recorded evidence that this run opened SSH on the host, before another process took it over."""
        if evidence.get(OPENED):
            self._opened.setdefault(host.name, host)

    def recall(self, host: Host, evidence: Evidence) -> None:
        """Take one thing that the journal holds, oldest first: SSH was opened on the host, or was given back since."""
        self.adopt(host, evidence)
        if evidence.get(OPENED) is False:
            self._opened.pop(host.name, None)

    async def give_back(self, host: Host) -> str:
        """Close SSH on the host if this run has opened it; return what is to be added to a verdict where it stays open.

        It fails no host: :meth:`close` tries once more, and says so in the log.
        """
        try:
            await self._give_back(host)
        except FleetError as error:
            return f"; its SSH is still open: {error.message}"
        return ""

    async def _give_back(self, host: Host) -> None:
        self._reached.discard(host.name)
        if host.name not in self._opened or self._manager is None:
            return
        # One that is away is not asked for every host in turn: each of these questions would wait its whole time.
        moid = None if self._away else await self.moid(host)
        if moid is None:
            raise HostUnreachable(f"vCenter is away, or does not know {host.name}")
        try:
            await self._manager.service(moid, _SSH_SERVICE, "stop")
        except HostUnreachable as error:
            self._is_away(error)
            raise
        del self._opened[host.name]

    async def close(self) -> None:
        """Give everything back; what cannot be is said in the log."""
        self._away = False  # it may be back: the first question tells
        left = {}
        for host in list(self._opened.values()):
            try:
                await self._give_back(host)
            except FleetError as error:
                left[host.name] = error.message
        if left:
            why = next(iter(left.values()))
            _LOG.warning("%s: SSH was opened by this run and could not be closed again: %s", ", ".join(left), why)
        await self._ssh.close()
        self._asking, self._moids, self._away = asyncio.Lock(), None, False
        if self._manager is not None:
            await self._manager.close()

    def _is_away(self, error: HostUnreachable) -> None:
        self._away = True
        _LOG.warning("going on without vCenter: maintenance and lockdown are not seen any more (%s)", error)

    async def _ready(self, host: Host) -> None:
        manager = self._manager
        if not self._open_ssh or manager is None or host.name in self._reached:
            return
        if self._away:
            # SSH may be open all the same; the host itself will say.
            return
        moid = await self.moid(host)
        if moid is None:
            raise HostUnreachable(
                f"vCenter knows no host {host.name}, so its SSH cannot be opened",
                hint='write its label moid = "host-…" into the inventory, or its name as vCenter has it',
            )
        try:
            services = await manager.services(moid)
        except HostUnreachable as error:
            self._is_away(error)
            return
        if services.get(_SSH_SERVICE) is False:
            # Remembered first: if the answer is lost, SSH may be open all the same.
            self._opened[host.name] = host
            if not await manager.service(moid, _SSH_SERVICE, "start"):
                del self._opened[host.name]
                raise HostUnreachable(f"{host.name} has no service {_SSH_SERVICE} that could be started")
        self._reached.add(host.name)


def ssh_for(plan: Plan) -> Ssh:
    """Return what runs commands on the plan's hosts."""
    return Ssh(ssh_options(plan.ssh, max(plan.batch.most, 10)))


def vcenter_for(plan: Plan) -> Vcenter | None:
    """Return a client of the plan's vCenter, which has not connected yet; ``None`` where it names none."""
    endpoint = plan.vcenter or plan.targets.vcenter
    if endpoint is None:
        return None
    return Vcenter(vcenter_options(endpoint))


def access_for(plan: Plan) -> tuple[Access, list[str]]:
    """Return the plan's access, and what must be said aloud about it."""
    ssh, manager = ssh_for(plan), vcenter_for(plan)
    if plan.ssh.open_ssh and manager is None:
        raise FleetError(
            "[ssh] open_ssh needs a vCenter to open it through",
            hint="add [vcenter] address and user, or open TSM-SSH yourself and leave open_ssh out",
        )
    warnings = [*ssh.warnings, *(manager.warnings if manager is not None else [])]
    return Access(ssh, manager, open_ssh=plan.ssh.open_ssh), warnings
