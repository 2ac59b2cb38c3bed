"""Reads Avi's ``show virtualservice … detail`` and ``show pool … server detail``, whole or filtered as KB 425869 says.

Both are grids of two columns, ``| Field | Value |``, nested by two spaces. The filters of the article keep ``state``,
``open_conns``, ``open_requests``, ``connections_dropped`` of a virtual service (no rules between blocks) and ``+--``,
``ip_addr``, ``se_uuid``, ``open_conns``, ``state`` of a pool (no ports). There is a block per server, service engine
and process of it; what belongs to one (service engine, server) is added up. A service engine reaches its servers
from one address of its own, unless SNAT addresses are configured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tidegate.watch.ports.balancer import Held, Servers
from tidegate.watch.ports.model import Gauge, PortReading
from tidegate.watch.ports.text import address_of, lines_of, number_of

__all__ = ["read_avi"]

_ROW = re.compile(r"\|(?P<indent>\s*)(?P<key>[A-Za-z_][\w.-]*(?:\[[0-9]+\])?)\s*\|(?P<value>.*?)\|")
_RULE = re.compile(r"\+-[-+]*")
_SHOW = re.compile(r"\bshow\s+(?P<kind>virtualservice|pool)\s+(?P<name>\"[^\"]*\"|[^\s|]+)")
_DROPPED = re.compile(r"connections_dropped\w*")


@dataclass(slots=True)
class _Block:
    kind: str
    name: str
    values: dict[str, str] = field(default_factory=dict)
    dropped: int | None = None
    states: list[str] = field(default_factory=list)
    indent: int = 0
    """Of the server's address: one that is nested deeper does not begin a new block."""
    last: str = ""


def read_avi(text: str, *, capacity: int | None = None) -> PortReading:
    """Read one or more grids.

    Parameters
    ----------
    text
        As Avi's shell prints it.
    capacity
        Source ports per server, when known; else 64 512 (1024 to 65535).

    Raises
    ------
    ValueError
        With a sentence, when no block has ``open_conns``.
    """
    servers = Servers("service engine", capacity, linux=False)
    gauges: list[Gauge] = []
    services: list[_Block] = []
    twice: Counter[tuple[str, str]] = Counter()
    for block in _blocks(text, servers):
        connections = number_of(block.values.get("open_conns", ""))
        if connections is None:
            continue
        address = address_of(block.values.get("ip_addr", ""))
        if block.kind == "virtualservice" or address is None:
            services.append(block)
            gauges.append(_service(block, connections, _name(block, len(services))))
            continue
        engine, port = block.values.get("se_uuid", ""), number_of(block.values.get("port", ""))
        twice[engine, address] += port is None
        # without its port a block may be another server at the same address, or another process of the engine
        unclear = port is None and twice[engine, address] > 1
        servers.add(address, port, Held(connections, at_most=unclear), source=engine)
        name = f"{block.name}/{address}" if block.name else address
        name = f"{name}:{port}" if port else name
        gauges.append(Gauge(_at(name, engine), "server", connections, state=_state(block)))
    if not gauges:
        raise ValueError(
            "no block of this text has open_conns as show virtualservice … detail or show pool … server detail of Avi"
        )
    if not servers.sums:
        # one connection to the servers per client's, as long as connections are not shared
        for number, block in enumerate(services, 1):
            gauge = _service(block, int(block.values["open_conns"]), "")
            held = Held(gauge.open_connections, idle=gauge.idle, active=gauge.open_requests, at_most=True)
            servers.add(f"one server of {_name(block, number)}", None, held, source=block.values.get("se_uuid", ""))
    return servers.reading("avi", gauges)


def _name(block: _Block, number: int) -> str:
    return block.name or block.values.get("name", "") or block.values.get("vs_uuid", "") or f"virtual service {number}"


def _at(name: str, engine: str) -> str:
    return f"{name} at {engine}" if engine else name


def _service(block: _Block, connections: int, name: str) -> Gauge:
    return Gauge(
        _at(name, block.values.get("se_uuid", "")),
        "service",
        connections,
        open_requests=number_of(block.values.get("open_requests", "")),
        state=_state(block),
        dropped=block.dropped,
    )


def _state(block: _Block) -> str:
    return next((state for state in block.states if state.startswith("OPER_")), "")


def _blocks(text: str, servers: Servers) -> Iterator[_Block]:
    """Yield blocks: they end at a rule, a heading or a new command, and where a server's address comes again.

    Where there are no rules (the article's filter of a virtual service drops them) a second ``open_conns`` begins one.
    """
    block = _Block("", "")
    ruled = False
    for line in lines_of(text):
        show, row = _SHOW.search(line), _ROW.fullmatch(line.strip())
        if row is None and show is not None:
            yield block
            block, ruled = _Block(show["kind"], show["name"].strip('"')), False
        elif row is None and not _RULE.fullmatch(line.strip()):
            servers.other_lines += 1
        elif row is None or row["key"] == "Field":
            ruled = True
            if "open_conns" in block.values or row is not None:
                yield block
                block = _Block(block.kind, block.name)
        else:
            if _begins(row, block, ruled=ruled):
                yield block
                block = _Block(block.kind, block.name)
            _take(block, row["key"], row["value"].strip(), len(row["indent"]))
    yield block


def _begins(row: re.Match[str], block: _Block, *, ruled: bool) -> bool:
    if "open_conns" not in block.values or row["key"] not in block.values:
        return False
    if row["key"] == "ip_addr":
        return len(row["indent"]) <= block.indent
    return not ruled and row["key"] in {"open_conns", "open_requests"}


def _take(block: _Block, key: str, value: str, indent: int) -> None:
    if key == "addr" and block.last == "ip_addr" and value:
        block.values.setdefault("ip_addr", value)
    elif key == "state":
        block.states.append(value)
    elif _DROPPED.fullmatch(key):
        count = number_of(value)
        if count is not None:
            block.dropped = (block.dropped or 0) + count
    elif value:
        if key == "ip_addr" and "ip_addr" not in block.values:
            block.indent = indent
        block.values.setdefault(key, value)
    block.last = key
