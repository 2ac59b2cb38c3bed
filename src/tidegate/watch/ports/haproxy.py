"""Reads HAProxy's ``show stat`` (CSV) and, beside it, ``show info``.

HAProxy does not tell its own addresses: the source is "haproxy", and servers of several backends that have one address
share a bucket, as they share source ports. In HTTP mode ``scur`` counts requests at the server and ``srv_icur`` the
connections that are kept idle for the next one; in TCP mode ``scur`` counts connections, and none can be shared.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from tidegate.watch.ports.balancer import Held, Servers
from tidegate.watch.ports.model import Gauge, PortReading
from tidegate.watch.ports.text import endpoint_of, lines_of, number_of

__all__ = ["read_haproxy"]

_KINDS = {"0": "service", "1": "backend", "2": "server"}
# What HAProxy's checks say when connect() or bind() find no port (tcpcheck.c, proto_tcp.c, and errno's own text).
_NO_PORT = re.compile(r"[Oo]ut of local source ports|[Ss]ource port range exhausted|Cannot assign requested address")
_INFO = re.compile(r"(CurrConns|Maxconn|Version|Name): (.*)")

_Row = dict[str, str]


def read_haproxy(text: str, *, capacity: int | None = None) -> PortReading:
    """Read the output of ``show stat``.

    Parameters
    ----------
    text
        As the stats socket prints it, with its line of names; ``show info`` may stand before or behind it.
    capacity
        Source ports per server, when known.

    Raises
    ------
    ValueError
        With a sentence, when there is no row of a frontend, backend or server.
    """
    servers = Servers("haproxy", capacity)
    gauges: list[Gauge] = []
    info: dict[str, str] = {}
    rows = 0
    for row in _rows(text, info, servers):
        rows += 1
        kind = _KINDS.get(row.get("type", ""))
        if kind == "server":
            gauges.append(_server(row, servers))
        elif kind == "service":
            gauges.append(_gauge(row, kind, row["pxname"], None))
    if number_of(info.get("CurrConns", "")) is not None:
        limit = number_of(info.get("Maxconn", ""))
        gauges.append(Gauge("haproxy", "process", int(info["CurrConns"]), limit=limit))
    if not rows:
        raise ValueError(
            "no line of this text is a row of HAProxy's show stat below its line of names (# pxname,svname,…)"
        )
    return servers.reading("haproxy", gauges)


def _rows(text: str, info: dict[str, str], servers: Servers) -> Iterator[_Row]:
    """Yield the rows below a line of names; keep the few lines of ``show info`` that matter."""
    names: list[str] = []
    for line in lines_of(text):
        at = line.find("# pxname,svname,")
        if at >= 0:
            names = line[at + 2 :].split(",")
            continue
        told = _INFO.fullmatch(line)
        if told is not None:
            info[told[1]] = told[2]
            continue
        cells = _cells(line)
        if names and len(cells) >= min(len(names), 18) and number_of(cells[4]) is not None:
            yield dict(zip(names, cells, strict=False))
        else:
            servers.other_lines += 1


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _server(row: _Row, servers: Servers) -> Gauge:
    """Count a server's connections into its bucket."""
    current = number_of(row.get("scur", "")) or 0
    http = row.get("mode", "") == "http"
    kept = max(_number(row, "srv_icur"), _number(row, "idle_conn_cur") + _number(row, "safe_conn_cur")) if http else 0
    name = f"{row['pxname']}/{row['svname']}"
    address = row.get("addr", "")
    end = endpoint_of(address)
    # the state comes first: checks say UP, DOWN, and what the last one met
    said = next((row[key] for key in ("last_chk", "check_desc") if _NO_PORT.search(row.get(key, ""))), "")
    if address in {"unix", "abns"}:
        servers.left_out["a Unix socket: it takes no port"] += current + kept
    else:
        destination, port = end if end is not None else (name, None)
        busy = current if http else None
        shareable = row.get("mode", "http") != "tcp"
        held = Held(current + kept, idle=kept if http else None, active=busy, shareable=shareable, said=said)
        servers.add(destination, port, held)
    return _gauge(row, "server", name, current if http else None, kept)


def _gauge(row: _Row, kind: str, name: str, requests: int | None, kept: int = 0) -> Gauge:
    if kind == "service" and row.get("mode") == "http":
        # h1 and h2 streams: what the frontend works on right now (2.4 and later)
        streams = [number_of(row.get(key, "")) for key in ("h1_open_streams", "h2_backend_open_streams")]
        requests = sum(count or 0 for count in streams) if streams[0] is not None else None
    return Gauge(
        name,
        kind,
        _number(row, "scur") + kept,
        open_requests=requests,
        queued=number_of(row.get("qcur", "")),
        state=row.get("status", ""),
        limit=number_of(row.get("slim", "")),
        dropped=number_of(row.get("econ", "")) if kind == "server" else None,
    )


def _number(row: _Row, key: str) -> int:
    return number_of(row.get(key, "")) or 0
