"""How the tables about a vCenter must fit together."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from tidegate.config.broken import Broken, Path, positive
from tidegate.config.fields import duration
from tidegate.config.model import Config, Passthrough, Service
from tidegate.config.vcenter import Vcenter, VcenterPrincipal
from tidegate.units import Duration

__all__ = ["SESSIONS_MAX", "broken_vcenter", "broken_windows", "crowded"]

SESSIONS_MAX = 2000
"""Sessions that vpxd holds (``config.vmacore.soap.maxSessionCount``; 3000 from 8.0 U3), those past the gate too."""

_SHORTEST, _SECOND, _MINUTE, _DAY = (duration(text) for text in ("1ms", "1s", "60s", "24h"))


def broken_vcenter(at: Path, service: Service) -> Iterator[Broken]:
    """Yield what is wrong with a service with ``protocol = "vcenter"``, whose table may be left out."""
    vcenter, at = service.vcenter or Vcenter(), (*at, "vcenter")
    if isinstance(service.tls, Passthrough):
        yield from _behind_passthrough(at, vcenter)
    elif vcenter.broker == "on" and len(service.server) > 1:
        hint = 'write a service for each vCenter, or broker = "off"'
        yield Broken((*at, "broker"), "a session lives at one vCenter, and this service has several servers", hint)
    yield from _times(at, vcenter)
    tasks = vcenter.tasks
    if tasks.start > tasks.most:
        yield Broken((*at, "tasks", "start"), f"is more than most, which is {tasks.most}", "begin with fewer")
    if tasks.leases_per_host_max > tasks.leases_max:
        message = f"is more than leases_max, which is {tasks.leases_max}"
        yield Broken((*at, "tasks", "leases_per_host_max"), message, "one host has no more than all of them")
    pace = vcenter.pace
    if pace.halve < pace.hold:
        yield Broken(
            (*at, "pace", "halve"), f"is shorter than hold, which is {pace.hold}", "what is halved is held too"
        )
    if pace.account and not any(server.tls for server in service.server.values()):
        hint = "give each server a table tls: the account's password goes there"
        yield Broken((*at, "pace", "account"), "the gate speaks no TLS to the vCenter", hint)
    if pace.account and pace.account.ca and pace.account.thumbprint:
        message = "the vCenter is verified in more than one way"
        yield Broken((*at, "pace", "account"), message, "write one of ca and thumbprint, or neither")
    yield from _twice((*at, "principal"), vcenter.principal)


def crowded(at: Path, service: Service) -> Iterator[Broken]:
    """Yield what lets the gate alone take up all the sessions that a vCenter has."""
    vcenter = service.vcenter or Vcenter()
    if service.protocol != "vcenter" or vcenter.broker == "off" or isinstance(service.tls, Passthrough):
        return
    each, own = 1 + vcenter.clones, vcenter.own_max
    most = vcenter.principals_max * each + own
    if most > SESSIONS_MAX:
        message = (
            f"the gate may hold {most} sessions at the vCenter ({vcenter.principals_max} users with 1 + "
            f"{vcenter.clones} each, {own} that cannot be shared), and it has room for {SESSIONS_MAX}"
        )
        fit = (SESSIONS_MAX - own) // each
        hint = f"{fit} users fit, or fewer clones" if fit > 0 else "lower own_max, or have fewer clones"
        yield Broken((*at, "vcenter", "principals_max"), message, hint)


def _behind_passthrough(at: Path, vcenter: Vcenter) -> Iterator[Broken]:
    hint = 'set kind = "terminate" for the service, or broker = "off"'
    if vcenter.broker == "on":
        yield Broken((*at, "broker"), "the gate reads no sessions when TLS passes through, so it can share none", hint)
    for name in ("tasks", "pace", "principal", "operation"):
        if name in vcenter.model_fields_set:
            hint = 'remove it, or set kind = "terminate" for the service'
            yield Broken((*at, name), "the gate reads no calls when TLS passes through", hint)


def _times(at: Path, vcenter: Vcenter) -> Iterator[Broken]:
    for table, path in ((vcenter, at), (vcenter.tasks, (*at, "tasks")), (vcenter.pace, (*at, "pace"))):
        spans = dict(table)
        yield from positive(path, spans)
        for name, value in spans.items():
            most = _MINUTE if name in {"hold", "halve"} else _DAY
            if isinstance(value, Duration) and value.count and not _SHORTEST <= value <= most:
                yield Broken((*path, name), f"{value} is out of range", f"write {_SHORTEST} to {most}")
    if _SHORTEST <= vcenter.long_poll_max < _SECOND:
        hint = "a vCenter is told whole seconds: write 1s or more"
        yield Broken((*at, "long_poll_max"), f"{vcenter.long_poll_max} is out of range", hint)
    if vcenter.keepalive >= vcenter.session_idle:
        hint = "a session that is used too seldom ends of idleness"
        yield Broken((*at, "keepalive"), f"is not shorter than session_idle, which is {vcenter.session_idle}", hint)


def _twice(at: Path, principals: dict[str, VcenterPrincipal]) -> Iterator[Broken]:
    seen: dict[str, str] = {}
    for name, principal in principals.items():
        for place, user in enumerate(principal.users):
            if (first := seen.setdefault(user.lower(), name)) != name:
                message = f'the user "{user}" belongs to the principal "{first}" already'
                yield Broken((*at, name, "users", place), message, "name each user once")


def broken_windows(config: Config) -> Iterator[Broken]:
    """Yield what is wrong with ``[window.NAME]``; windows of one principal, or of several, may overlap."""
    known = sorted(
        {name for service in config.service.values() if service.vcenter for name in service.vcenter.principal}
    )
    for name, table in config.window.items():
        at: Path = ("window", name)
        try:
            table.window(name)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            yield Broken(at, message, hint)
        for place, principal in enumerate(table.principals):
            if principal in known:
                continue
            close = difflib.get_close_matches(principal, known, n=1)
            if close:
                hint = f'did you mean "{close[0]}"?'
            elif known:
                hint = f"known principals: {', '.join(known)}"
            else:
                hint = f"declare it with its users: [service.NAME.vcenter.principal.{principal}]"
            yield Broken((*at, "principals", place), f'there is no principal "{principal}"', hint)
