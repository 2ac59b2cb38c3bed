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
from tidegate.fleet.guard_tables import GuardTable
from tidegate.units import Duration

__all__ = [
    "Batch",
    "Endpoint",
    "Inventory",
    "InventoryHost",
    "Option",
    "Plan",
    "Run",
    "Ssh",
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


class Endpoint(Table):
    """A server with a login. The password comes from ``$password_env``, else from ``password_file`` (mode 0600)."""

    address: str = Field(min_length=1, max_length=253)
    port: int = Field(default=443, ge=1, le=65535)
    user: str = Field(min_length=1, max_length=255)
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    password_file: Path | None = None
    ca: Path | None = None
    thumbprint: str | None = Field(default=None, pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$")
    """SHA-256 of its certificate: exactly that one is trusted."""
    verify: bool = True
    """Whether its certificate is verified; ``false`` is said aloud in every run."""
    timeout: Duration = duration("30s")


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


class Ssh(Table):
    """``[ssh]``: keys come from the agent or from ``identity``."""

    user: str = Field(default="root", min_length=1, max_length=64)
    port: int = Field(default=22, ge=1, le=65535)
    known_hosts: Path | None = None
    """Left out: the user's own."""
    check_host_key: bool = True
    """``false`` trusts whoever answers; it is said aloud in every run."""
    identity: Path | None = None
    password_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable with the password, for hosts that take no key."""
    jump: str | None = None
    """``[USER@]HOST[:PORT]``."""
    open_ssh: bool = False
    """Start TSM-SSH through the API where it is off, and stop it again."""
    connect: Duration = duration("15s")
    command: Duration = duration("60s")


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
