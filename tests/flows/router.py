"""nf_conntrack as a judge: packets go through a router in a namespace, and what it makes of them is written down.

``python -m flows.router FILE CAPTURE…`` (from tests, as root under ``unshare --net --mount``) writes it as JSON.
`DESTROYED` stands where the router forgot a handshake at once.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from flows.replays import Replay
from flows.world import checksum, run, setting, until

__all__ = ["Judged", "judge"]

Judged = list[tuple[str, str, str, list[list[str]]]]
"""Capture, both ends of a connection, and its states for each time that it was new."""

_ROUTER, _NEXT = "02:00:00:00:00:01", "02:00:00:00:00:02"
_MARK = ("10.255.0.1", "10.255.0.2")
_EVENT = re.compile(
    r"\[(NEW|UPDATE|DESTROY)\] tcp +6 (?:\d+ )?(?:([A-Z_0-9]+) )?src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)"
)
_BATCH = 16
_FORGOTTEN = {"SYN_SENT", "SYN_RECV"}
# Where nothing else counts connections, conntrack does it only if a rule asks for their state.
_RULES = "table inet judge {\nchain here {\ntype filter hook forward priority 0\nct state invalid counter\n}\n}\n"


def _build() -> None:
    """Make the router: what comes in at `in` leaves at `out`, for a neighbour that takes everything."""
    run("mount", "-t", "tmpfs", "none", "/run")
    run("ip", "netns", "add", "router")
    for here, there, mac in (("tap", "in", _ROUTER), ("sink", "out", "02:00:00:00:00:03")):
        ends = ("name", here, "mtu", "65535", "type", "veth", "peer", "name", there, "mtu", "65535", "address", mac)
        run("ip", "link", "add", *ends, "netns", "router")
        run("ip", "link", "set", here, "up")
        run("ip", "-n", "router", "link", "set", there, "up")
    for address, gateway in (("192.0.2.2/24", "192.0.2.1"), ("2001:db8::2/64", "2001:db8::1")):
        run("ip", "-n", "router", "address", "add", address, "dev", "out", *(["nodad"] if ":" in address else []))
        run("ip", "-n", "router", "neigh", "add", gateway, "lladdr", _NEXT, "nud", "permanent", "dev", "out")
        run("ip", "-n", "router", "route", "add", "default", "via", gateway, "dev", "out")
    run("nft", "-f", "-", inside="router", text=_RULES)
    ways = {f"net__ipv4__conf__{name}__rp_filter": 0 for name in ("all", "in")}
    setting("router", net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1, **ways)
    # Checksums of captures are often wrong (offloading), and no judged connection may be forgotten for its age.
    times = {f"net__netfilter__nf_conntrack_tcp_timeout_{name}": 600 for name in ("close", "time_wait", "last_ack")}
    setting("router", net__netfilter__nf_conntrack_checksum=0, **times)


def _send(tap: socket.socket, ip: bytes) -> None:
    kind = b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\x00"
    tap.send(bytes.fromhex((_ROUTER + _NEXT).replace(":", "")) + kind + ip)


def _mark(tap: socket.socket, number: int) -> bytes:
    """Send a UDP packet from a port that nobody used, and return how conntrack will tell of it."""
    addresses = b"".join(socket.inet_aton(address) for address in _MARK)
    head = bytes.fromhex("4500001c000000004011")
    head += struct.pack("!H", checksum(head + addresses)) + addresses
    _send(tap, head + struct.pack("!HHHH", number, 9, 8, 0))
    return f"sport={number} ".encode()


def _await(mark: bytes, said: Path) -> None:
    until(lambda: mark in said.read_bytes(), "conntrack did not tell all of it")


def _replayed(replay: Replay, said: Path) -> None:
    """Send everything, a batch at a time: what the watcher has not read yet must fit into its socket."""
    numbers = itertools.count(1024)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as tap:
        tap.bind(("tap", 0))
        until(lambda: (_mark(tap, next(numbers)), said.stat().st_size)[1], "conntrack tells nothing")
        for number, packet in enumerate(replay.packets, 1):
            _send(tap, packet.ip)
            if number % _BATCH == 0 or number == len(replay.packets):
                _await(_mark(tap, next(numbers)), said)


def _sequences(told: str, replay: Replay) -> Judged:
    """Sort what conntrack told by capture and connection."""
    judged: dict[tuple[str, str, str], list[list[str]]] = {}
    for kind, state, *tuple_ in _EVENT.findall(told):
        (capture, source), (_, target) = (replay.names[address] for address in tuple_[:2])
        lives = judged.setdefault((capture, _end(source, tuple_[2]), _end(target, tuple_[3])), [])
        if kind == "NEW":
            lives.append([state])
        elif kind == "DESTROY":
            lives[-1] += ["DESTROYED"] if lives[-1][-1] in _FORGOTTEN else []
        elif state and lives[-1][-1] != state:
            lives[-1].append(state)
    return [(*where, lives) for where, lives in judged.items()]


def _end(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def judge(files: Iterable[Path]) -> Judged:
    """Return what nf_conntrack makes of the connections in some captures."""
    _build()
    # All packets take the same queue, so that they cannot change places.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    replay, said = Replay(files), Path("/run/events")
    command = ["ip", "netns", "exec", "router", "conntrack", "-E"]
    with said.open("wb") as events:
        watcher = subprocess.Popen(command, stdout=events, stderr=subprocess.PIPE)
        try:
            _replayed(replay, said)
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.communicate(timeout=30)
    return _sequences(said.read_text(), replay)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(judge(map(Path, sys.argv[2:])), indent=1))
