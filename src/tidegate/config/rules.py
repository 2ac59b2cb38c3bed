"""How the parts of one file must fit together: what a single key cannot know.

Nothing here looks at the machine; that is ``check.py``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from itertools import combinations

from tidegate.config.broken import Broken, Path, positive
from tidegate.config.fields import duration
from tidegate.config.headroom import HEADROOM_MOST, headroom, needs
from tidegate.config.model import Config, Identity, Passthrough, ServerTls, Service, Terminate
from tidegate.config.vcenter_rules import broken_vcenter, broken_windows

__all__ = ["broken_rules"]

_SHORTEST, _HOUR = duration("10ms"), duration("1h")


def broken_rules(config: Config) -> list[Broken]:
    """Return every rule that ``config`` breaks."""
    found = list(_gate(config))
    for name, service in config.service.items():
        found += _service(("service", name), service)
    found += _collisions(config)
    found += broken_windows(config)
    return found


def _gate(config: Config) -> Iterator[Broken]:
    if config.gate.admin_tcp and not config.gate.admin_token_file:
        hint = "write a token into a file that only the gate can read, and name it as admin_token_file"
        yield Broken(("gate", "admin_tcp"), "the admin address over TCP needs a token", hint)
    if config.gate.admin_token_file and not config.gate.admin_tcp:
        yield Broken(("gate", "admin_token_file"), "there is no admin_tcp that this token could guard")
    yield from _headroom(config)


def _headroom(config: Config) -> Iterator[Broken]:
    ports, kept = config.gate.ports, headroom(config)
    of_range = ports.range is not None and kept >= ports.count
    if of_range and ports.headroom is not None:
        message = f"{kept} ports are kept for probes, and the range has {ports.count}"
        yield Broken(("gate", "ports", "headroom"), message, "keep fewer, or give a larger range")
    elif of_range:
        message = f"{kept} ports are kept for probes, as the monitors need them, and the range has {ports.count}"
        yield Broken(("gate", "ports", "range"), message, "give a larger range, or set headroom to fewer")
    left_out = ports.range is None and ports.headroom is None
    for name, service in config.service.items():
        needed = needs(service.monitor) if service.monitor else 0
        if left_out and needed > HEADROOM_MOST:
            message = f"at this pace {needed} ports are kept for probes, and a range that is left out may have no more"
            hint = "make the interval longer or the timeout shorter, or set [gate.ports] range or headroom"
            yield Broken(("service", name, "monitor", "interval"), message, hint)


def _service(at: Path, service: Service) -> Iterator[Broken]:
    for other in ("http", "vasa", "vcenter"):
        if other != service.protocol and getattr(service, other) is not None:
            hint = f'remove the table, or set protocol = "{other}"'
            yield Broken((*at, other), f'a service with protocol = "{service.protocol}" has no table "{other}"', hint)
    yield from _tls(at, service)
    yield from _tcp(at, service)
    yield from _admission(at, service)
    yield from positive((*at, "io"), dict(service.io))
    for name, identity in service.identity.items():
        yield from _identity((*at, "identity", name), identity, service)
    yield from _monitor(at, service)
    if service.protocol == "vcenter":
        yield from broken_vcenter(at, service)
    if all(server.standby for server in service.server.values()):
        path: Path = (*at, "server", next(iter(service.server)), "standby")
        yield Broken(path, "every server is a standby, so there is none to stand by for", "remove it from one of them")
    for name, server in service.server.items():
        if server.address == service.listen and not service.listen.endswith(":0"):
            hint = "give the service another address or port than its server"
            yield Broken((*at, "server", name, "address"), "the service would call itself", hint)
        if server.limit_max is not None and server.limit_static is not None:
            hint = 'remove it, or write limit = "adaptive"'
            message = f'limit_max bounds an adaptive limit, and this one is "{server.limit}"'
            yield Broken((*at, "server", name, "limit_max"), message, hint)
        if server.address.endswith(":0"):
            yield Broken((*at, "server", name, "address"), "0 is not a port that a server can have")


def _monitor(at: Path, service: Service) -> Iterator[Broken]:
    monitor, at = service.monitor, (*at, "monitor")
    if monitor is None:
        return
    kind = service.monitor_kind
    for name in ("path", "status"):
        if kind != "http" and name in monitor.model_fields_set:
            hint = 'remove it, or write kind = "http"'
            yield Broken((*at, name), f'a monitor with kind = "{kind}" asks for no page', hint)
    if kind == "tls" and not service.speaks_tls:
        hint = 'write kind = "tcp", or a table tls for each server'
        yield Broken((*at, "kind"), "not every server of this service speaks TLS", hint)
    for name, longest in (("interval", _HOUR), ("timeout", _HOUR), ("fast", monitor.interval)):
        span = getattr(monitor, name)
        if span is not None and not _SHORTEST <= span <= longest:
            yield Broken((*at, name), f"{span} is out of range", f"write {_SHORTEST} to {longest}")


def _tls(at: Path, service: Service) -> Iterator[Broken]:
    passthrough = isinstance(service.tls, Passthrough)
    if isinstance(service.tls, Terminate) and not service.tls.client_required and not service.tls.client_ca:
        yield Broken((*at, "tls", "client_required"), "clients are asked for a certificate only with client_ca")
    if isinstance(service.tls, Passthrough) and service.forwarded_from:
        hint = "remove it, or use accept_proxy where a balancer stands in front"
        yield Broken((*at, "forwarded_from"), "the gate reads no headers when TLS passes through", hint)
    if passthrough and service.pool_scope != "service":
        message = "nothing is shared when TLS passes through: each client has a connection of its own anyway"
        yield Broken((*at, "pool_scope"), message, 'remove it, or set kind = "terminate"')
    if passthrough and service.vasa and service.vasa.lower_concurrency:
        hint = 'remove it, or set kind = "terminate"'
        yield Broken((*at, "vasa", "lower_concurrency"), "the gate reads no answers when TLS passes through", hint)
    for name, server in service.server.items():
        if server.tls and passthrough:
            hint = 'remove the table, or set kind = "terminate" for the service'
            path: Path = (*at, "server", name, "tls")
            yield Broken(path, "the gate does not speak TLS to the server when TLS passes through", hint)
        elif server.tls:
            yield from _server_tls((*at, "server", name, "tls"), server.tls)


def _tcp(at: Path, service: Service) -> Iterator[Broken]:
    if service.protocol == "tcp":
        hint = 'remove it; bytes pass as they come, TLS among them; to read what is in it, protocol = "http"'
        if service.tls is not None:
            yield Broken((*at, "tls"), 'the gate speaks no TLS with protocol = "tcp"', hint)
        for name, server in service.server.items():
            if server.tls:
                yield Broken((*at, "server", name, "tls"), 'the gate speaks no TLS with protocol = "tcp"', hint)
        if service.forwarded_from:
            hint = "remove it, or use accept_proxy where a balancer stands in front"
            yield Broken((*at, "forwarded_from"), 'the gate reads no headers with protocol = "tcp"', hint)
    tcp = service.tcp
    if tcp is None:
        return
    at = (*at, "tcp")
    if service.protocol != "tcp" and not isinstance(service.tls, Passthrough):
        hint = 'remove the table: it is for protocol = "tcp", and for tls with kind = "passthrough"'
        yield Broken(at, "the gate shares connections to servers here, so the bounds of [io] hold", hint)
    elif tcp.lazy and service.protocol != "tcp":
        yield Broken((*at, "lazy"), "passthrough waits for the client's first bytes anyway", "remove it")
    yield from positive(at, dict(tcp))
    if tcp.idle_timeout_pressed > tcp.idle_timeout:
        hint = "under pressure connections may idle for a shorter time, not for a longer one"
        yield Broken((*at, "idle_timeout_pressed"), f"is longer than idle_timeout, which is {tcp.idle_timeout}", hint)
    if (tcp.connections_per_client_max or 0) > service.io.connections_max:
        message = f"one client may have more connections than the service, which has {service.io.connections_max}"
        yield Broken((*at, "connections_per_client_max"), message, "lower it, or raise io.connections_max")


def _server_tls(at: Path, tls: ServerTls) -> Iterator[Broken]:
    ways = [tls.ca is not None, tls.sha256 is not None, tls.insecure]
    if sum(ways) != 1:
        message = (
            "nothing says how the server is verified"
            if not any(ways)
            else "the server is verified in more than one way"
        )
        yield Broken(at, message, "write exactly one of ca, sha256 and (in a lab) insecure = true")
    if (tls.certificate is None) != (tls.key is None):
        there, missing = ("certificate", "key") if tls.certificate else ("key", "certificate")
        yield Broken((*at, there), f'the key "{missing}" is missing', "a certificate and its key come together")


def _admission(at: Path, service: Service) -> Iterator[Broken]:
    admission, at = service.admission, (*at, "admission")
    yield from positive(at, dict(admission))
    total = sum(dict(admission.guarantees).values())
    if total > 1.0005:
        yield Broken((*at, "guarantees"), f"the guarantees add up to {total:g}", "make them add up to 1 at the most")
    if admission.margin >= admission.client_timeout:
        hint = f"choose less than client_timeout, which is {admission.client_timeout}"
        yield Broken((*at, "margin"), "the margin is as long as the client's patience, so nothing could be held", hint)
    if admission.retry_after_min > admission.retry_after_max:
        yield Broken((*at, "retry_after_min"), f"is longer than retry_after_max, which is {admission.retry_after_max}")


def _identity(at: Path, identity: Identity, service: Service) -> Iterator[Broken]:
    ways = [identity.subject, identity.address, identity.header]
    if sum(way is not None for way in ways) != 1:
        yield Broken(at, "an identity is known by exactly one of subject, address and header")
    tls = service.tls
    if identity.subject is not None and not (isinstance(tls, Terminate) and tls.client_ca):
        hint = 'use address, or set kind = "terminate" and client_ca for the service'
        yield Broken((*at, "subject"), "the gate sees no client certificates here", hint)
    if identity.header is not None and isinstance(tls, Passthrough):
        yield Broken((*at, "header"), "the gate reads no headers when TLS passes through", "use address")
    elif identity.header is not None and service.protocol == "tcp":
        yield Broken((*at, "header"), 'the gate reads no headers with protocol = "tcp"', "use address")


def _collisions(config: Config) -> Iterator[Broken]:
    listens: list[tuple[Path, str, str]] = [
        (("service", name, "listen"), service.listen, name) for name, service in config.service.items()
    ]
    if config.gate.admin_tcp:
        listens.append((("gate", "admin_tcp"), config.gate.admin_tcp, "the admin address"))
    for (_, first, owner), (path, second, _) in combinations(listens, 2):
        if _collide(first, second):
            yield Broken(path, f"{second} is already taken by {owner} ({first})", "choose another port")


def _collide(first: str, second: str) -> bool:
    (host, _, port), (host2, _, port2) = first.rpartition(":"), second.rpartition(":")
    if port != port2 or port == "0":
        return False
    return host == host2 or _everywhere(host) or _everywhere(host2)


def _everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False
