"""What a message of syslog becomes: one record that begins with ``<PRI>``, whatever stands in it. No I/O.

The scanner tells records apart by the headers that begin lines. A message must therefore never bring a second line that
looks like a header, or whoever can put a line feed into a log could speak for any host:

- A message without a priority gets ``<13>`` (RFC 3164, 4.3.3), so that it is no part of the record before it.
- Further lines of a message get ``-->`` before them, as ESXi itself marks lines that go on.
- NULs are taken out: the scanner ends lines at them.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable

__all__ = ["Relays", "hostname_of", "is_prioritised", "record_of", "tidy_address"]

_PRIORITY = re.compile(rb"<(?:\d|\d\d|1[0-8]\d|19[01])>")
_USER_NOTICE = b"<13>"
_GOES_ON = b"-->"
_TIME = rb"(?:[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ][0-9:.,]{8,18}(?:Z|[+-]\d\d:?\d\d)?)"
_NEW = rb"\d [!-~]{1,40} (?P<new>[!-~]{1,255}) "
_OLD = _TIME + rb" (?P<old>[A-Za-z0-9_.:-]{0,254}[A-Za-z0-9_.-]) "
_HOSTNAME = re.compile(rb"<\d{1,3}>(?:" + _NEW + b"|" + _OLD + b")")


def is_prioritised(message: bytes) -> bool:
    """Tell whether a message begins with ``<PRI>``: 0 to 191."""
    return _PRIORITY.match(message) is not None


def record_of(message: bytes, *, goes_on: bool = False) -> bytes:
    """Return a message as lines of one record, each ended by a line feed; nothing where nothing was said.

    Parameters
    ----------
    message
        One frame, or one datagram. The record has three times its bytes at the most.
    goes_on
        It is a further line of the message before it.
    """
    lines = [line for line in message.replace(b"\0", b"").replace(b"\r\n", b"\n").split(b"\n") if line.strip()]
    if not lines:
        return b""
    first, *others = lines
    if goes_on:
        first = _continued(first)
    elif not is_prioritised(first):
        first = _USER_NOTICE + first
    return b"".join(line + b"\n" for line in (first, *map(_continued, others)))


def _continued(line: bytes) -> bytes:
    return line if line.startswith(_GOES_ON) else _GOES_ON + b" " + line


def hostname_of(message: bytes) -> str:
    """Return the HOSTNAME of a message's outer header (RFC 5424, RFC 3164, ESXi's mixture); "" where there is none."""
    found = _HOSTNAME.match(message)
    name = (found["new"] or found["old"]).decode("ascii") if found else ""
    return "" if name == "-" else name


@functools.lru_cache(maxsize=4096)
def tidy_address(address: str) -> str:
    """Return an address as people write it: without a zone, and IPv4 not wrapped into IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


class Relays:
    """Who may speak for others: peers in ``networks``, and those whose verified certificate has one of the names.

    Parameters
    ----------
    entries
        Addresses, networks (``10.0.0.0/24``) and names.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: set[str] = set()
        for entry in entries:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower())

    def hold(self, address: str, name: str = "") -> bool:
        """Tell whether the peer at ``address``, with ``name`` in its certificate, is one of them."""
        return name.lower() in self._names or any(ipaddress.ip_address(address) in net for net in self._networks)
