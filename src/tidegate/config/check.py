"""What the machine must offer before a gate can start: certificates, free addresses, file descriptors.

A *problem* keeps the gate from starting here. A *note* cannot be judged by the user who asks (another user may run the
gate later), so it is said and does not count. An address is tried by binding it for a moment; nothing stays bound.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.config.lines import Lines
from tidegate.config.model import Config, Passthrough, ServerTls, Terminate
from tidegate.config.vcenter import Vcenter
from tidegate.config.vcenter_rules import crowded
from tidegate.errors import Problem

__all__ = ["Checked", "check_machine", "descriptors_needed"]

Where = tuple[str | int, ...]

_OUT_OF_TIME = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_DESCRIPTORS_OWN = 64
"""Files that the process needs for itself: sockets of the admin, epoll, log, certificates."""

_DESCRIPTORS_PIPES = 2 * (64 + 16)
"""Pipes of a ``tcp`` service for large transfers, in use and kept: bounded in ``stream/pipe.rs``."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found."""

    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


def check_machine(config: Config, file: Path, *, is_ours: Callable[[str], bool] = lambda _: False) -> Checked:
    """Look whether this machine can run ``config``, which was read from ``file``.

    Parameters
    ----------
    is_ours
        Tells of an address in use whether the gate that is to be reloaded has it; then it is no problem.
    """
    lines = Lines(file.read_text())
    problems: list[Problem] = []
    notes: list[Problem] = []

    def tell(into: list[Problem], where: Where, message: str, hint: str) -> None:
        into.append(Problem(file, lines.of(where), ".".join(map(str, where)), message, hint))

    for where, message, hint in _certificates(config):
        tell(problems, where, message, hint)
    for where, message, hint in _accounts(config):
        tell(notes, where, message, hint)
    for name, service in config.service.items():
        for broken in crowded(("service", name), service):
            tell(notes, broken.path, broken.message, broken.hint)
    for where, address in _addresses(config):
        if found := _bind(address, is_ours):
            message, hint, certain = found
            tell(problems if certain else notes, where, message, hint)
    for source in config.gate.ports.sources:
        if found := _bind(f"{source}:0", is_ours):
            message, hint, _ = found
            tell(problems, ("gate", "ports", "sources"), message, hint)
    if shared := _shared_ports(config):
        message = f"{len(shared)} of these ports are also the kernel's to choose, so connections of others may fail"
        hint = "add them to net.ipv4.ip_local_reserved_ports, or give a range beside net.ipv4.ip_local_port_range"
        tell(notes, ("gate", "ports", "range"), message, hint)
    if found_descriptors := _descriptors(config):
        where, message, hint = found_descriptors
        tell(problems, where, message, hint)
    for key, folder, hint in _folders(config):
        if not _may_write(folder):
            tell(notes, ("gate", key), f"this user may not write to {folder}", hint)
    return Checked(tuple(problems), tuple(notes))


def descriptors_needed(config: Config) -> int:
    """Return how many files the gate may have open at most: clients, their servers, its own."""
    needed = _DESCRIPTORS_OWN
    for service in config.service.values():
        unread = service.protocol == "tcp" or isinstance(service.tls, Passthrough)
        needed += service.io.connections_max * (2 if unread else 1)
        needed += _DESCRIPTORS_PIPES if service.protocol == "tcp" else 0
        needed += sum(server.limit_most + 1 for server in service.server.values())
    return needed


def _certificates(config: Config) -> Iterator[tuple[Where, str, str]]:
    for name, service in config.service.items():
        if service.vcenter and (account := service.vcenter.pace.account) and account.ca:
            yield from _authority(("service", name, "vcenter", "pace", "account", "ca"), account.ca)
        if isinstance(service.tls, Terminate):
            at: Where = ("service", name, "tls")
            yield from _pair(at, service.tls.certificate, service.tls.key)
            if service.tls.client_ca:
                yield from _authority((*at, "client_ca"), service.tls.client_ca)
        for key, server in service.server.items():
            if server.tls:
                yield from _server_tls(("service", name, "server", key, "tls"), server.tls)
    if token := config.gate.admin_token_file:
        yield from _readable(("gate", "admin_token_file"), token, "token file")


def _accounts(config: Config) -> Iterator[tuple[Where, str, str]]:
    """Yield what keeps the latency of datastores from being known: nothing is held for it then."""
    for name, service in config.service.items():
        if service.protocol != "vcenter" or isinstance(service.tls, Passthrough):
            continue
        at: Where = ("service", name, "vcenter", "pace")
        account = (service.vcenter or Vcenter()).pace.account
        if account is None:
            hint = 'account = {user = "…", password_file = "…"} in this table; a read-only user is enough'
            yield at, "no snapshot is held for slow storage: nobody reads the counters of datastores", hint
        elif account.password_env not in os.environ and account.password_file is None:
            hint = "set it for the gate, or name a password_file of mode 0600"
            yield (*at, "account"), f"the password is not in ${account.password_env} here", hint
        elif account.password_file:
            yield from _readable((*at, "account", "password_file"), account.password_file, "password file")


