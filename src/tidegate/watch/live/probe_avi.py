"""Asks an Avi Controller by REST: open connections of every pool's servers, by service engine, and of virtual services.

Least privilege: a user with the role Application-Operator, or one of its own with read access to pools and virtual
services, in the tenant that is asked. It logs in once and stays logged in; all that it then sends is ``GET``.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.clients.avi import Avi, Object
from tidegate.watch.live.probe_hits import Told
from tidegate.watch.ports import MEASURES, Gauge, PortReading
from tidegate.watch.ports.balancer import Held, Servers
from tidegate.watch.ports.model import WIDE
from tidegate.watch.ports.text import address_of

__all__ = ["AviProbe", "avi_reading"]


class AviProbe:
    """One Avi Controller, one tenant.

    Parameters
    ----------
    sources
        Addresses that a service engine has towards servers: more than one where SNAT addresses are configured.
    """

    measures = frozenset(
        name for name in MEASURES if name.startswith(("ports.", "server.")) or name == "service.open_connections"
    )

    def __init__(self, avi: Avi, sources: int = 1) -> None:
        self._avi, self._sources = avi, sources
        self.address = avi.session.http.options.address

    async def ask(self, wanted: frozenset[str]) -> Told:
        """Return its servers, and its virtual services where they are wanted.

        Raises
        ------
        FleetError
            When it does not answer, or refuses.
        """
        # One call after the other: a controller in trouble has enough to do.
        pools = [
            (str(pool.get("name", "")), await self._avi.pool_servers(str(pool["uuid"])))
            for pool in await self._avi.pools()
        ]
        gauges = []
        if any(name.startswith("service.") for name in wanted):
            for service in await self._avi.services():
                told = await self._avi.open_conns(str(service["uuid"]))
                if told is not None:
                    gauges.append(Gauge(str(service.get("name", "")), "service", told.count))
        return Told((avi_reading(pools, gauges, self._sources),))

    async def close(self) -> None:
        """Log out."""
        await self._avi.close()


def avi_reading(pools: Iterable[tuple[str, list[Object]]], services: Iterable[Gauge], sources: int = 1) -> PortReading:
    """Return what pools' servers hold; those of one service engine and address, of all its processes, share ports.

    Parameters
    ----------
    pools
        Name of a pool, and what ``runtime/server/detail`` says of it.
    """
    held = Servers("service engine", WIDE * sources if sources > 1 else None, linux=False)
    gauges = list(services)
    for pool, servers in pools:
        for server in servers:
            count = (server.get("server_l4stats") or {}).get("open_conns")
            address = address_of(str((server.get("ip_addr") or {}).get("addr", "")))
            if not isinstance(count, int) or address is None:
                held.other_lines += 1
                continue
            engine, port = str(server.get("se_uuid", "")), server.get("port")
            held.add(address, port, Held(count), source=engine)
            state = str((server.get("oper_status") or {}).get("state", ""))
            name = f"{pool}/{address}:{port}" + (f" at {engine}" if engine else "")
            gauges.append(Gauge(name, "server", count, state=state))
    return held.reading("avi", gauges)
