"""What the NSX plans look at: hosts, their builds, the mode that was asked for and the one that is realised.

Two managers know a host: NSX its switches, vCenter its maintenance mode. Both, and the proof on the host itself, are
given from outside.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from tidegate.clients.nsx import Document, Member, Nsx
from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, Verdict
from tidegate.fleet.plans.nsx_body import ENS_MODES
from tidegate.fleet.plans.nsx_facts import build_verdict

__all__ = ["Clock", "Estate", "Maintenance", "MaintenanceState", "Proof", "modes_of", "unpack"]

MaintenanceState = Literal["out", "entering", "in", "leaving"]

_MEMBERS_S = 3.0
"""How old the zones' members may be; everybody who asks within it shares one answer."""
_AT_ONCE = 10
_NOT_ENS = "not ENS"
_BUILDS_S = 60.0
"""NSX itself reads versions from hosts every ten minutes only."""


class Maintenance(Protocol):
    """vCenter's maintenance mode of a host."""

    async def state(self, host: Host) -> MaintenanceState:
        """Return whether the host is in it, or on its way."""

    async def enter(self, host: Host) -> None:
        """Enter it, and wait until the host is in it."""

    async def leave(self, host: Host) -> None:
        """Leave it, and wait until the host is out of it."""

    async def close(self) -> None:
        """Log out."""


