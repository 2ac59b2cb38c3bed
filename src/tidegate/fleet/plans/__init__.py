"""The built-in plans: from the name in ``[run] plan`` to what does it, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from tidegate.errors import FleetError
from tidegate.fleet.act import Work
from tidegate.fleet.model import Plan

__all__ = ["WORKS", "work_for"]

WORKS: dict[str, str] = {
    "avi-enable-multiplexing": "tidegate.fleet.plans.avi_multiplexing:work",
    "nsx-ens-check": "tidegate.fleet.plans.nsx_check:work",
    "nsx-ens-to-standard": "tidegate.fleet.plans.nsx_standard:work",
    "nsx-standard-to-ens": "tidegate.fleet.plans.nsx_ens:work",
    "vcenter-targeted-restart": "tidegate.fleet.plans.vcenter_restart:work",
    "vvold-phased-restart": "tidegate.fleet.plans.vvold:work",
}
"""Name of a plan → module and factory, a function from a :class:`~tidegate.fleet.model.Plan` to a ``Work``."""


def work_for(plan: Plan) -> Work:
    """Return what carries out ``plan``; connects to nothing yet.

    Raises
    ------
    FleetError
        When there is no such plan, or it refuses its options.
    """
    place = WORKS.get(plan.run.plan)
    if place is None:
        raise FleetError(f'there is no plan "{plan.run.plan}"', hint=f"plans: {', '.join(WORKS)}")
    module, _, factory = place.partition(":")
    return cast("Callable[[Plan], Work]", getattr(import_module(module), factory))(plan)
