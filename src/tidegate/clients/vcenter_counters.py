"""Latency of datastores for asyncio: :mod:`tidegate.clients.vcenter_latency`, through a session in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_latency import Latency, Names, fresh, learn, query
from tidegate.errors import FleetError

__all__ = ["Counters"]


class Counters:
    """The counters of one vCenter.

    Parameters
    ----------
    hosts
        Ids of the hosts that are asked; empty: every host that is connected.
    by_id
        Datastores are called by their ids (``datastore-11``) instead of their names.
    """

    def __init__(self, vcenter: Vcenter, hosts: Sequence[str] = (), *, by_id: bool = False) -> None:
        self._vcenter, self._only, self._by_id = vcenter, frozenset(hosts), by_id
        self._names: Names | None = None
        self._lock = asyncio.Lock()

    async def samples(self) -> list[Latency]:
        """Return the newest sample of every host, datastore and kind.

        Raises
        ------
        FleetError
            When vCenter has no such counters, or knows no connected host.
        """
        async with self._lock:
            if self._names is None:
                self._names = await self._vcenter.session.call(
                    lambda _, content: learn(content, self._vcenter.options.page, self._only, by_id=self._by_id)
                )
            names = self._names
        return await self._vcenter.session.call(lambda stub, content: query(stub, content, names))

    async def latencies(self, datastores: Sequence[str] = ()) -> dict[str, float]:
        """Return the worst fresh latency per datastore, in ms.

        Not a number where there are samples, but none with a value within 60 s; a datastore without any is left out.
        """
        try:
            found = fresh(await self.samples(), datastores)
        except FleetError:
            # Hosts come and go: what the ids stand for is asked anew next time.
            self._names = None
            raise
        if any(name not in found for name in datastores):
            self._names = None
        return found
