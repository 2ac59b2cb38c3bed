"""The kinds of dumps there are, how each is known from its beginning, and the reader of each."""

from __future__ import annotations

import re
from collections.abc import Callable

from tidegate.watch.ports.avi import read_avi
from tidegate.watch.ports.envoy import read_envoy_clusters, read_envoy_stats
from tidegate.watch.ports.f5 import read_f5_connections, read_f5_ltm
from tidegate.watch.ports.haproxy import read_haproxy
from tidegate.watch.ports.model import DumpKind, PortReading
from tidegate.watch.ports.proc import read_proc
from tidegate.watch.ports.sockets import read_sockets

__all__ = ["kind_of", "read_dump"]

_STATES = "ESTAB|LISTEN|TIME-WAIT|SYN-SENT|SYN-RECV|FIN-WAIT-[12]|CLOSE-WAIT|LAST-ACK|CLOSING"
KINDS: tuple[DumpKind, ...] = (
    DumpKind(
        "ss",
        r"(?m)^[ \t]*(?:(?:Netid\s+)?(?:State\s+)?Recv-Q\s+Send-Q\s+Local[ -]Address"
        r"|Proto\s+Recv-Q\s+Send-Q\s+Local\s+Address"
        rf"|(?:tcp\s+)?(?:{_STATES})\s+[0-9]+\s+[0-9]+\s+\S+:[0-9]+\s+\S+:[0-9*]+)",
        "sockets of a machine (ss, netstat)",
    ),
    DumpKind(
        "proc",
        r"(?m)^[ \t]*sl\s+local_address\s+rem(?:ote)?_address\s+st\b",
        "sockets of a machine (/proc/net/tcp, tcp6)",
    ),
    DumpKind("haproxy", r"(?m)# pxname,svname,", "HAProxy's show stat"),
    DumpKind(
        "envoy-clusters",
        r"(?m)::(?:observability_name::|default_priority::max_connections::[0-9]|cx_active::[0-9])",
        "Envoy's /clusters",
    ),
    DumpKind(
        "envoy-stats",
        r"(?m)^(?:cluster|http|listener|cluster_manager)\.\S+: [0-9]+\r?$",
        "Envoy's /stats",
    ),
    DumpKind(
        "avi",
        r"(?m)^[ \t]*\|\s*(?:Field\s*\|\s*Value|open_(?:conns|requests)\s*\|\s*[0-9]+"
        r"|ip_addr\s*\|\s*[0-9A-Fa-f:.]+|se_uuid\s*\|\s*\S+)\s*\|",
        "Avi's show virtualservice … detail, show pool … server detail",
    ),
    DumpKind("f5-ltm", r"\b01010201:[0-9]", "an F5's /var/log/ltm that says 01010201"),
    DumpKind("f5-connections", r"(?m)^Sys::Connections|\(tmm: ?[0-9]+\)", "an F5's tmsh show sys connection"),
)
_READERS: dict[str, Callable[..., PortReading]] = {
    "avi": read_avi,
    "envoy-clusters": read_envoy_clusters,
    "envoy-stats": read_envoy_stats,
    "f5-connections": read_f5_connections,
    "f5-ltm": read_f5_ltm,
    "haproxy": read_haproxy,
    "proc": read_proc,
    "ss": read_sockets,
}
_SNIFFED = 4096


def kind_of(text: str) -> str | None:
    """Return the id of the first kind that ``text`` begins like (its first 4096 characters), or None."""
    head = text[:_SNIFFED]
    return next((kind.id for kind in KINDS if re.search(kind.sniff, head)), None)


def read_dump(kind_id: str, text: str, *, capacity: int | None = None) -> PortReading:
    """Read a dump.

    Parameters
    ----------
    kind_id
        The id of one of :data:`KINDS`.
    text
        The dump; a prompt, escapes, carriage returns and cut lines do no harm.
    capacity
        Source ports per bucket (1 to 65535), when the operator knows; each reader says what it takes otherwise.

    Raises
    ------
    ValueError
        With a sentence, when the text is no such dump, or there is no such kind.
    """
    reader = _READERS.get(kind_id)
    if reader is None:
        raise ValueError(f'"{kind_id}" is no kind of dump; there are {", ".join(sorted(_READERS))}')
    if capacity is not None and not 1 <= capacity <= 65_535:
        raise ValueError(f"{capacity} source ports are not possible; give 1 to 65535")
    return reader(text, capacity=capacity)
