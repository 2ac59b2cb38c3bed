"""``nsx-ens-to-standard``: the workaround of KB 433412, one host at a time.

The old data path is called LEGACY where the manager offers a mode of that name: there STANDARD leaves the choice to the
data plane, which may choose ENS again, and is no workaround. Whatever was asked for, a host counts as done only by the
mode that it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.errors import FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.manager import Options
from tidegate.fleet.plans.nsx_change import Goal
from tidegate.fleet.plans.nsx_facts import build_verdict
from tidegate.fleet.plans.nsx_mode import ModeOptions, ModeWork
from tidegate.fleet.plans.nsx_reach import estate_for

__all__ = ["EnsToStandard", "work"]

_MODES = ("auto", "LEGACY", "STANDARD")


class EnsToStandard(ModeWork):
    """Takes hosts from ENS to the standard data path."""

    name = "nsx-ens-to-standard"
    cost = (
        "without ENS a host forwards far fewer packets a second, with more latency and jitter (no polling): ask the "
        "owners of Telco/NFV machines first; an upgrade to NSX 4.1.2.3 or 4.2.0 is the better answer to KB 433412"
    )

    async def goal(self) -> Goal:
        """Return LEGACY where that is offered, else STANDARD.

        Raises
        ------
        FleetError
            When the manager does not tell what it offers.
        """
        if self._goal is None:
            mode = self.options.mode
            if mode == "auto":
                offered = await self.estate.nsx.offered_modes()
                if not offered & {"LEGACY", "STANDARD"}:
                    raise FleetError(
                        f"{self.estate.nsx.session.whose} does not tell which modes it offers",
                        hint='mode = "LEGACY" or mode = "STANDARD" in [options]; its UI shows which there are',
                    )
                mode = "LEGACY" if "LEGACY" in offered else "STANDARD"
            self._goal = Goal(mode, switches=self.options.switches)
        return self._goal

    async def check(self, hosts: Sequence[Host]) -> list[str]:
        """Say which hosts have a fixed build and would pay for nothing."""
        builds = await self.estate.builds()
        fixed = [
            host.name
            for host in hosts
            if build_verdict(builds.get(await self.estate.id_of(host), "")).verdict == "fixed"
        ]
        return [f"has the fix already, and needs no workaround: {name}" for name in fixed]


def work(plan: Plan) -> EnsToStandard:
    """Return the plan's work.

    ``[options]``: ``mode`` (auto, LEGACY, STANDARD), ``switches``, ``profile`` (true), ``follow_profile`` (false),
    ``host_check`` (true), ``settle`` ("15m"), ``enter`` ("60m"), ``overwrite`` (false).
    """
    options = Options(plan)
    mode = options.text("mode", "auto")
    if mode not in _MODES:
        raise FleetError(f'[options] mode is "{mode}"', hint=f"write one of {', '.join(_MODES)}")
    own = ModeOptions(
        mode=mode,
        switches=options.words("switches"),
        profile=options.switch("profile", True),
        restore=options.switch("follow_profile", False),
        settle_s=options.seconds("settle", "15m"),
        overwrite=options.switch("overwrite", False),
    )
    if own.restore and not own.profile:
        raise FleetError("follow_profile needs profile: a profile that still says ENS would bring it back")
    host_check, enter = options.switch("host_check", True), options.seconds("enter", "60m")
    options.finish()
    return EnsToStandard(estate_for(plan, changes=True, host_check=host_check, enter_s=enter), own)
