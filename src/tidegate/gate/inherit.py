"""What a gate begins with that no file says: listening sockets that systemd or another gate has opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.errors import GateError

__all__ = ["Inherited", "systemd_sockets"]

_FIRST = 3
"""The first descriptor that systemd passes on; sd_listen_fds(3)."""


@dataclass(frozen=True)
class Inherited:
    """What another process hands over."""

    sockets: list[tuple[str, str, socket.socket]] = field(default_factory=list)
    """Service (empty: whichever has that address), the address in its file, and the listening socket."""
    admin: socket.socket | None = None
    """The socket of ``gate.admin_tcp``."""
    learned: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each service has learned."""
    known: bytes = b""
    """The sessions of each service and the source ports in use, as JSON; empty: none."""
    seed: int | None = None
    """Of all randomness, so that identities keep their numbers."""
    replaces: bool = False
    """The other process answers at the admin socket still, and has slots of the servers."""


def systemd_sockets(services: Mapping[str, str], environment: MutableMapping[str, str] = os.environ) -> Inherited:
    """Take the sockets that systemd passes on by ``LISTEN_FDS``, if it does; nobody else finds them after that.

    Parameters
    ----------
    services
        The address that each service listens at, by name.

    Raises
    ------
    GateError
        When a descriptor is no socket, or is named after a service that listens elsewhere.
    """
    meant = environment.pop("LISTEN_PID", "") == str(os.getpid())
    count, names = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_FDNAMES", "").split(":")
    if not meant or not count.isdecimal():
        return Inherited()
    inherited = Inherited()
    try:
        for number, name in zip(range(_FIRST, _FIRST + int(count)), [*names, *[""] * int(count)], strict=False):
            inherited.sockets.append(_passed(number, name, services))
    except GateError:
        for _, _, passed in inherited.sockets:
            passed.close()
        raise
    return inherited


def _passed(number: int, name: str, services: Mapping[str, str]) -> tuple[str, str, socket.socket]:
    try:
        passed = socket.socket(fileno=number)
    except OSError as error:
        raise GateError(f"descriptor {number} that systemd passes on is no TCP socket: {error.strerror}") from None
    address = _text(passed)
    if name in services and services[name] != address:
        passed.close()
        message = f"systemd's socket for service {name} listens at {address}, not {services[name]}"
        hint = f'write ListenStream={services[name]} into the socket unit, or listen = "{address}" into the file'
        raise GateError(message, hint=hint)
    return name if name in services else "", address, passed


def _text(passed: socket.socket) -> str:
    host, port = passed.getsockname()[:2]
    return f"[{host}]:{port}" if passed.family == socket.AF_INET6 else f"{host}:{port}"
