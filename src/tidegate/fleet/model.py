"""What a plan file may say, as frozen models. Secrets never stand in a plan: it names where they are.

::

    [run]      which built-in plan, and its variant
    [targets]  an inventory file, or [targets.vcenter]
    [batch]    how many hosts at a time, and how long between
    [guard.N]  what stops it
    [verify]   when a host counts as fine
    [ssh] [vcenter] [nsx] [avi]   how to reach what the plan talks to
    [options]  what only this built-in plan knows
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tidegate.config.fields import Name, Table, duration
from tidegate.config.reach import Endpoint, Ssh
from tidegate.fleet.guard_tables import GuardTable
from tidegate.units import Duration

__all__ = [
    "Batch",
    "Inventory",
    "InventoryHost",
    "Option",
    "Plan",
    "Run",
    "Targets",
    "TargetsVcenter",
    "Vcenter",
    "Verify",
]

HOSTS_MAX = 5000
"""Most hosts of one run."""

Option = bool | int | float | str | list[str]


class Run(Table):
    """``[run]``."""

    plan: Name
    variant: Name | None = None
    """The plan's own word, such as ``stop-all`` or ``rolling``; left out: the plan's default."""


class Vcenter(Endpoint):
    """``[vcenter]``; the password is in ``TIDEGATE_VCENTER_PASSWORD`` unless ``password_env`` says another."""


class TargetsVcenter(Vcenter):
    """``[targets.vcenter]``: every host in any of these; read when the run is planned, and kept in it."""

    clusters: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """``CATEGORY:NAME`` or ``NAME``."""


class Targets(Table):
    """``[targets]``: one of the two."""

    inventory: Path | None = None
    vcenter: TargetsVcenter | None = None


class Batch(Table):
    """``[batch]``."""

    size: int = Field(default=5, ge=1, le=HOSTS_MAX)
    grow_to: int | None = Field(default=None, ge=1, le=HOSTS_MAX)
    """Left out: 10, or ``size`` where that is more."""
    pause: Duration = duration("150s")
    """From the last host's step to the next batch."""
    until: Literal["pause", "steady"] = "pause"
    """``steady``: instead of a fixed pause, until every guard has been quiet for ``settle``."""
    settle: Duration = duration("30s")
    patience: Duration = duration("15m")
    """How long to wait for a guard to become quiet, where the run waits for one."""

    @property
    def most(self) -> int:
        """The size that batches grow to."""
        return max(self.size, 10) if self.grow_to is None else self.grow_to


class Verify(Table):
    """``[verify]``."""

    quiet: Duration = duration("180s")
    """No further failure for this long."""
    positive: bool = True
    """And a sign that it works."""
    deadline: Duration = duration("10m")


class Plan(Table):
    """A plan file."""

    run: Run
    targets: Targets
    batch: Batch = Batch()
    guard: dict[Name, GuardTable] = Field(default_factory=dict, max_length=64)
    verify: Verify = Verify()
    ssh: Ssh = Ssh()
    vcenter: Vcenter | None = None
    nsx: Endpoint | None = None
    avi: Endpoint | None = None
    options: dict[Name, Option] = Field(default_factory=dict, max_length=64)


class InventoryHost(Table):
    """``[[host]]`` of an inventory file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,252}$")
    address: str | None = Field(default=None, pattern=r"^[A-Za-z0-9\[][A-Za-z0-9_.:\[\]%-]{0,252}$")
    """Left out: ``name``."""
    cluster: str = Field(default="", max_length=255)
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)


class Inventory(Table):
    """An inventory file."""

    host: tuple[InventoryHost, ...] = ()
