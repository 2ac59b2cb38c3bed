"""Values that a configuration file may hold: addresses, ranges, thumbprints, and what is wrong with them."""

from __future__ import annotations

import ipaddress
import re
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from tidegate.config.fields import refuse

__all__ = [
    "Address",
    "AdminSocket",
    "Limit",
    "Listen",
    "Network",
    "Networks",
    "PortRanges",
    "Sha256",
    "Share",
    "Sources",
    "Statuses",
    "Texts",
]

LIMIT_MOST = 65_536
"""The highest limit that may be written."""
_STATUSES_MAX = 32
"""Statuses of a monitor that are good, at the most."""


def _address(value: str) -> str:
    """Check ``HOST:PORT``; IPv6 hosts stand in brackets; port 0 means any free one."""
    host, colon, port = value.rpartition(":")
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not inside or not port.isdecimal() or (":" in inside and inside == host):
        raise refuse(
            value, f'"{value}" is not an address', 'write "HOST:PORT", for example "0.0.0.0:8443" or "[::]:8443"'
        )
    if int(port) > 65535:
        raise refuse(value, f"{port} is not a port", "ports go up to 65535")
    return value


def _listen(value: str) -> str:
    _address(value)
    host = value.rpartition(":")[0].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        hint = 'write the address of one of this machine\'s interfaces, or "0.0.0.0:PORT" for all of them'
        raise refuse(value, f'"{host}" is a name; a service listens on an IP address', hint) from None
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise refuse(value, f'"{value}" is not a network: {error}', 'write for example "10.0.0.0/8"') from None
    return value


def _sha256(value: str) -> str:
    plain = value.replace(":", "")
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", plain):
        hint = "copy it from `openssl x509 -noout -fingerprint -sha256`, or let `tidegate gate init` print it"
        raise refuse(value, "a SHA-256 thumbprint has 64 hexadecimal digits", hint)
    return ":".join(plain[i : i + 2] for i in range(0, 64, 2)).upper()


def _limit(value: object) -> object:
    kind, _, number = str(value).partition(":")
    static = kind == "static" and number.isdecimal() and 1 <= int(number) <= LIMIT_MOST
    if value != "adaptive" and not static:
        hint = 'write "adaptive", or for example "static:8": at most 8 calls in flight at this server, 1 to 65536'
        raise refuse(str(value), f'"{value}" is not a limit', hint)
    return value


def _admin(value: str) -> str:
    kind, _, path = value.partition(":")
    if kind != "unix" or not path.startswith("/"):
        hint = 'write "unix:/run/tidegate/admin.sock"; TCP has a key of its own, admin_tcp'
        raise refuse(value, f'"{value}" is not an absolute Unix socket address', hint)
    if len(path.encode()) > 100:
        raise refuse(value, "a Unix socket's path has at most 100 bytes", "choose a shorter folder")
    return value


def _ranges(value: str) -> str:
    """Check ``FIRST-LAST``, several with commas between them: as ``net.ipv4.ip_local_reserved_ports`` has them."""
    ranges = []
    for part in value.split(","):
        found = re.fullmatch(r"\s*(\d{1,5})-(\d{1,5})\s*", part)
        if not found:
            raise refuse(value, f'"{part.strip()}" is not a range of ports', 'write "FIRST-LAST", as in "20000-32767"')
        first, last = int(found.group(1)), int(found.group(2))
        if last > 65535:
            raise refuse(value, f"{last} is not a port", "ports go up to 65535")
        if first > last:
            raise refuse(
                value, f"the range {first}-{last} is empty", f'write "{last}-{first}": the lower port goes first'
            )
        if first == 0:
            hint = "begin above 1023, better above 10000"
            raise refuse(value, f"the range {first}-{last} begins with port 0, which is no port", hint)
        ranges.append((first, last))
    for low, high in pairwise(sorted(ranges)):
        if low[1] >= high[0]:
            message = f"the ranges {low[0]}-{low[1]} and {high[0]}-{high[1]} overlap"
            raise refuse(value, message, "give each port once")
    return value


def _sources(value: tuple[str, ...]) -> tuple[str, ...]:
    seen = set()
    for text in value:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            hint = 'write an address of this machine, for example "10.0.0.5"; `ip address` lists them'
            raise refuse(text, f'"{text}" is not an IP address', hint) from None
        if address in seen:
            raise refuse(text, f"the source {text} is given twice", "its ports can be leased only once: remove one")
        seen.add(address)
    return value


def _listed(value: object) -> object:
    """Take one text where a list of texts may stand."""
    return [value] if isinstance(value, str) else value


def _several(value: object) -> object:
    """Take one number where a list of numbers may stand."""
    return [value] if isinstance(value, int) else value


def _statuses(value: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(value) <= _STATUSES_MAX:
        message = f"{len(value)} statuses are too {'few' if not value else 'many'}"
        raise refuse(str(list(value)), message, f"write 1 to {_STATUSES_MAX}, for example [200, 204]")
    return value


Address = Annotated[str, AfterValidator(_address)]
Listen = Annotated[str, AfterValidator(_listen)]
Network = Annotated[str, AfterValidator(_network)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(_listed)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Limit = Annotated[str, BeforeValidator(_limit)]
AdminSocket = Annotated[str, AfterValidator(_admin)]
PortRanges = Annotated[str, AfterValidator(_ranges)]
Sources = Annotated[Texts, AfterValidator(_sources), Field(max_length=64)]
_Status = Annotated[int, Field(ge=100, le=599)]
Statuses = Annotated[tuple[_Status, ...], AfterValidator(_statuses), BeforeValidator(_several)]
