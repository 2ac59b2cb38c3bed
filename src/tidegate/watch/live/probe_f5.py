"""Asks an F5 BIG-IP for its pool members' connections: by iControl REST, or by ``tmsh`` over SSH.

Least privilege: a user with the role Guest on all partitions; for SSH with ``tmsh`` as its terminal access (a login
shell of bash is for administrators, and works, too). By REST it logs in for a token (``POST
/mgmt/shared/authn/login``), sends ``GET``, and gives the token back at the end. By SSH it runs one ``show``.

An F5 tells connections per member, not which address of its own they come from: with a SNAT pool ``sources`` says how
many addresses there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tidegate.clients.f5 import F5
from tidegate.clients.ssh import Ran, Ssh
from tidegate.errors import FleetError
from tidegate.watch.live.probe_hits import Told
from tidegate.watch.ports import MEASURES, Gauge, PortReading
from tidegate.watch.ports.balancer import Held, Servers
from tidegate.watch.ports.model import WIDE
from tidegate.watch.ports.text import address_of, number_of

__all__ = ["F5Probe", "F5ShellProbe", "f5_reading", "members_in"]

_SHOW = "cd /; show ltm pool recursive members field-fmt raw"
_NO_COMMAND = 127
"""What a shell answers to a word that is no program."""
_MEASURES = frozenset(name for name in MEASURES if name.startswith(("ports.", "server.")))

Stats = Mapping[str, str | int]


class F5Probe:
    """One BIG-IP, by iControl REST.

    Parameters
    ----------
    sources
        Addresses that it has towards servers: more than one with a SNAT pool.
    """

    measures = _MEASURES | {"service.open_connections"}

    def __init__(self, f5: F5, sources: int = 1) -> None:
        self._f5, self._sources = f5, sources
        self.address = f5.session.http.options.address

    async def ask(self, wanted: frozenset[str]) -> Told:
        """Return its pool members, and its virtual servers where they are wanted.

        Raises
        ------
        FleetError
            When it does not answer, or refuses.
        """
        gauges = []
        if "service.open_connections" in wanted:
            for stats in await self._f5.virtual_servers():
                count, name = stats.get("clientside.curConns"), str(stats.get("tmName", ""))
                if isinstance(count, int):
                    gauges.append(Gauge(name, "service", count, state=str(stats.get("status.availabilityState", ""))))
        return Told((f5_reading(await self._f5.pool_members(), gauges, self._sources),))

    async def close(self) -> None:
        """Give the token back."""
        await self._f5.close()


class F5ShellProbe:
    """One BIG-IP, by ``tmsh`` over SSH."""

    measures = _MEASURES

    def __init__(self, ssh: Ssh, address: str, sources: int = 1) -> None:
        self.address = address
        self._ssh, self._sources = ssh, sources
        self._in_bash = False

    async def ask(self, wanted: frozenset[str]) -> Told:  # noqa: ARG002 (one command tells all)
        """Return its pool members.

        Raises
        ------
        FleetError
            When it does not answer, or refuses the command.
        """
        ran = await self._show()
        if ran.status == _NO_COMMAND and not self._in_bash:
            self._in_bash = True
            ran = await self._show()
        if ran.status != 0:
            raise FleetError(f"F5 {self.address}: tmsh says: {ran.says}", slug="refused")
        return Told((f5_reading(members_in(ran.out), (), self._sources),))

    async def close(self) -> None:
        """Close the connection."""
        await self._ssh.close()

    async def _show(self) -> Ran:
        ran = await self._ssh.run(self.address, f'tmsh -q -c "{_SHOW}"' if self._in_bash else _SHOW)
        if ran.cut:
            raise FleetError(f"F5 {self.address}: tmsh says more than is read", slug="answer-too-large")
        return ran


def members_in(text: str) -> Iterator[Stats]:
    """Yield the statistics of every pool member in ``show ltm pool … members field-fmt``, by REST's names.

    It prints blocks of braces with one ``key value`` a line; a member's block has ``addr`` and ``port``.
    """
    names = {"serverside.cur-conns": "serverside.curConns", "status.availability-state": "status.availabilityState"}
    blocks: list[dict[str, Any]] = []
    for line in text.splitlines():
        words = line.strip()
        key, _, value = words.partition(" ")
        if words.endswith("{"):
            blocks.append({})
        elif words == "}" and blocks:
            block = blocks.pop()
            if "addr" in block:
                yield block
        elif blocks and value:
            number = number_of(value)
            blocks[-1][{**names, "pool-name": "poolName"}.get(key, key)] = value if number is None else number


def f5_reading(members: Iterable[Stats], services: Iterable[Gauge], sources: int = 1) -> PortReading:
    """Return what pool members hold; members of several pools with one address and port share source ports."""
    held = Servers("f5", WIDE * sources if sources > 1 else None, linux=False)
    gauges = list(services)
    for stats in members:
        count, port = stats.get("serverside.curConns"), stats.get("port")
        address = address_of(str(stats.get("addr", "")))
        if not isinstance(count, int) or not isinstance(port, int) or address is None:
            held.other_lines += 1
            continue
        held.add(address, port, Held(count))
        queued = stats.get("connq.depth")
        gauges.append(
            Gauge(
                f"{stats.get('poolName', '')}/{address}:{port}",
                "server",
                count,
                queued=queued if isinstance(queued, int) else None,
                state=str(stats.get("status.availabilityState", "")),
            )
        )
    return held.reading("f5", gauges)
