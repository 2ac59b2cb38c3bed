"""Packets of an interface as they pass: a packet socket of Linux (packet(7)), and what is known second by second."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Self

from tidegate.compiled import load_core
from tidegate.errors import UsageError

__all__ = ["Listening", "second"]

Json = dict[str, Any]

_ALL_PROTOCOLS = 3
"""ETH_P_ALL: also what this machine sends."""
_WAIT = struct.pack("@ll", 0, 100_000)
"""A timeval: microseconds after which reading looks at the clock, and at signals."""
_BUFFER = 32 << 20
"""Bytes in which the kernel keeps what comes while a second is shown."""
_STEPS = ("opened", "answered", "established", "refused")
"""What may happen to a handshake, in the order of the report's columns."""
# Of <asm-generic/socket.h>, <linux/if_packet.h>, <linux/sockios.h> and <linux/if.h>.
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 263, 6, 8, 23
_SIOCGIFFLAGS, _IFF_UP, _IFF_LOOPBACK = 0x8913, 1, 8
_STATISTICS = struct.Struct("=II")
_IFREQ = struct.Struct("=16sH22x")


class Listening:
    """Listens at one interface; what it knows is bounded, however long it does.

    Parameters
    ----------
    interface
        Its name, as ``ip link`` shows it.

    Raises
    ------
    UsageError
        There is no such interface, it is down, or this process may not listen.
    """

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.dropped = 0
        """Packets for which the kernel had no room since the beginning."""
        self._began = time.monotonic()
        self._socket = _opened(interface)
        self._watch = load_core().FlowWatch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def look(self, seconds: float) -> bool:
        """Read what passes for so long, or until a signal comes; False: the interface went down."""
        up: bool = self._watch.read(self._socket.fileno(), seconds)
        # What came and what was dropped since the kernel was asked last.
        counted = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.dropped += _STATISTICS.unpack(counted)[1]
        return up

    def told(self) -> Json:
        """Return what is known now: see :func:`second`; ``report`` is the whole of it."""
        told = json.loads(self._watch.report())
        head = {
            "format": 1,
            "interface": self.interface,
            "at": time.time_ns(),
            "seconds": round(time.monotonic() - self._began, 3),
            "dropped": self.dropped,
        }
        return {**head, **told}


def second(told: Json, before: Json | None = None) -> Json:
    """Return what one second shows of all that is ``told``.

    ``at`` (ns since 1970), ``seconds`` since the beginning, ``packets`` read, ``dropped`` by the kernel, ``skipped`` by
    reason, ``flows`` seen, ``live`` ones, ``half_open`` ones that Linux would still keep, ``states`` of flows,
    ``handshakes`` since ``before`` (or since the beginning), ``buckets`` when they were fullest, what was ``found``,
    without examples and timelines, and what is ``withheld`` and why.
    """
    report = told["report"]
    levels = report["half_open"]
    totals, old = _handshakes(told), _handshakes(before) if before else dict.fromkeys(_STEPS, 0)
    short = {"timeline", "ladder", "frames"}
    return {
        **{name: value for name, value in told.items() if name != "report"},
        "flows": report["flows"],
        "live": report["live"],
        "half_open": levels[-1][1] if levels else 0,
        "states": report["states"],
        "handshakes": {step: totals[step] - old[step] for step in _STEPS},
        "buckets": report["buckets"],
        "found": [{name: value for name, value in one.items() if name not in short} for one in report["found"]],
        "withheld": report["withheld"],
    }


def _handshakes(told: Json) -> dict[str, int]:
    """Return how many there were, by step: all points of the series together."""
    rows = told["report"]["handshakes"]
    return {step: sum(row[place] for row in rows) for place, step in enumerate(_STEPS, 1)}


def _opened(interface: str) -> socket.socket:
    """Return a socket that has every packet of an interface, without its link's header."""
    if not hasattr(socket, "AF_PACKET"):
        hint = "record them with `tcpdump -w FILE`, and give FILE to `tidegate diagnose`"
        raise UsageError("packets can be watched as they pass on Linux only", hint=hint)
    try:
        socket.if_nametoindex(interface)
    except (OSError, ValueError):
        there = ", ".join(name for _, name in socket.if_nameindex())
        raise UsageError(f"there is no interface {interface}", hint=f"interfaces here: {there or 'none'}") from None
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    except PermissionError:
        hint = f"run it as root, or with the capability CAP_NET_RAW: sudo tidegate flow watch {interface}"
        raise UsageError(f"this process may not see the packets of {interface}", hint=hint) from None
    except OSError as error:
        raise UsageError(f"the packets of {interface} cannot be seen: {error.strerror}") from None
    try:
        _prepare(opened, interface)
    except OSError as error:
        opened.close()
        raise UsageError(f"the packets of {interface} cannot be seen: {error.strerror}") from None
    except UsageError:
        opened.close()
        raise
    return opened


def _prepare(opened: socket.socket, interface: str) -> None:
    flags = _IFREQ.unpack(fcntl.ioctl(opened, _SIOCGIFFLAGS, _IFREQ.pack(os.fsencode(interface), 0)))[1]
    if not flags & _IFF_UP:
        raise UsageError(f"{interface} is down", hint=f"ip link set {interface} up")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    with suppress(PermissionError):
        # More than net.core.rmem_max, where CAP_NET_ADMIN allows it.
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _WAIT)
    opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
    if flags & _IFF_LOOPBACK:
        # Each packet passes twice there, as sent and as received.
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    opened.bind((interface, _ALL_PROTOCOLS))
