"""Another mode for one host: maintenance mode, override, wait until it is *so*, out of maintenance mode.

Each part looks before it does anything, so that the whole can be begun again after it was cut off anywhere. A host that
NSX has not finished stays in maintenance mode: its machines are safe elsewhere, and nobody knows what would carry their
packets here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tidegate.clients.nsx import Document, State
from tidegate.clients.session import Refused
from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.plans.nsx_body import ENS_MODES, set_mode
from tidegate.fleet.plans.nsx_estate import Estate, MaintenanceState, unpack

__all__ = ["Change", "Goal", "put_carefully"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a host's switches are to become.

    Parameters
    ----------
    mode
        ``LEGACY``, ``STANDARD``, ``ENS`` or ``ENS_INTERRUPT``.
    cpu_config
        For ENS: the JSON of ``cpu_config``.
    switches
        Which switches, by id; empty: all of them.
    """

    mode: str
    cpu_config: str | None = None
    switches: tuple[str, ...] = ()

    @property
    def ens(self) -> bool:
        """Whether this is the way to ENS."""
        return self.mode in ENS_MODES

    def chosen(self, document: Document) -> list[str]:
        """Return the switches of a document that are to change, or have changed already."""
        modes = {
            str(one.get("host_switch_id")): str(one.get("host_switch_mode") or "unset") for one in document.switches
        }
        return [switch for switch, mode in modes.items() if self._covers(switch) and (self.ens or not self._fits(mode))]

    def text(self, document: Document) -> str:
        """Return the document as it is to be; its own text where nothing is to change.

        Raises
        ------
        FleetError
            When it is no document of that kind.
        """
        try:
            return set_mode(document.text, self.chosen(document), self.mode, self.cpu_config)
        except ValueError as error:
            raise FleetError(f"the configuration cannot be changed: {error}") from None

    def met(self, modes: Mapping[str, str]) -> bool:
        """Whether these modes, asked for or realised, are what is wanted; an unknown one never is."""
        covered = [mode for switch, mode in modes.items() if self._covers(switch)]
        return bool(covered) and all(self._fits(mode) for mode in covered)

    def _covers(self, switch: str) -> bool:
        return not self.switches or switch in self.switches

    def _fits(self, mode: str) -> bool:
        # Where LEGACY is offered, STANDARD leaves the choice to the data plane: no proof that ENS is off.
        return mode in {"STANDARD", "LEGACY"} if self.mode == "STANDARD" else mode == self.mode


