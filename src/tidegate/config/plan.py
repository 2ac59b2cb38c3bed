"""Model to plan: the JSON that Rust sees, and the only thing that it sees.

Format 1. Spans are whole nanoseconds and their keys end in ``_ns``; costs are thousandths of a unit. Rust refuses a
plan of another format or with a key that it does not know.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.config.headroom import headroom
from tidegate.config.model import (
    Admission,
    Config,
    Http,
    Identity,
    Io,
    Monitor,
    Operation,
    Passthrough,
    Server,
    ServerTls,
    Service,
    Tcp,
    Terminate,
    Vasa,
)
from tidegate.config.numbers import milli, plain
from tidegate.config.vcenter import VcenterOperation
from tidegate.config.vcenter_plan import FIRST_CALLS, many_scripts, vcenter_plan

__all__ = ["FORMAT", "Known", "admission_plan", "compile_plan"]

FORMAT = 1
"""Of the plan; plan and library ship together."""

Json = dict[str, Any]

_FAST_LEAST = 10_000_000
"""The shortest time between two probes, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of operations, by protocol; a service may override single ones. ``other``: those not listed."""

    vasa: Mapping[str, Operation]
    vasa_other: Operation
    vcenter: Mapping[str, VcenterOperation]
    vcenter_other: VcenterOperation


def compile_plan(config: Config, known: Known, now: float) -> bytes:
    """Return the plan for ``config`` as JSON.

    Parameters
    ----------
    config
        The checked model.
    known
        The tables of operations.
    now
        Seconds since 1970: from when on the plan says when windows are open.
    """
    seed = config.gate.seed if config.gate.seed is not None else secrets.randbits(63)
    services = [_service(name, config, seed, known, now) for name in config.service]
    admin = {
        "unix": config.gate.admin.partition(":")[2],
        "tcp": config.gate.admin_tcp,
        "token_file": _text(config.gate.admin_token_file),
    }
    plan = {"format": FORMAT, "services": services, "admin": admin, "ports": _ports(config)}
    return json.dumps(plan).encode()


def _ports(config: Config) -> Json:
    ports = config.gate.ports
    return {
        "ranges": [{"first": first, "last": last} for first, last in ports.ranges],
        "sources": list(ports.sources),
        "headroom": headroom(config),
    }


def _service(name: str, config: Config, seed: int, known: Known, now: float) -> Json:
    service = config.service[name]
    admission, first = service.admission, 1
    if service.protocol == "vasa":
        protocol = _vasa(service.vasa or Vasa(), known)
    elif service.protocol == "vcenter":
        protocol = vcenter_plan(service, config.window, known.vcenter, known.vcenter_other, now)
        admission, first = many_scripts(service), FIRST_CALLS
    elif service.protocol == "http":
        protocol = _http(service.http or Http())
    else:
        protocol = {"kind": "tcp"}
    return {
        "name": name,
        "listen": service.listen,
        "protocol": protocol,
        "tls": _tls(service),
        "servers": [_server(key, server) for key, server in service.server.items()],
        "pool_scope": service.pool_scope,
        "monitor": _monitor(service, service.monitor) if service.monitor else None,
        "accept_proxy": service.accept_proxy,
        "forwarded_from": list(service.forwarded_from),
        "admission": admission_plan(admission, service.mode, service.server, seed, first=first),
        "io": _io(service.io),
        "tcp": _tcp(service.tcp or Tcp()),
        "identities": [_identity(identity) for identity in service.identity.values()],
    }


def _vasa(vasa: Vasa, known: Known) -> Json:
    table = {**known.vasa, **vasa.operation}
    return {
        "kind": "vasa",
        "operations": {name: _operation(operation) for name, operation in table.items()},
        "default": _operation(known.vasa_other),
        "session_cookie": vasa.session_cookie,
        "version_path": vasa.version_path,
        "public_url": vasa.public_url,
        "lower_concurrency": vasa.lower_concurrency,
        "probe_paths": list(vasa.probe_paths),
    }


def _operation(operation: Operation) -> Json:
    return {"role": operation.role, "cost_milli": milli(operation.cost), "fault": operation.fault}


def _http(http: Http) -> Json:
    rules = [
        {"method": rule.method, "path": rule.path, "role": rule.role, "cost_milli": milli(rule.cost)}
        for rule in http.rule
    ]
    return {
        "kind": "http",
        "rules": rules,
        "session_cookie": http.session_cookie,
        "user_header": http.user_header,
        "status": http.status,
        "probe_paths": list(http.probe_paths),
    }


def _tls(service: Service) -> Json:
    match service.tls:
        case Passthrough() as tls:
            return {"kind": "passthrough", "names": list(tls.names), "settle_ns": tls.settle.nanoseconds}
        case Terminate() as tls:
            return {
                "kind": "terminate",
                "certificate": str(tls.certificate),
                "key": str(tls.key),
                "client_ca": _text(tls.client_ca),
                "client_required": tls.client_required,
            }
        case None:
            return {"kind": "none"}


def _server(name: str, server: Server) -> Json:
    return {
        "name": name,
        "address": server.address,
        "tls": _server_tls(server.tls) if server.tls else None,
        "send_proxy": server.send_proxy,
    }


def _monitor(service: Service, monitor: Monitor) -> Json:
    kind = service.monitor_kind
    probe: Json = {"kind": kind}
    if kind == "http":
        probe |= {"path": monitor.path or _status_page(service), "status": list(monitor.status)}
    interval = monitor.interval.nanoseconds
    settings = {
        "interval_ns": interval,
        "timeout_ns": monitor.timeout.nanoseconds if monitor.timeout else interval,
        "fast_ns": monitor.fast.nanoseconds if monitor.fast else max(interval // 2, _FAST_LEAST),
        "fall": monitor.fall,
        "rise": monitor.rise,
        "slow_start_ns": monitor.slow_start.nanoseconds,
    }
    return {"probe": probe, "settings": settings}


def _status_page(service: Service) -> str:
    """Return what a probe asks for where the file does not say: a page that makes no session."""
    if service.protocol == "vcenter":
        return "/sdk/vimServiceVersions.xml"
    return (service.vasa or Vasa()).version_path if service.protocol == "vasa" else "/"


def _server_tls(tls: ServerTls) -> Json:
    if tls.sha256 is not None:
        verify: Json = {"sha256": tls.sha256}
    elif tls.ca is not None:
        verify = {"ca": str(tls.ca)}
    else:
        verify = {"none": True}
    return {"verify": verify, "name": tls.name, "certificate": _text(tls.certificate), "key": _text(tls.key)}


def admission_plan(
    admission: Admission, mode: str, servers: Mapping[str, Server], seed: int, *, first: int = 1
) -> Json:
    """Return the plan of one admission machine: all that it knows of ``servers`` is what :func:`_admitted` says.

    ``first`` is how many calls an adaptive limit begins with while nothing is known of a server.
    """
    guarantees = {key: round(share * 1000) for key, share in dict(admission.guarantees).items()}
    return {
        "mode": mode,
        "servers": [_admitted(name, server, first) for name, server in servers.items()],
        "guarantees": guarantees,
        "seed": seed,
        "follow_ups_milli": milli(admission.follow_ups),
        **plain(admission, leave_out={"guarantees", "follow_ups"}),
        "session_idle_ns": admission.session_idle.nanoseconds if admission.session_idle else None,
    }


def _admitted(name: str, server: Server, first: int) -> Json:
    adaptive = {"most": server.limit_most, "first": min(first, server.limit_most)}
    limit = adaptive if server.limit_static is None else server.limit_static
    return {"name": name, "limit": limit, "standby": server.standby}


def _io(io: Io) -> Json:
    return {**plain(io, leave_out={"buffers_max"}), "buffers_max_bytes": io.buffers_max.bytes}


def _tcp(tcp: Tcp) -> Json:
    return {**plain(tcp, leave_out=set()), "connections_per_client_max": tcp.connections_per_client_max}


def _identity(identity: Identity) -> Json:
    if identity.subject is not None:
        match: Json = {"subject": identity.subject}
    elif identity.address is not None:
        match = {"address": identity.address}
    else:
        match = {"header": list(identity.header or ())}
    return {
        "match": match,
        "role": identity.role,
        "reserved": identity.reserved,
        "honours_retry_after": identity.honours_retry_after,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
