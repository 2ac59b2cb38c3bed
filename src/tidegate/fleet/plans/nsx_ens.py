"""``nsx-standard-to-ens``: takes the workaround of KB 433412 back, once the fixed build runs.

Refuses while any host that would get ENS runs a build that is affected or that the article does not speak of: those of
the run, and those that the profile reaches. Ends with hosts that follow their cluster's profile again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.manager import Options
from tidegate.fleet.plans.nsx_change import Goal
from tidegate.fleet.plans.nsx_facts import build_verdict
from tidegate.fleet.plans.nsx_mode import ModeOptions, ModeWork
from tidegate.fleet.plans.nsx_reach import estate_for

__all__ = ["StandardToEns", "cpu_config", "work"]

_MODES = ("ENS", "ENS_INTERRUPT")
_CORES = re.compile(r"(\d{1,3}):(\d{1,3})")
_SHOWN = 5


class StandardToEns(ModeWork):
    """Takes hosts back to ENS."""

    name = "nsx-standard-to-ens"
    cost = "ENS is what KB 433412's crash needs: hosts get it back only where the fixed build runs"

    async def goal(self) -> Goal:
        """Return the mode that the plan names."""
        if self._goal is None:
            self._goal = Goal(self.options.mode, self.options.cpu_config, self.options.switches)
        return self._goal

    async def check(self, hosts: Sequence[Host]) -> list[str]:
        """Refuse while a host that would get ENS has no fixed build.

        Raises
        ------
        FleetError
            With those hosts and their builds.
        """
        targets = {await self.estate.id_of(host): host.name for host in hosts}
        await self._refuse_unfixed(await self._reached(targets) if self.options.profile else targets)
        return []

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Do one step; the build is looked at again, for it may be another than when the run was planned."""
        if step in {"mode", "restore"}:
            await self._refuse_unfixed({await self.estate.id_of(host): host.name})
        elif step == "profile":
            await self._refuse_unfixed(await self._reached({await self.estate.id_of(host): host.name}))
        return await super().act(step, host, before)

    async def _reached(self, targets: dict[str, str]) -> dict[str, str]:
        """Return these hosts and those that the profiles of their clusters reach."""
        members, attachments = await self.estate.members(), await self.estate.nsx.attachments()
        clusters = {member.cluster for id_, member in members.items() if id_ in targets}
        profiles = {one.profile for one in attachments if one.cluster in clusters}
        clusters = {one.cluster for one in attachments if one.profile in profiles}
        others = {id_: member.name for id_, member in members.items() if member.cluster in clusters}
        return {**others, **targets}

    async def _refuse_unfixed(self, nodes: dict[str, str]) -> None:
        builds = await self.estate.builds()
        bad = []
        for id_, name in sorted(nodes.items(), key=lambda item: item[1]):
            verdict = build_verdict(builds.get(id_, "")).verdict
            if verdict != "fixed":
                bad.append(f"{name} ({builds.get(id_) or 'build unknown'}: {verdict})")
        if bad:
            rest = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
            raise FleetError(
                f"no ENS while a host that would get it can crash: {', '.join(bad[:_SHOWN])}{rest}",
                hint="upgrade them to NSX 4.1.2.3, or 4.2.0 and later; NSX reads hosts' versions every 10 minutes",
            )


def cpu_config(words: Sequence[str]) -> str | None:
    """Return the JSON of ``cpu_config`` for ``NUMA_NODE:LCORES`` words; ``None`` for none.

    Raises
    ------
    FleetError
        When one is no such word.
    """
    pairs = [_CORES.fullmatch(word) for word in words]
    if not all(pairs):
        raise FleetError(
            f"[options] cpu_config is {list(words)!r}", hint='write for example cpu_config = ["0:4", "1:4"]'
        )
    config = [{"numa_node_index": int(pair[1]), "num_lcores": int(pair[2])} for pair in pairs if pair]
    return json.dumps(config) if config else None


def work(plan: Plan) -> StandardToEns:
    """Return the plan's work.

    ``[options]``: ``mode`` (ENS or ENS_INTERRUPT; must be named), ``cpu_config`` (``["0:4"]``), ``switches``,
    ``profile`` (true), ``host_check`` (true), ``settle`` ("15m"), ``enter`` ("60m"), ``overwrite`` (false).
    """
    options = Options(plan)
    mode = options.text("mode")
    if mode not in _MODES:
        raise FleetError(
            f"[options] mode is {mode or 'missing'}: which ENS mode did these hosts have?",
            hint="ENS or ENS_INTERRUPT; the run of nsx-ens-to-standard kept what each host had (mode_set, cpu_config)",
        )
    profile = options.switch("profile", True)
    own = ModeOptions(
        mode=mode,
        cpu_config=cpu_config(options.words("cpu_config")),
        switches=options.words("switches"),
        profile=profile,
        restore=profile,
        settle_s=options.seconds("settle", "15m"),
        overwrite=options.switch("overwrite", False),
    )
    host_check, enter = options.switch("host_check", True), options.seconds("enter", "60m")
    options.finish()
    return StandardToEns(estate_for(plan, changes=True, host_check=host_check, enter_s=enter), own)
