"""What paced work needs of a vCenter: names of machines, latency of datastores, one session for all commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tidegate.fleet.model import Vcenter
from tidegate.fleet.pace_run import Session

__all__ = ["KeepAlive", "PacedVcenter", "connect"]


class PacedVcenter(Protocol):
    """A vCenter, logged in when it is first asked."""

    async def vms(self, clusters: Sequence[str], folders: Sequence[str], tags: Sequence[str]) -> list[str]:
        """Return the names of the machines in any of these, or with any of the tags."""

    async def latencies(self, datastores: Sequence[str]) -> Mapping[str, float]:
        """Return milliseconds by datastore: the worst host of each; not a number where no sample is fresh."""

    async def session(self) -> Session:
        """Return the one session, for commands to share."""

    async def keep(self) -> None:
        """Use the session, so that it does not end of idleness."""

    async def close(self) -> None:
        """Log out."""


class KeepAlive:
    """A probe that no guard reads: a session without a call for half an hour would end."""

    name = "vcenter-session"

    def __init__(self, vcenter: PacedVcenter) -> None:
        self._vcenter = vcenter

    async def sample(self) -> float:
        """Use the session."""
        await self._vcenter.keep()
        return 1.0


async def connect(options: Vcenter) -> PacedVcenter:
    """Return the vCenter of a plan, logged in.

    Raises
    ------
    FleetError
        When it does not answer, or refuses the login.
    """
    from tidegate.fleet.pace_vsphere import log_in  # late: pyVmomi takes its time, and most plans have no vCenter

    return await log_in(options)