class Proof(Protocol):
    """What the host itself says."""

    async def ens_driven(self, host: Host) -> bool | None:
        """Return whether ENS drives an uplink; ``None``: it does not tell."""

    def note(self, host: Host) -> Evidence:
        """Return what must be remembered of the way to the host (whether SSH was opened)."""

    def adopt(self, host: Host, evidence: Evidence) -> None:
        """Take over what another process has remembered."""

    def recall(self, host: Host, evidence: Evidence) -> None:
        """Take one thing that the journal holds of the host, oldest first."""

    async def give_back(self, host: Host) -> str:
        """Close what was opened on the host; return what is to be said where it stays open."""

    async def close(self) -> None:
        """Close everything."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock, and how to wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class Estate:
    """The hosts of one NSX Manager.

    Parameters
    ----------
    maintenance
        ``None`` for what only reads.
    proof
        ``None``: only NSX itself is asked for the realised mode.
    warnings
        What must be said aloud of the ways to vCenter and to hosts.
    """

    def __init__(
        self,
        nsx: Nsx,
        maintenance: Maintenance | None = None,
        proof: Proof | None = None,
        clock: Clock | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self.nsx = nsx
        self.proof = proof
        self.clock = clock or Clock()
        self.warnings = [*nsx.session.http.warnings, *warnings]
        self._maintenance = maintenance
        self._lock = asyncio.Lock()
        self._ids: dict[str, str] = {}
        self._members: tuple[float, dict[str, Member]] | None = None
        self._builds: tuple[float, dict[str, str]] | None = None

    @property
    def maintenance(self) -> Maintenance:
        """Maintenance mode, which is vCenter's.

        Raises
        ------
        FleetError
            When there is no vCenter.
        """
        if self._maintenance is None:
            raise FleetError("no vCenter is named for maintenance mode", hint="write a table [vcenter] into the plan")
        return self._maintenance

    async def id_of(self, host: Host) -> str:
        """Return a host's id at NSX: its label ``nsx_id``, else the one transport node of that name or address.

        Raises
        ------
        FleetError
            When there is none, or more than one.
        """
        if label := host.labels.get("nsx_id"):
            return label
        async with self._lock:
            if host.name not in self._ids:
                wanted = {host.name.lower(), host.address.lower()}
                found = [str(node["id"]) for node in await self.nsx.nodes() if wanted & _names(node)]
                if len(found) != 1:
                    what = "no transport node" if not found else f"{len(found)} transport nodes"
                    hint = 'write its id into the inventory: labels = { nsx_id = "…" }'
                    raise FleetError(f"{self.nsx.session.whose} has {what} for {host.name}", hint=hint)
                self._ids[host.name] = found[0]
        return self._ids[host.name]

    async def members(self) -> Mapping[str, Member]:
        """Return every host with its realised modes, by node id, a few seconds old at the most."""
        async with self._lock:
            if self._members is None or self.clock.now() - self._members[0] > _MEMBERS_S:
                self._members = (self.clock.now(), await self.nsx.members())
            return self._members[1]

    async def builds(self) -> Mapping[str, str]:
        """Return every host's NSX build, by node id, a minute old at the most."""
        async with self._lock:
            if self._builds is None or self.clock.now() - self._builds[0] > _BUILDS_S:
                self._builds = (self.clock.now(), await self.nsx.builds())
            return self._builds[1]

    async def realised(self, host: Host) -> dict[str, str]:
        """Return the realised mode of each switch; where the host itself tells, it is believed before NSX.

        A host whose uplinks ENS drives runs ENS whatever NSX says of it, and one that does not tell runs ``unknown``.
        """
        member = (await self.members()).get(await self.id_of(host))
        modes = dict(member.modes) if member else {}
        if self.proof is None:
            return modes
        driven = await self.proof.ens_driven(host)
        if driven is None:
            return dict.fromkeys(modes, "unknown")
        if driven and not ENS_MODES & set(modes.values()):
            return dict.fromkeys(modes, "ENS")
        return modes if driven else {switch: _NOT_ENS if mode in ENS_MODES else mode for switch, mode in modes.items()}

    async def look(self, host: Host) -> dict[str, str | int | float | bool | None]:
        """Return what is known of a host, as evidence."""
        id_ = await self.id_of(host)
        document, state = await self.nsx.node(id_), await self.nsx.state(id_)
        member = (await self.members()).get(id_)
        build = (await self.builds()).get(id_, "")
        real = await self.realised(host)
        evidence: dict[str, str | int | float | bool | None] = {
            "nsx_id": id_,
            "cluster": member.cluster if member else "",
            "build": build,
            "verdict": build_verdict(build).verdict,
            "mode_set": modes_of(document),
            "mode_real": _text(real),
            "state": state.state,
            "pending": ", ".join(state.pending),
            "revision": document.revision,
            "overridden": document.value.get("is_overridden"),
        }
        cpu = {one.get("host_switch_id"): one["cpu_config"] for one in document.switches if one.get("cpu_config")}
        if cpu:
            evidence["cpu_config"] = json.dumps(cpu)
        if self._maintenance is not None:
            where = await self._maintenance.state(host)
            evidence["maintenance"] = where
            if where in {"entering", "leaving"}:
                evidence["skip"] = f"is {where} maintenance mode"
        if self.proof is not None:
            evidence.update(self.proof.note(host))
        return evidence

    async def given_back(self, host: Host, verdict: Verdict) -> Verdict:
        """Close what was opened on a host that is done with; return the verdict, with what is to be said of that."""
        if self.proof is None:
            return verdict
        says = verdict.says + await self.proof.give_back(host)
        return replace(verdict, says=says, evidence={**verdict.evidence, **self.proof.note(host)})

    def remember(self, host: Host, evidence: Evidence) -> None:
        """Take what was recorded of a host, so that what a controller has opened that died since is closed."""
        if self.proof is not None:
            self.proof.recall(host, evidence)

    async def close(self) -> None:
        """Log out of NSX, and give back the ways to vCenter and to hosts."""
        for thing in (self.nsx, self.proof, self._maintenance):
            if thing is not None:
                await thing.close()

    async def look_all(self, hosts: Sequence[Host]) -> list[dict[str, str | int | float | bool | None]]:
        """Look at many hosts, a few at a time.

        Raises
        ------
        FleetError
            The first that was raised.
        """
        places = asyncio.Semaphore(_AT_ONCE)

        async def look(host: Host) -> dict[str, str | int | float | bool | None]:
            async with places:
                return await self.look(host)

        found: list[dict[str, str | int | float | bool | None]] = []
        for one in await asyncio.gather(*(look(host) for host in hosts), return_exceptions=True):
            if isinstance(one, BaseException):
                raise one
            found.append(one)
        return found

    async def profile_of(self, cluster: str) -> str | None:
        """Return the profile that a cluster is attached to."""
        return next((one.profile for one in await self.nsx.attachments() if one.cluster == cluster), None)


def modes_of(document: Document) -> str:
    """Return the modes that a document asks for, by switch, as one text."""
    return _text(
        {str(one.get("host_switch_id")): str(one.get("host_switch_mode") or "unset") for one in document.switches}
    )


def unpack(text: str | int | float | bool | None) -> dict[str, str]:
    """Return what :func:`modes_of` packed."""
    parts = str(text or "").split("; ")
    return {switch: mode for switch, _, mode in (part.rpartition("=") for part in parts) if switch}


def _text(modes: Mapping[str, str]) -> str:
    return "; ".join(f"{switch}={mode}" for switch, mode in sorted(modes.items()))


def _names(node: Mapping[str, object]) -> set[str]:
    info = node.get("node_deployment_info")
    info = info if isinstance(info, dict) else {}
    addresses = info.get("ip_addresses")
    names: Sequence[object] = [
        node.get("display_name"),
        info.get("fqdn"),
        *(addresses if isinstance(addresses, list) else []),
    ]
    return {str(name).lower() for name in names if name}
