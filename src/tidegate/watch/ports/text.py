"""What every reader of dumps needs: lines as the tool printed them, and addresses in one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

__all__ = ["address_of", "endpoint_of", "lines_of", "number_of"]

# CSI sequences (colours), OSC sequences (window titles), and the two-character escapes.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -Z^-~\\])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\ufeff]")
_LONGEST = 8192
"""Characters of a line that are looked at: what matters stands in front in every dump."""
# A number of 20 digits is no count of connections; int() would take any length.
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of ``text`` without escapes, control characters, carriage returns and trailing spaces."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    text = _CONTROLS.sub("", text)
    for line in text.replace("\r", "\n").split("\n"):
        if line and not line.isspace():
            yield line[:_LONGEST].rstrip()


def number_of(text: str) -> int | None:
    """Return a count as written in a dump, or None when ``text`` is none."""
    text = text.strip()
    return int(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=65_536)
def address_of(text: str) -> str | None:
    """Return an address in one spelling: IPv4-mapped as IPv4, no zone; ``*`` for any wildcard; None if it is none."""
    bare = text.strip("[]").partition("%")[0].rstrip("]")
    if bare in {"*", "0.0.0.0", "::", ""}:  # noqa: S104 (a spelling to recognise, nothing is bound)
        return "*" if text else None
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return "*" if address.is_unspecified else str(address)


def endpoint_of(text: str, mark: str = ":") -> tuple[str, int | None] | None:
    """Return address and port of ``address:port``; None when it is none.

    Parameters
    ----------
    text
        For example ``10.0.0.5:443``, ``[2001:db8::1]:443``, ``:::22``, ``*:*``.
    mark
        What stands before the port.

    Returns
    -------
    tuple
        The address as :func:`address_of` spells it, and the port (1 to 65535), or None for ``*``.
    """
    host, found, port = text.rpartition(mark)
    if not found:
        return None
    address = address_of(host)
    if address is None:
        return None
    if port in {"*", "0"}:
        return address, None
    if not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    number = int(port)
    return (address, number) if 0 < number <= 65_535 else None
