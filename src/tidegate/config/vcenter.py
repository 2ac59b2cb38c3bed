"""What may stand in a file about a vCenter: sessions, tasks, who is paced, and when.

Defaults that come from vSphere's own limits name them. Sessions are shared only with ``broker = "on"`` and where the
service's ``mode`` is ``enforce``; what is paced is paced by user, whichever client it comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tidegate.config.fields import Name, Role, Table, duration
from tidegate.config.values import Sha256, Texts
from tidegate.config.windows import DeclaredWindow
from tidegate.units import Duration

__all__ = [
    "GateWindow",
    "Vcenter",
    "VcenterAccount",
    "VcenterOperation",
    "VcenterPace",
    "VcenterPrincipal",
    "VcenterTasks",
]

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
User = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class VcenterOperation(Table):
    """One operation: its role and its cost."""

    role: Role
    cost: Annotated[float, Field(ge=0.001, le=1000)]
    """Expected work in units, until it is learned; a login is one unit."""


class VcenterTasks(Table):
    """``[service.NAME.vcenter.tasks]``: how much work may be under way inside the vCenter.

    Work for a host waits there with a token. No more is let in than ends within half of a token's life (KB 440879).
    """

    token_life: Duration = duration("300s")
    """A token that waits for a host is refused when it is older (KB 440879)."""
    start: Count = 32
    """Tasks at once until eight have ended and their rate is known."""
    most: Count = 640
    """Tasks at once, whatever their rate; vpxd serves so many calls at once."""
    leases_max: Count = 52
    """NFC leases of all hosts together (VDDK: connections through vCenter)."""
    leases_per_host_max: Count = 48
    """NFC leases of one host (VDDK: 48 MB of buffers, 1 MB each)."""
    snapshots_per_datastore_max: Count = 4
    """Snapshots that are open at once on one datastore (Veeam's own default)."""
    lease_timeout: Duration = duration("300s")
    """A lease that says nothing for this long is over."""
    wait_max: Duration = duration("60s")
    """How long a call waits for a place."""
    waiting_max: Count = 2000
    """Calls that wait for a place."""


class VcenterAccount(Table):
    """``account`` of ``[service.NAME.vcenter.pace]``: who reads the counters of datastores, at the server itself.

    Its own read-only user, never one that clients use. Without ``ca`` and ``thumbprint`` the server is verified as the
    gate verifies it for clients.
    """

    user: User
    password_env: Variable = "TIDEGATE_VCENTER_PASSWORD"  # noqa: S105 (the name of a variable)
    """Variable of the gate's environment with the password."""
    password_file: Path | None = None
    """File of mode 0600 with it, read where the variable is not set."""
    ca: Path | None = None
    """Verify by this certificate authority and by name."""
    thumbprint: Sha256 | None = None
    """Verify by the SHA-256 thumbprint of its certificate."""


class VcenterPace(Table):
    """``[service.NAME.vcenter.pace]``: snapshots wait for the storage, whoever makes them."""

    hold: Duration = duration("20ms")
    """``CreateSnapshot_Task`` is held while its datastore is this slow (KB 440879), until it is 10 % faster."""
    halve: Duration = duration("25ms")
    """At this latency ``snapshots_per_datastore_max`` is halved, down to 1."""
    interval: Duration = duration("20s")
    """Between two looks at the counters; hosts measure every 20 s."""
    account: VcenterAccount | None = None
    """Left out: nothing is held for latency."""


class VcenterPrincipal(Table):
    """``[service.NAME.vcenter.principal.NAME]``: users that are paced together; the first that names a user counts."""

    users: Annotated[tuple[User, ...], Field(min_length=1, max_length=64)]
    """Names as clients log in with them; ``*`` and ``?`` stand for any text and any sign, case counts for nothing."""
    bulk: bool = True
    """Gives way to what others do, and has at most ``vms_max`` machines in work."""
    vms_max: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Virtual machines in work at once (KB 440879: 20 to 50)."""


class Vcenter(Table):
    """``[service.NAME.vcenter]``: what the gate knows about the vCenter behind it."""

    broker: Literal["on", "off"] = "on"
    """``on``: clients share the sessions that the gate holds; ``off``: each client's session passes as it is."""
    clones: Annotated[int, Field(ge=0, le=64)] = 8
    """Sessions per principal beside the shared one, each lent to one client at a time that needs one of its own."""
    clone_wait: Duration = duration("60s")
    """How long a call waits for one of them."""
    sessions_max: Count = 16_384
    """Sessions that clients have at the gate. They cost the vCenter nothing, and the gate some kilobytes each."""
    sessions_per_principal_max: Count = 4096
    """The same, of one user."""
    own_max: Count = 200
    """Sessions that cannot be shared: by token, by SSPI, of extensions."""
    principals_max: Count = 200
    """Users that have sessions at once. With 8 clones each and ``own_max`` that is the 2000 sessions of a vCenter."""
    session_idle: Duration = duration("30m")
    """A client's session ends when it is idle for this long, as at a vCenter."""
    session_life: Duration = duration("20h")
    """A session at the vCenter is replaced before it is this old (ends were seen from about 20 h on)."""
    password_ttl: Duration = duration("15m")
    """A password is kept and believed for this long after the vCenter took it; then the next login goes there."""
    keepalive: Duration = duration("10m")
    """A session at the vCenter that clients rely on is used at least so often."""
    long_polls_max: Count = 200
    """``WaitForUpdatesEx`` and its like that wait at the vCenter at once; it serves 640 calls in all."""
    long_poll_max: Duration = duration("60s")
    """A client that names a longer wait is answered after this, and asks again by itself."""
    operation: dict[str, VcenterOperation] = Field(default_factory=dict)
    """Operations that differ from the built-in table; for REST ``"POST /api/session"``."""
    tasks: VcenterTasks = VcenterTasks()
    pace: VcenterPace = VcenterPace()
    principal: dict[Name, VcenterPrincipal] = Field(default_factory=dict, max_length=256)


class GateWindow(DeclaredWindow):
    """``[window.NAME]``: when principals may begin work. One without a window always may."""

    principals: Annotated[Texts, Field(min_length=1)]
    """Names of ``[service.NAME.vcenter.principal.NAME]``, of any service."""
    outside: Literal["hold", "turn-away"] = "hold"
    """Work that comes at another time waits as long as ``tasks.wait_max`` says, or is turned away at once."""
