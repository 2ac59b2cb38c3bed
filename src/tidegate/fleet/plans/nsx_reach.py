"""How a plan reaches NSX, vCenter for maintenance mode, and the host itself for what drives its uplinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegate.clients.nsx import Nsx
from tidegate.clients.reach import manager_options
from tidegate.clients.secret import read_secret
from tidegate.clients.vcenter import HostState
from tidegate.clients.vcenter_inventory import FoundHost
from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.access import OPENED, Access, access_for, vcenter_for
from tidegate.fleet.plans.nsx_estate import Estate, MaintenanceState
from tidegate.fleet.plans.nsx_facts import reads_ens

__all__ = ["HostProof", "VcenterMaintenance", "estate_for"]

_COMMAND = "esxcfg-nics -e"


class _Manager(Protocol):
    """What is needed of vCenter."""

    async def hosts(self) -> list[FoundHost]:
        """See :class:`~tidegate.clients.vcenter.Vcenter`."""

    async def host_state(self, moid: str) -> HostState:
        """See :class:`~tidegate.clients.vcenter.Vcenter`."""

    async def enter_maintenance(self, moid: str, timeout_s: int) -> None:
        """See :class:`~tidegate.clients.vcenter.Vcenter`."""

    async def exit_maintenance(self, moid: str, timeout_s: int) -> None:
        """See :class:`~tidegate.clients.vcenter.Vcenter`."""

    async def close(self) -> None:
        """See :class:`~tidegate.clients.vcenter.Vcenter`."""


class VcenterMaintenance:
    """vCenter's maintenance mode of a host, found by its label ``moid``, else by its name."""

    def __init__(self, manager: _Manager, timeout_s: int) -> None:
        self._manager, self._timeout_s = manager, timeout_s
        self._moids: dict[str, str] = {}

    async def state(self, host: Host) -> MaintenanceState:
        """Return whether the host is in it, or on its way."""
        state = await self._manager.host_state(await self._moid(host))
        if not state.connected:
            raise FleetError(f"{host.name} is not connected to vCenter", hint="reconnect it before its mode is changed")
        if state.moving:
            return "entering" if state.moving.startswith("enter") else "leaving"
        return "in" if state.maintenance else "out"

    async def enter(self, host: Host) -> None:
        """Enter it; vCenter's DRS moves the machines."""
        await self._manager.enter_maintenance(await self._moid(host), self._timeout_s)

    async def leave(self, host: Host) -> None:
        """Leave it."""
        await self._manager.exit_maintenance(await self._moid(host), self._timeout_s)

    async def close(self) -> None:
        """Log out."""
        await self._manager.close()

    async def _moid(self, host: Host) -> str:
        if label := host.labels.get("moid"):
            return label
        if not self._moids:
            self._moids = {found.name.lower(): found.moid for found in await self._manager.hosts()}
        moid = self._moids.get(host.name.lower()) or self._moids.get(host.address.lower())
        if moid is None:
            hint = 'write its id into the inventory: labels = { moid = "host-10" }'
            raise FleetError(f"vCenter has no host {host.name}", hint=hint)
        return moid


class HostProof:
    """Asks hosts by SSH what drives their uplinks."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def ens_driven(self, host: Host) -> bool | None:
        """Return whether ENS drives an uplink; ``None``: the host does not tell."""
        ran = await self._access.run(host, _COMMAND)
        return reads_ens(ran.out) if ran.status == 0 else None

    def note(self, host: Host) -> Evidence:
        """Return whether SSH was opened on the host and is still to be closed."""
        return {OPENED: self._access.opened(host)}

    def adopt(self, host: Host, evidence: Evidence) -> None:
        """Remember that SSH was opened before another process took over."""
        self._access.adopt(host, evidence)

    def recall(self, host: Host, evidence: Evidence) -> None:
        """Take one thing that the journal holds of the host, oldest first."""
        self._access.recall(host, evidence)

    async def give_back(self, host: Host) -> str:
        """Close SSH on the host if this run has opened it; return what is to be said where it stays open."""
        return await self._access.give_back(host)

    async def close(self) -> None:
        """Close every connection, and SSH where it was opened."""
        await self._access.close()


def estate_for(plan: Plan, *, changes: bool, host_check: bool, enter_s: float = 3600.0) -> Estate:
    """Return the estate that the plan names; connects to nothing yet.

    Parameters
    ----------
    changes
        Whether vCenter is needed for maintenance mode.
    host_check
        Whether hosts are asked themselves.

    Raises
    ------
    FleetError
        When the plan does not say how to reach what is needed.
    """
    endpoint = plan.nsx
    if endpoint is None:
        raise FleetError(
            "no NSX Manager is named", hint='write a table [nsx] with address = "nsx.example" and user = "admin"'
        )
    options = manager_options(endpoint, "NSX Manager")
    variable = endpoint.password_env or "TIDEGATE_NSX_PASSWORD"
    nsx = Nsx.at(options, endpoint.user, lambda: read_secret(variable, endpoint.password_file, options.whose))
    maintenance = None
    if changes:
        vcenter = vcenter_for(plan)
        if vcenter is None:
            hint = 'write a table [vcenter] with address = "vc.example" and user = "…"'
            raise FleetError("no vCenter is named, and hosts change their mode only in maintenance mode", hint=hint)
        maintenance = VcenterMaintenance(vcenter, round(enter_s))
    warnings: Sequence[str] = ()
    proof = None
    if host_check:
        access, warnings = access_for(plan)
        proof = HostProof(access)
    return Estate(nsx, maintenance, proof, warnings=warnings)