def _server_tls(at: Where, tls: ServerTls) -> Iterator[tuple[Where, str, str]]:
    if tls.ca:
        yield from _authority((*at, "ca"), tls.ca)
    if tls.certificate and tls.key:
        yield from _pair(at, tls.certificate, tls.key)


def _readable(at: Where, file: Path, kind: str) -> Iterator[tuple[Where, str, str]]:
    try:
        file.open("rb").close()
    except OSError as error:
        hint = (
            "paths start at the folder of this file"
            if error.errno == errno.ENOENT
            else "the gate must be able to read it"
        )
        yield at, f"the {kind} {file} cannot be read: {error.strerror}", hint


def _pair(at: Where, certificate: Path, key: Path) -> Iterator[tuple[Where, str, str]]:
    missing = [
        *_readable((*at, "certificate"), certificate, "certificate"),
        *_readable((*at, "key"), key, "key"),
    ]
    yield from missing
    if missing:
        return
    for where, file, begin in (("certificate", certificate, "CERTIFICATE"), ("key", key, "PRIVATE KEY")):
        if f"{begin}-----" not in file.read_text(errors="replace"):
            yield (*at, where), f"{file} holds no PEM block of a {begin.lower()}", "convert it with `openssl`"
            return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield (
                (*at, "key"),
                f"the key {key} does not belong to the certificate {certificate}",
                "name the key of this certificate",
            )
        else:
            hint = "a key with a passphrase cannot be used; certificate and key are PEM files"
            yield (*at, "certificate"), f"certificate and key cannot be used: {error.reason or error}", hint
        return
    yield from _expiry((*at, "certificate"), certificate, key)


def _expiry(at: Where, certificate: Path, key: Path) -> Iterator[tuple[Where, str, str]]:
    """Let a client that trusts just this certificate meet a server that has it: OpenSSL knows the rules of time."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(certificate, key)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cafile=certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True))
    try:
        for _ in range(3):  # flights of a handshake
            for side in sides:
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OUT_OF_TIME:
            hint = "renew it, or look at this machine's clock; clients refuse it"
            yield at, f"{certificate} cannot be used: {error.verify_message}", hint


def _authority(at: Where, file: Path) -> Iterator[tuple[Where, str, str]]:
    unreadable = list(_readable(at, file, "certificate authority"))
    yield from unreadable
    if unreadable:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except ssl.SSLError:
        yield at, f"{file} holds no certificate in PEM", "convert it with `openssl x509 -inform der`"


def _addresses(config: Config) -> Iterator[tuple[Where, str]]:
    for name, service in config.service.items():
        yield ("service", name, "listen"), service.listen
    if config.gate.admin_tcp:
        yield ("gate", "admin_tcp"), config.gate.admin_tcp


def _bind(address: str, is_ours: Callable[[str], bool]) -> tuple[str, str, bool] | None:
    """Try an address; return what is wrong, what to do, and whether it is certain."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, int(port)))
            tried.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = f"`ss -ltnp 'sport = :{port}'` names who has it; stop that, or choose another port"
            return None if is_ours(address) else (f"the address {address} is in use", hint, True)
        if error.errno == errno.EADDRNOTAVAIL:
            hint = '`ip address` lists what this machine has; "0.0.0.0" means all of it'
            return f"this machine has no address {host}", hint, True
        if error.errno == errno.EACCES and int(port) < 1024:
            hint = "run the gate as root, or give it the capability CAP_NET_BIND_SERVICE"
            return f"this user may not listen at port {port}", hint, False
        return f"cannot listen at {address}: {error.strerror}", "", True
    return None


def _shared_ports(config: Config) -> set[int]:
    """Return configured source ports that the kernel gives to other programs as well."""
    settings = Path("/proc/sys/net/ipv4")
    try:
        low, high = map(int, (settings / "ip_local_port_range").read_text().split())
        reserved = (settings / "ip_local_reserved_ports").read_text().strip()
    except (OSError, ValueError):  # not Linux, or a container that hides it
        return set()
    kernels = set(range(low, high + 1))
    for part in filter(None, reserved.split(",")):
        first, _, last = part.partition("-")
        kernels -= set(range(int(first), int(last or first) + 1))
    return {port for first, last in config.gate.ports.ranges for port in range(first, last + 1)} & kernels


def _descriptors(config: Config) -> tuple[Where, str, str] | None:
    needed, (_, hard) = descriptors_needed(config), resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or needed <= hard:
        return None
    largest = max(config.service, key=lambda name: config.service[name].io.connections_max)
    hint = f"raise it with `ulimit -Hn {needed}` or LimitNOFILE={needed} in the unit, or lower io.connections_max"
    where: Where = ("service", largest, "io", "connections_max")
    return where, f"the gate may need {needed} file descriptors, and this process may have {hard}", hint


def _folders(config: Config) -> Iterator[tuple[str, Path, str]]:
    """Give the folders that the gate writes to, by key of ``[gate]``, and how they come to be writable."""
    admin = Path(config.gate.admin.partition(":")[2])
    hint = "the user that runs the gate must be able to; {}Directory=tidegate in its unit sees to that"
    yield "admin", admin.parent, hint.format("Runtime")
    if config.gate.state:
        yield "state", config.gate.state.parent, hint.format("State")


def _may_write(folder: Path) -> bool:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(existing, os.W_OK | os.X_OK)
