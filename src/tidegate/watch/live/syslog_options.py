"""Where syslog is listened for, and who may speak: plain values."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tidegate.errors import UsageError

__all__ = ["Caps", "SyslogOptions", "bound"]


_WAITING = 8 << 20
"""Bytes of datagrams that may wait in the kernel: some 10 000 at 800 bytes each."""


class Caps(NamedTuple):
    """How many connections there may be at once; one more is closed at once, counted and said.

    With 1000 they hold 100 MB at the most: 64 KiB of an unfinished message each, and 32 KiB that are not looked at yet.
    """

    all: int = 1000
    peer: int = 16
    """From one address: relays and hosts behind one use a few."""


_CAPS = Caps()


@dataclass(frozen=True, slots=True)
class SyslogOptions:
    """What a listener is to do.

    Parameters
    ----------
    udp, tcp, tls
        ``HOST:PORT``, an IP address of this machine and 0 to 65535 (0: any that is free). ``None``: not that way.
    certificate, key
        PEM files for ``tls``.
    clients
        Certificate authorities of TLS clients; ``None``: any client may speak.
    relays
        Who may speak for others: addresses, networks, and names in verified certificates. Of their records the HOSTNAME
        counts, of all others the peer's own name. UDP addresses can be forged by anybody on the way.
    """

    udp: str | None = None
    tcp: str | None = None
    tls: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    clients: Path | None = None
    relays: tuple[str, ...] = ()
    caps: Caps = _CAPS


def bound(address: str, kind: socket.SocketKind) -> socket.socket:
    """Return a socket that is bound to ``HOST:PORT`` (and listens, if it is for streams) and never blocks.

    Raises
    ------
    UsageError
        When the address cannot be had.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if kind == socket.SOCK_STREAM:
            made = socket.create_server((host, int(port)), family=family, backlog=1024, dualstack_ipv6=host == "::")
        else:
            made = _datagrams(family, (host, int(port)))
    except (OSError, ValueError) as error:
        hint = "another program may listen there (a local syslog daemon?); ports below 1024 need CAP_NET_BIND_SERVICE"
        raise UsageError(f"cannot listen for syslog at {address}: {error}.", hint=hint, slug="listen") from None
    made.setblocking(False)
    return made


def _datagrams(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        # The kernel gives as much of it as net.core.rmem_max allows.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
