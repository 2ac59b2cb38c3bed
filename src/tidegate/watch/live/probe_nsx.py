"""Asks an NSX Manager in which mode the switches of its hosts really run: what KB 433412 needs to strike.

Least privilege: a user with the role Auditor. It logs in once and stays logged in; all that it then sends is ``GET``.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.clients.nsx import Member, Nsx
from tidegate.watch.live.probe_hits import Told
from tidegate.watch.ports import Measured

__all__ = ["NsxProbe", "ens_switches"]


class NsxProbe:
    """One NSX Manager."""

    measures = frozenset({"nsx.ens_switches"})

    def __init__(self, nsx: Nsx) -> None:
        self._nsx = nsx
        self.address = nsx.session.http.options.address

    async def ask(self, wanted: frozenset[str]) -> Told:  # noqa: ARG002 (there is one measure)
        """Return the switches of every host.

        Raises
        ------
        FleetError
            When it does not answer, or refuses.
        """
        return Told(values={"nsx.ens_switches": ens_switches(await self._nsx.members())})

    async def close(self) -> None:
        """Log out."""
        await self._nsx.close()


def ens_switches(members: Mapping[str, Member]) -> tuple[Measured, ...]:
    """Return how many switches of each host run in a mode of the Enhanced Datapath (``ENS``, ``ENS_INTERRUPT``)."""
    found = []
    for member in members.values():
        modes = sorted(mode for mode in member.modes.values() if mode.startswith("ENS"))
        said = f" ({', '.join(modes)})" if modes else ""
        line = f"{member.name}: {len(modes)} of {len(member.modes)} switches run in Enhanced Datapath mode{said}"
        found.append(Measured(member.name, float(len(modes)), line))
    return tuple(found)
