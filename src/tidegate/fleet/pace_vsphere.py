"""The vCenter of paced work, with pyVmomi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.clients.reach import vcenter_options
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_counters import Counters
from tidegate.clients.vcenter_machines import all_machines, select_machines
from tidegate.clients.vcenter_session import token_in
from tidegate.clients.vmomi import vim
from tidegate.fleet import model
from tidegate.fleet.pace_run import Session
from tidegate.fleet.vcenter_targets import tagged_objects, with_tags

__all__ = ["VcenterForPace", "log_in"]


class VcenterForPace:
    """One vCenter; ``token`` is that of the newest login."""

    def __init__(self, vcenter: Vcenter) -> None:
        self._vcenter = vcenter
        self._counters = Counters(vcenter)
        self.token = ""

    async def vms(self, clusters: Sequence[str], folders: Sequence[str], tags: Sequence[str] = ()) -> list[str]:
        """Return the names of the machines in any of these, or with any of the tags."""
        options = self._vcenter.options
        machines = await self._vcenter.session.call(lambda _, content: all_machines(content, options.page))
        chosen = {machine.moid for machine in select_machines(machines, clusters, folders)}
        if tags:
            chosen |= with_tags(machines, await tagged_objects(options, tags))
        return [machine.name for machine in machines if machine.moid in chosen]

    async def latencies(self, datastores: Sequence[str]) -> Mapping[str, float]:
        """Return milliseconds by datastore: the worst host of each; not a number where no sample is fresh."""
        return await self._counters.latencies(datastores)

    async def session(self) -> Session:
        """Return the one session."""
        await self.keep()
        return _Shared(self)

    async def keep(self) -> None:
        """Use the session; after it has died there is a new one, and commands that begin from now on get that."""

        def ask(stub: Any, content: Any) -> str:
            if content.sessionManager.currentSession is None:
                raise vim.fault.NotAuthenticated  # it says so only where something is asked that needs one: log in anew
            return str(stub.cookie or "")

        self.token = token_in(await self._vcenter.session.call(ask))

    async def close(self) -> None:
        """Log out."""
        await self._vcenter.close()


class _Shared:
    """The session, for commands; the vCenter itself logs out when everything is over."""

    def __init__(self, owner: VcenterForPace) -> None:
        self._owner = owner

    @property
    def token(self) -> str:
        """The session's id."""
        return self._owner.token

    async def close(self) -> None:
        """Leave it: it is not ours alone."""


async def log_in(options: model.Vcenter) -> VcenterForPace:
    """Return the vCenter of a plan, logged in.

    Raises
    ------
    FleetError
        When it does not answer, or refuses the login.
    """
    vcenter = VcenterForPace(Vcenter(vcenter_options(options)))
    try:
        await vcenter.keep()
    except BaseException:
        await vcenter.close()
        raise
    return vcenter
