"""``vvold-phased-restart``: the cure of KB 412434, carried out.

The article: stop ``vvold`` on all hosts, start it in batches of 5–10, wait 2–3 minutes between them, look at the
provider's response times. Variant ``stop-all`` (the default) is that: one approved phase that stops everywhere, then
starts in batches. Variant ``rolling`` restarts batch by batch, for a provider that still answers: hosts that are not
in the batch stay connected.

A host is done only when its own log is quiet for ``[verify] quiet`` and shows a connected session; a start that ends
with 0 proves nothing (reference of vvold: ``vvold_look``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from tidegate.clients.vcenter import HostState
from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Verdict
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.access import OPENED, Access, access_for
from tidegate.fleet.plans.vvold_look import LOG, LOOK, VERIFY, identity_known, judge, parse, same_process

__all__ = ["VvoldRestart", "work"]

_SCRIPT = "/etc/init.d/vvold"
_STOP_S = 120.0
_AGAIN_S = 10.0
_AT_ONCE = 10


class VvoldRestart:
    """Stops and starts ``vvold``, or restarts it; knows a host's vvold by its boot, pid and start."""

    name = "vvold-phased-restart"

    def __init__(self, plan: Plan, access: Access, warnings: Sequence[str] = ()) -> None:
        variant = plan.run.variant or "stop-all"
        if variant not in {"stop-all", "rolling"}:
            raise FleetError(f'{self.name} has no variant "{variant}"', hint="variants: stop-all, rolling")
        if plan.options:
            raise FleetError(f"{self.name} has no options, but [options] has {', '.join(sorted(plan.options))}")
        if plan.verify.deadline.seconds <= plan.verify.quiet.seconds:
            raise FleetError(
                "[verify] deadline is not longer than quiet: no host could ever be verified",
                hint="quiet is how long a host must show no failure; give it minutes more",
            )
        self._access, self._warnings, self._verify = access, list(warnings), plan.verify
        start = PhaseSpec(
            "start",
            "start",
            concurrency=plan.batch.most,
            says="starts vvold in batches",
            deadline_s=plan.verify.deadline.seconds,
            # As often as vvold asks its provider for events; a short deadline gets several looks all the same.
            again_s=min(_AGAIN_S, plan.verify.deadline.seconds / 4),
        )
        self.phases: Sequence[PhaseSpec]
        if variant == "rolling":
            says = "restarts vvold batch by batch; the other hosts stay connected"
            self.phases = (replace(start, name="restart", step="restart", approval=True, says=says),)
        else:
            stop = (
                "stops vvold on every host: running machines keep their disks, but none on vVols can be "
                "powered on, moved or snapshotted until its host's vvold is started again"
            )
            self.phases = (
                PhaseSpec("stop_all", "stop", False, _AT_ONCE, approval=True, says=stop, deadline_s=_STOP_S),
                start,
            )

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """Say what is loud about the way to the hosts, and which of them vCenter sees in lockdown or maintenance."""
        said = list(self._warnings)
        unseen = 0
        asking = asyncio.Semaphore(_AT_ONCE)

        async def asked(host: Host) -> HostState | None:
            async with asking:
                return await self._access.state(host)

        for host, state in zip(hosts, await asyncio.gather(*map(asked, hosts)), strict=True):
            if state is None:
                unseen += 1
                continue
            if state.lockdown:
                said.append(f"{host.name} is in {state.lockdown} lockdown: SSH lets only its exception users in")
            if state.moving:
                said.append(f"{host.name} {state.moving}: it will be skipped if it still does when its turn comes")
            elif not state.connected:
                said.append(f"{host.name} is not connected to vCenter")
        if unseen:
            said.append(
                f"{unseen} of {len(hosts)} hosts have no vCenter to ask (no [vcenter], it is away, or it does not know "
                "them): their lockdown mode and maintenance are not seen"
            )
        return said

    async def look(self, step: str, host: Host) -> Evidence:
        """Read state, pid, start and boot of the host's vvold."""
        # A start is never skipped: it may be what gives a host back that this run has stopped.
        state = await self._access.state(host) if step != "start" else None
        if state is not None and state.moving:
            return {"skip": state.moving}
        seen = await self._seen(host)
        if seen["state"] == "missing":
            raise FleetError(f"{host.name} has no {_SCRIPT}", hint="is it an ESXi host of 7.0 or later?")
        if step == "restart" and seen["state"] == "running" and not identity_known(seen):
            raise FleetError(
                f"{host.name}: neither a pid file nor ps shows which vvold runs, so a restart could not be proved",
                hint='use variant = "stop-all", which needs no proof by pid',
            )
        return seen if state is None or not state.lockdown else {**seen, "lockdown": state.lockdown}

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:
        """Return whether it is stopped, runs, or runs as another process than before."""
        if step == "stop":
            return now.get("state") == "stopped"
        if step == "start":
            return now.get("state") == "running"
        return now.get("state") == "running" and (before.get("state") != "running" or not same_process(before, now))

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Stop, start, or both; through the API where the host's service list has vvold, else by its script."""
        self._access.adopt(host, before)
        for verb in ("stop", "start") if step == "restart" else (step,):
            if not await self._access.by_manager(host, "vvold", verb):
                ran = await self._access.run(host, f"{_SCRIPT} {verb}")
                if ran.status != 0:
                    raise FleetError(
                        f"{host.name}: `{_SCRIPT} {verb}` ended with {ran.status}: {ran.says}", slug="step-failed"
                    )
        return await self._seen(host)

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Judge by the host's own log and list; only a stop is judged by the state alone."""
        self._access.adopt(host, before)
        if step == "stop":
            seen = await self._seen(host)
            ok = seen["state"] == "stopped"
            return Verdict(ok, ok, "stopped" if ok else f"vvold is {seen['state']} after its stop", seen)
        ran = await self._access.run(host, VERIFY)
        verdict = judge(ran.out, before, self._verify.quiet.seconds, self._verify.positive)
        if verdict.ok and verdict.sure:
            says = verdict.says + await self._access.give_back(host)
            return replace(verdict, says=says, evidence={**verdict.evidence, OPENED: self._access.opened(host)})
        return verdict

    def commands(self, step: str, host: Host) -> list[str]:
        """Return what a person would type on the host."""
        verbs = ("stop", "start") if step == "restart" else (step,)
        said = [f"ssh {host.address} {_SCRIPT} {verb}" for verb in verbs]
        if step == "stop":
            return [*said, f"ssh {host.address} {_SCRIPT} status"]
        return [
            *said,
            f"ssh {host.address} grep -E 'DoSetContext|session state' {LOG}",
            f"ssh {host.address} esxcli storage vvol vasaprovider list",
        ]

    def undo(self, step: str) -> str | None:
        """Return ``start`` for what has stopped, or may have."""
        return "start" if step in {"stop", "restart"} else None

    def remember(self, host: Host, evidence: Evidence) -> None:
        """Remember that SSH was opened on the host, when that was recorded by a controller that has died since."""
        self._access.recall(host, evidence)

    async def close(self) -> None:
        """Close SSH where this run has opened it, and log out."""
        await self._access.close()

    async def _seen(self, host: Host) -> dict[str, str | int | bool | None]:
        ran = await self._access.run(host, LOOK)
        return {**parse(ran.out), OPENED: self._access.opened(host)}


def work(plan: Plan) -> VvoldRestart:
    """Return what carries out ``plan``."""
    access, warnings = access_for(plan)
    return VvoldRestart(plan, access, warnings)
