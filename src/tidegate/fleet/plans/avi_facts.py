"""What KB 425869's cure needs of a virtual service, and what to do where it does not fit. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.clients.avi import ref_uuid
from tidegate.errors import FleetError

__all__ = ["clone_of", "multiplexed", "refuse_unfit", "same_profile", "snat_proposal", "users_of"]

Object = Mapping[str, Any]

HTTP = "APPLICATION_PROFILE_TYPE_HTTP"
# Ports that one source address has towards one server, and the share of them at which it is full enough.
PORTS = 64512
FULL = 0.70
_OWN = ("uuid", "url", "_last_modified", "name", "display_name", "created_by", "markers")


def multiplexed(profile: Object) -> bool:
    """Whether a profile multiplexes."""
    return bool((profile.get("http_profile") or {}).get("connection_multiplexing_enabled"))


def users_of(profile: str, services: Sequence[Object]) -> list[str]:
    """Return the names of the virtual services that a change of a profile would touch."""
    return sorted(
        str(one.get("name")) for one in services if ref_uuid(str(one.get("application_profile_ref"))) == profile
    )


def snat_proposal(service: Object, open_conns: int | None) -> str:
    """Return what to do instead: how many source addresses, towards one server at the worst, it would take."""
    has = len(service.get("snat_ip") or [])
    if open_conns is None:
        return "give it more source addresses: one for every 45,000 connections that one server gets (snat_ip)"
    wants = max(has + 1, math.ceil(open_conns / (PORTS * FULL)))
    return (
        f"give it more source addresses instead: snat_ip has {has}, and {open_conns} open connections to one server "
        f"want {wants} (70 % of {PORTS} ports each)"
    )


def refuse_unfit(service: Object, profile: Object, open_conns: int | None) -> None:
    """Refuse a virtual service that cannot multiplex.

    Raises
    ------
    FleetError
        With the reason, and what to do instead.
    """
    name, called = service.get("name"), profile.get("name")
    http = profile.get("http_profile") or {}
    instead = snat_proposal(service, open_conns)
    if profile.get("type") != HTTP:
        kind = str(profile.get("type") or "unknown").removeprefix("APPLICATION_PROFILE_TYPE_")
        raise FleetError(f"{name} has the {kind} profile {called}: only HTTP can be multiplexed", hint=instead)
    if profile.get("preserve_client_ip"):
        raise FleetError(
            f"{name}: profile {called} preserves the clients' addresses: servers see each client itself, so there is "
            "nothing to share",
            hint=f"give up preserve_client_ip (X-Forwarded-For tells servers who it is); or {instead}",
        )
    if http.get("detect_ntlm_app"):
        raise FleetError(
            f"{name}: profile {called} looks for NTLM, which authenticates connections: they are never multiplexed",
            hint=f"where no server uses NTLM, switch detect_ntlm_app off first; else {instead}",
        )


def clone_of(profile: Object, name: str) -> dict[str, Any]:
    """Return the profile that is created: the same, by another name, and multiplexing."""
    copy = {key: value for key, value in profile.items() if key not in _OWN}
    return {
        **copy,
        "name": name,
        "http_profile": {**(profile.get("http_profile") or {}), "connection_multiplexing_enabled": True},
    }


def same_profile(one: Object, other: Object) -> bool:
    """Whether two profiles say the same, apart from who they are."""
    return {k: v for k, v in one.items() if k not in _OWN} == {k: v for k, v in other.items() if k not in _OWN}
