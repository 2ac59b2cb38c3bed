"""The built-in plans that take hosts from one data path to another, as steps of a run.

::

    mode      one host: maintenance mode, override, realised, out again           (leave: where it failed half-way)
    profile   the profile of the host's cluster, once, when every host of it is so already
    restore   one host: it follows its cluster's profile again
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.clients.nsx import Document
from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Verdict
from tidegate.fleet.plans.nsx_body import ENS_MODES
from tidegate.fleet.plans.nsx_change import Change, Goal, put_carefully
from tidegate.fleet.plans.nsx_estate import Estate, modes_of, unpack

__all__ = ["ModeOptions", "ModeWork"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ModeOptions:
    """``[options]`` of both plans.

    Parameters
    ----------
    mode
        The mode to set; ``auto``: by what the manager offers.
    cpu_config
        For ENS: ``NUMA_NODE:LCORES`` each.
    switches
        Ids of the host switches to change; empty: all.
    profile, restore
        Whether the run ends with the clusters' profiles, and with hosts that follow them again.
    settle_s
        How long NSX may take to realise a mode.
    overwrite
        Sends ``X-Allow-Overwrite``.
    """

    mode: str = "auto"
    cpu_config: str | None = None
    switches: tuple[str, ...] = ()
    profile: bool = True
    restore: bool = False
    settle_s: float = 900.0
    again_s: float = 10.0
    overwrite: bool = False


class ModeWork(ABC):
    """What both directions share; see :class:`~tidegate.fleet.act.Work`."""

    name: str
    cost: str
    """What whoever approves must know."""

    def __init__(self, estate: Estate, options: ModeOptions) -> None:
        self.estate = estate
        self.options = options
        self._change = Change(estate, settle_s=options.settle_s, again_s=options.again_s, overwrite=options.overwrite)
        self._profiles = asyncio.Lock()
        self._goal: Goal | None = None

    @abstractmethod
    async def goal(self) -> Goal:
        """Return what hosts are to become."""

    @abstractmethod
    async def check(self, hosts: Sequence[Host]) -> list[str]:
        """Return what must be known of these hosts before a run; raise to refuse it."""

    @property
    def phases(self) -> Sequence[PhaseSpec]:
        """The phases."""
        mode = PhaseSpec(
            "hosts",
            "mode",
            concurrency=1,
            approval=True,
            says=self.cost,
            deadline_s=self.options.settle_s,
            again_s=self.options.again_s,
            spare_cluster=True,
        )
        says = "the profile reaches every host of every cluster that is attached to it, at once"
        profile = PhaseSpec(
            "profiles", "profile", batched=False, concurrency=1, approval=True, says=says, deadline_s=600
        )
        restore = PhaseSpec("follow", "restore", concurrency=5, deadline_s=600, says="hosts follow their profile again")
        return [mode, *([profile] if self.options.profile else []), *([restore] if self.options.restore else [])]

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """Look at every host once."""
        notes = [*self.estate.warnings, self.cost, *await self.check(hosts)]
        goal = await self.goal()
        busy, several, met = [], [], []
        for host, seen in zip(hosts, await self.estate.look_all(hosts), strict=True):
            if seen.get("maintenance") != "out":
                busy.append(host.name)
            elif len(unpack(seen["mode_set"])) > 1 and goal.ens and not goal.switches:
                several.append(host.name)
            elif self._is_so(goal, seen):
                met.append(host.name)
        if busy:
            raise FleetError(
                f"in maintenance mode, or on the way into it or out of it: {_list(busy)}",
                hint="somebody is at work on them: take them out of the targets, or wait",
            )
        if several:
            hint = 'name them: switches = ["50 2a …"] in [options]'
            raise FleetError(
                f"more than one host switch, and not all may be meant for ENS: {_list(several)}", hint=hint
            )
        if self.estate.proof is None:
            notes.append("the realised mode is taken from NSX alone; no host is asked itself (esxcfg-nics -e)")
        notes.append(f"hosts are taken to {goal.mode} one at a time, each in maintenance mode")
        if met:
            notes.append(f"{goal.mode} already, nothing is done to them: {_list(met)}")
        return notes + await self._reach(hosts)

    async def look(self, step: str, host: Host) -> Evidence:
        """Look at a host, and at the profile of its cluster where the step is about it."""
        goal = await self.goal()
        seen = {**await self.estate.look(host), "goal": goal.mode}
        if step == "leave":
            # Who must be taken out may still be on the way in: that is waited for, not skipped.
            seen.pop("skip", None)
        if step in {"profile", "restore"}:
            profile = await self.estate.profile_of(str(seen["cluster"]))
            if profile is None:
                seen["skip"] = "belongs to no cluster with a profile"
            else:
                seen |= {"profile": profile, "profile_modes": modes_of(await self.estate.nsx.profile(profile))}
        return seen

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:
        """Whether it is so already; what the host does counts, not what it was asked."""
        if step == "leave":
            return now.get("maintenance") == "out"
        if self._goal is None:
            return False
        if step == "profile":
            return self._goal.met(unpack(now.get("profile_modes")))
        if step == "restore":
            return now.get("overridden") is False and self._is_so(self._goal, now)
        return before.get("maintenance") == "out" and now.get("maintenance") == "out" and self._is_so(self._goal, now)

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Do one step to one host."""
        goal = await self.goal()
        if self.estate.proof:
            self.estate.proof.adopt(host, before)
        if step == "leave":
            return await self._change.leave(host)
        if step == "mode":
            return await self._change.act(goal, host, before)
        profile = str(before["profile"])
        if step == "profile":
            async with self._profiles:
                await self._whole(goal, profile)
                read, put = self.estate.nsx.profile, self.estate.nsx.put_profile
                overwrite = self.options.overwrite
                await put_carefully(
                    f"profile {profile}",
                    goal,
                    lambda: read(profile),
                    lambda text: put(profile, text, overwrite=overwrite),
                    overwrite=overwrite,
                )
            return await self.look(step, host)
        await self._same(goal, host, profile)
        await self.estate.nsx.restore(await self.estate.id_of(host))
        return await self.look(step, host)

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Judge by the realised mode."""
        if self.estate.proof:
            self.estate.proof.adopt(host, before)
        verdict = await self._judge(step, host, before)
        return await self.estate.given_back(host, verdict) if verdict.sure else verdict

    async def _judge(self, step: str, host: Host, before: Evidence) -> Verdict:
        goal = await self.goal()
        seen = await self.look(step, host)
        real = ", ".join(sorted(set(unpack(seen["mode_real"]).values()))) or "unknown"
        if step == "leave":
            out = seen.get("maintenance") == "out"
            return Verdict(out, out, f"out of maintenance mode, realised mode {real}" if out else "still in it", seen)
        if step == "profile" and not goal.met(unpack(seen.get("profile_modes"))):
            return Verdict(False, True, f"profile {before.get('profile')} does not say {goal.mode}", seen)
        if step == "restore" and seen.get("overridden") is True:
            return Verdict(False, False, "still overrides its cluster's profile", seen)
        if step == "mode" and seen.get("maintenance") != "out":
            return Verdict(False, False, f"is {seen.get('maintenance')} maintenance mode", seen)
        if self._is_so(goal, seen):
            return Verdict(True, True, f"realised mode {real}", seen)
        waits = f", waits for {seen['pending']}" if seen["pending"] else ""
        return Verdict(False, False, f"realised mode {real}, state {seen['state']}{waits}", seen)

    def commands(self, step: str, host: Host) -> list[str]:
        """Return the requests of a step."""
        mode = self._goal.mode if self._goal else self.options.mode
        node = f"host-transport-nodes/{host.labels.get('nsx_id', f'<id of {host.name}>')}"
        base = "/policy/api/v1/infra/sites/default/enforcement-points/default"
        leave = f"vCenter: {host.name}: exit maintenance mode"
        if step == "leave":
            return [f"GET {base}/{node}/state", leave]
        if step == "profile":
            place = f"/policy/api/v1/infra/host-transport-node-profiles/<profile of {host.cluster or host.name}>"
            return [f"GET {place}", f"PUT {place}  (its _revision, host_switch_mode {mode}, all else unchanged)"]
        if step == "restore":
            return [f"PUT {base}/{node}?action=restore_cluster_config", f"GET {base}/{node}/state"]
        cpu = ", without cpu_config" if mode not in ENS_MODES else ""
        return [
            f"vCenter: {host.name}: enter maintenance mode (DRS moves its machines)",
            f"GET {base}/{node}",
            f"PUT {base}/{node}  (its _revision, host_switch_mode {mode}{cpu}, all else unchanged)",
            f"GET {base}/{node}/state  until success, nothing pending, and the realised mode is {mode}",
            *([f"{host.name}# esxcfg-nics -e"] if self.estate.proof else []),
            leave,
        ]

    def undo(self, step: str) -> str | None:
        """Return ``leave``: a host that failed half-way leaves maintenance mode, where that is safe."""
        return "leave" if step == "mode" else None

    def remember(self, host: Host, evidence: Evidence) -> None:
        """Remember that SSH was opened on the host, when that was recorded by a controller that has died since."""
        self.estate.remember(host, evidence)

    async def close(self) -> None:
        """Log out of NSX, and give back the ways to vCenter and to hosts."""
        await self.estate.close()

    async def settle(self, goal: Goal) -> Goal:
        """Remember the goal, for what is asked without waiting."""
        self._goal = goal
        return goal

    def _is_so(self, goal: Goal, seen: Evidence) -> bool:
        fine = seen["state"] == "success" and not seen["pending"]
        return fine and goal.met(unpack(seen["mode_set"])) and goal.met(unpack(seen["mode_real"]))

    async def _reach(self, hosts: Sequence[Host]) -> list[str]:
        """Say what a profile reaches beyond the hosts of the run."""
        if not self.options.profile:
            return []
        targets = {await self.estate.id_of(host) for host in hosts}
        members = await self.estate.members()
        clusters = {member.cluster for id_, member in members.items() if id_ in targets}
        attachments = await self.estate.nsx.attachments()
        notes = []
        for profile in sorted({one.profile for one in attachments if one.cluster in clusters}):
            reached = {one.cluster for one in attachments if one.profile == profile}
            others = [
                member.name for id_, member in members.items() if member.cluster in reached and id_ not in targets
            ]
            if others:
                notes.append(
                    f"profile {profile} also reaches hosts that are not in this run: {_list(others)}; it is changed "
                    "only if they run that mode already"
                )
        return notes

    async def _whole(self, goal: Goal, profile: str) -> None:
        """Refuse to change a profile while a host that it reaches would change with it, outside maintenance mode."""
        nsx = self.estate.nsx
        clusters = {one.cluster for one in await nsx.attachments() if one.profile == profile}
        documents = {str(node.get("id")): Document("", node) for node in await nsx.nodes()}
        late = []
        for id_, member in (await nsx.members()).items():
            if member.cluster in clusters:
                asked = unpack(modes_of(documents[id_])) if id_ in documents else {}
                if not (goal.met(asked) and goal.met(member.modes)):
                    late.append(member.name)
        if late:
            raise FleetError(
                f"profile {profile} reaches hosts that do not run {goal.mode} yet, and would change them at once, "
                f"outside maintenance mode: {_list(sorted(late))}",
                hint="take them through the first phase, then resume",
            )

    async def _same(self, goal: Goal, host: Host, profile: str) -> None:
        """Refuse to let a host follow a profile that says another mode."""
        document = await self.estate.nsx.profile(profile)
        node = await self.estate.nsx.node(await self.estate.id_of(host))
        if not goal.met(unpack(modes_of(document))) or _cpu(document) != _cpu(node):
            raise FleetError(
                f"profile {profile} says {modes_of(document)} and {host.name} has {modes_of(node)}: to follow it would "
                "change the host outside maintenance mode",
                hint="bring the profile to the same mode and cpu_config first",
            )


def _cpu(document: Document) -> dict[str, object]:
    return {str(one.get("host_switch_id")): one.get("cpu_config") or [] for one in document.switches}


def _list(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