class Change:
    """Takes hosts to a goal.

    Parameters
    ----------
    settle_s, again_s
        How long NSX may take until a mode is realised, and how often it is asked.
    overwrite
        Sends ``X-Allow-Overwrite`` for objects that another principal protects.
    """

    def __init__(
        self, estate: Estate, *, settle_s: float = 900.0, again_s: float = 10.0, overwrite: bool = False
    ) -> None:
        self._estate = estate
        self.settle_s, self._again_s = settle_s, again_s
        self._overwrite = overwrite
        self._not_ours: set[str] = set()

    async def act(self, goal: Goal, host: Host, before: Evidence) -> Evidence:
        """Do it; ``before`` is what was seen first.

        Raises
        ------
        FleetError
            When any part fails; the host is then where the sentence says it is.
        """
        estate = self._estate
        if before.get("maintenance") != "out":
            self._not_ours.add(host.name)
            raise FleetError(
                f"{host.name} was in maintenance mode already: somebody else is at work on it",
                hint="take it out of maintenance mode, or out of the targets",
            )
        id_ = await estate.id_of(host)
        if await self._rests(host) != "in":
            await estate.maintenance.enter(host)
        await put_carefully(
            host.name,
            goal,
            lambda: estate.nsx.node(id_),
            lambda text: estate.nsx.put_node(id_, text, overwrite=self._overwrite),
            overwrite=self._overwrite,
        )
        await self._realised(goal, host, id_)
        await estate.maintenance.leave(host)
        return await estate.look(host)

    async def leave(self, host: Host) -> Evidence:
        """Take a host out of the maintenance mode that a failed change left it in.

        Raises
        ------
        FleetError
            When it must stay there.
        """
        if host.name in self._not_ours:
            raise FleetError(f"{host.name} stays in maintenance mode, as it was found")
        await self._rests(host)
        seen = await self._estate.look(host)
        asked, real = unpack(seen["mode_set"]), unpack(seen["mode_real"])
        unfinished = seen["state"] != "success" or bool(seen["pending"]) or not _agree(asked, real)
        if unfinished:
            raise FleetError(
                f"{host.name} stays in maintenance mode: NSX has not finished ({_say(seen)})",
                hint="look at it under System > Fabric > Hosts, then take it out of maintenance mode by hand",
            )
        if seen.get("maintenance") != "out":
            await self._estate.maintenance.leave(host)
        return await self._estate.look(host)

    async def _rests(self, host: Host) -> MaintenanceState:
        """Wait until the host neither enters nor leaves maintenance mode: a killed controller may have begun it."""
        clock = self._estate.clock
        until = clock.now() + self.settle_s
        while (state := await self._estate.maintenance.state(host)) in {"entering", "leaving"}:
            if clock.now() >= until:
                raise FleetError(f"{host.name} is {state} maintenance mode, and was {self.settle_s:g} s ago")
            await clock.sleep(self._again_s)
        return state

    async def _realised(self, goal: Goal, host: Host, id_: str) -> None:
        """Wait until the host does what was asked for; what it was asked for is no proof."""
        estate = self._estate
        until = estate.clock.now() + self.settle_s
        while True:
            state, real = await estate.nsx.state(id_), await estate.realised(host)
            if state.settled and goal.met(real):
                return
            if estate.clock.now() >= until:
                raise FleetError(
                    f"{host.name} runs {_modes(real)}, {self.settle_s:g} s after {goal.mode} was asked for "
                    f"({_state(state)}); it stays in maintenance mode",
                    hint="look at it under System > Fabric > Hosts; its request stands, its realised mode does not",
                )
            await estate.clock.sleep(self._again_s)


async def put_carefully(
    name: str,
    goal: Goal,
    read: Callable[[], Awaitable[Document]],
    put: Callable[[str], Awaitable[Document]],
    *,
    overwrite: bool,
) -> bool:
    """Write the goal into a document where it is not there yet; return whether anything was written.

    Somebody else's change in between is read once and kept; a second one ends it.

    Raises
    ------
    FleetError
        When it was changed twice in between, or is protected.
    """
    for last in (False, True):
        document = await read()
        text = goal.text(document)
        if text == document.text:
            return False
        if document.value.get("_protection") == "REQUIRE_OVERRIDE" and not overwrite:
            raise FleetError(
                f"{name} is protected at NSX: another principal made its configuration",
                hint="overwrite = true in [options] sends X-Allow-Overwrite, once you have asked whoever made it",
            )
        try:
            await put(text)
        except Refused as error:
            if not error.conflict:
                raise
            if last:
                break
        else:
            return True
    raise FleetError(
        f"the configuration of {name} was changed by somebody else twice while this run changed it",
        hint="find out who changes it (another tool?) before the run goes on",
    )


def _agree(asked: Mapping[str, str], real: Mapping[str, str]) -> bool:
    """Whether what is realised can be what was asked for: ENS where ENS was asked for, and nowhere else."""
    ens = {switch for switch, mode in asked.items() if mode in ENS_MODES}
    return bool(real) and all((mode in ENS_MODES) == (switch in ens) for switch, mode in real.items())


def _modes(modes: Mapping[str, str]) -> str:
    return ", ".join(sorted(set(modes.values()))) or "an unknown mode"


def _state(state: State) -> str:
    return f"state {state.state}" + (f", waits for {', '.join(state.pending)}" if state.pending else "")


def _say(seen: Evidence) -> str:
    waits = f", waits for {seen['pending']}" if seen["pending"] else ""
    return f"state {seen['state']}{waits}, asked for {seen['mode_set']}, realised {seen['mode_real']}"
