"""Reads ``/proc/net/tcp`` and ``/proc/net/tcp6``: hexadecimal, each word turned round, as x86 and ARM write them."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from tidegate.watch.ports.model import PortReading
from tidegate.watch.ports.text import address_of, lines_of
from tidegate.watch.ports.tuples import Found, reading_of

__all__ = ["read_proc"]

# The kernel's enum of include/net/tcp_states.h, in the words of ss.
_STATES = {
    1: "ESTAB",
    2: "SYN-SENT",
    3: "SYN-RECV",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    7: "UNCONN",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN-RECV",
    13: "BOUND-INACTIVE",
}
_LINE = re.compile(
    r"\s*[0-9]+:\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s+([0-9A-F]{2})"
    r"\s+([0-9A-F]{8}:[0-9A-F]{8})\s+([0-9A-F]{2}):[0-9A-F]{8}\s",
    re.ASCII,
)
_HEAD = re.compile(r"\s*sl\s+local_address\s+rem\w*_address\s+st\b")
_QUIET_TIMERS = {"00", "02"}
"""None, and keepalive; 01 is a retransmission, 03 TIME-WAIT, 04 a probe of a closed window."""


def read_proc(text: str, *, capacity: int | None = None) -> PortReading:
    """Read one or both tables.

    Parameters
    ----------
    text
        As the kernel prints them; tables of UDP beside them are passed over.
    capacity
        Source ports per bucket, when known.

    Raises
    ------
    ValueError
        With a sentence, when no line is a TCP socket.
    """
    found = Found()
    found.look_for_range(text)
    udp = False
    for line in lines_of(text):
        match = _LINE.match(line)
        if match is None:
            if _HEAD.match(line):
                udp = line.endswith("drops")
            else:
                found.other_lines += 1
        elif not udp and not _socket(match, found):
            found.other_lines += 1
    if not found.sockets:
        raise ValueError("no line of this text is a socket as /proc/net/tcp or /proc/net/tcp6 print it")
    return reading_of("proc", found, capacity)


def _socket(match: re.Match[str], found: Found) -> bool:
    local, local_port, peer, peer_port, state, queues, timer = match.groups()
    return found.add(
        (_address(local), int(local_port, 16) or None),
        (_address(peer), int(peer_port, 16) or None),
        _STATES.get(int(state, 16), "UNKNOWN"),
        quiet=queues == "00000000:00000000" and timer in _QUIET_TIMERS,
    )


@lru_cache(maxsize=65_536)
def _address(text: str) -> str:
    words = bytes.fromhex(text)
    turned = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    return address_of(str(IPv4Address(turned) if len(turned) == 4 else IPv6Address(turned))) or "*"
