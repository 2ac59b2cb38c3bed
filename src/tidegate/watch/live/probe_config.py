"""What a watch's file may say of probes: ``[probe.NAME]``, told apart by ``kind``.

Each kind's module says which rights are enough. Passwords never stand here: they come from an environment variable, or
from a file of mode 0600.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tidegate.config.fields import Table, duration, refuse
from tidegate.config.reach import Endpoint, Ssh
from tidegate.config.values import AdminSocket
from tidegate.errors import FleetError
from tidegate.units import Duration

__all__ = [
    "AviTable",
    "EnvoyTable",
    "F5ShellTable",
    "F5Table",
    "GateTable",
    "HaproxyTable",
    "NsxTable",
    "ProbeTable",
    "VcenterTable",
]

_EVERY_MIN_S = 1.0


def _often_enough(value: Duration) -> Duration:
    if value.seconds < _EVERY_MIN_S:
        raise refuse(str(value), "a probe is made once a second at the most", 'write for example every = "60s"')
    return value


def _socket(value: str) -> str:
    # Late: a watch without probes begins sooner without SSH.
    from tidegate.clients.ssh import split_address

    kind, colon, path = value.partition(":")
    if colon and kind == "unix":
        if not path.startswith("/"):
            raise refuse(value, f'"{value}" is not an absolute Unix socket address', 'write "unix:/run/proxy.sock"')
        return value
    try:
        split_address(value, 0)
    except FleetError:
        raise refuse(value, f'"{value}" is not an address', 'write "unix:/PATH" or "HOST:PORT"') from None
    return value


def _no_opening(value: Ssh) -> Ssh:
    if value.open_ssh:
        raise refuse("true", "a probe changes nothing, so it opens no SSH", "leave open_ssh out")
    return value


Every = Annotated[Duration, AfterValidator(_often_enough)]
Socket = Annotated[str, AfterValidator(_socket)]
Sources = Annotated[int, Field(ge=1, le=10_000)]


class _Probe(Table):
    """What probes by socket share."""

    every: Every = duration("60s")
    """From one try to the next; longer while it fails."""
    timeout: Duration = duration("15s")
    """Longest that one try may take."""


class HaproxyTable(_Probe):
    """``kind = "haproxy"``: its stats socket."""

    kind: Literal["haproxy"]
    address: Socket


class EnvoyTable(_Probe):
    """``kind = "envoy"``: its admin interface, without TLS."""

    kind: Literal["envoy"]
    address: Socket


class GateTable(_Probe):
    """``kind = "gate"``: a tidegate gate's admin socket."""

    kind: Literal["gate"]
    address: AdminSocket = "unix:/run/tidegate/admin.sock"


class _Manager(Endpoint):
    """What probes of managers share; ``timeout`` is the longest that one try may take, its login included."""

    every: Every = duration("60s")


class AviTable(_Manager):
    """``kind = "avi"``: an Avi Controller."""

    kind: Literal["avi"]
    tenant: str = Field(default="admin", min_length=1, max_length=255)
    """Whose pools are asked for; ``*``: every tenant's."""
    sources: Sources = 1
    """Addresses that a service engine has towards servers: more than one with SNAT addresses."""


class F5Table(_Manager):
    """``kind = "f5"``: a BIG-IP, by iControl REST."""

    kind: Literal["f5"]
    sources: Sources = 1
    """Addresses that it has towards servers: more than one with a SNAT pool."""


class F5ShellTable(_Probe):
    """``kind = "f5-ssh"``: a BIG-IP, by ``tmsh`` over SSH."""

    kind: Literal["f5-ssh"]
    address: str = Field(min_length=1, max_length=253)
    ssh: Annotated[Ssh, AfterValidator(_no_opening)] = Ssh()
    sources: Sources = 1
    """Addresses that it has towards servers: more than one with a SNAT pool."""


class NsxTable(_Manager):
    """``kind = "nsx"``: an NSX Manager."""

    kind: Literal["nsx"]


class VcenterTable(_Manager):
    """``kind = "vcenter"``."""

    kind: Literal["vcenter"]


ProbeTable = Annotated[
    HaproxyTable | EnvoyTable | GateTable | AviTable | F5Table | F5ShellTable | NsxTable | VcenterTable,
    Field(discriminator="kind"),
]
"""``[probe.NAME]``."""
