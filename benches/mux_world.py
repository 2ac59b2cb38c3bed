"""One cell of `bench-mux`: a network namespace of its own, servers of the lab, a peer before them."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benches import peers
from benches.peers import ORIGIN_CPU
from benches.peers.mux import PORT, Site, launch
from benches.process import BenchError, Process, need
from tidegate.lab.ports_verdicts import Gate, Haproxy, Look
from tidegate.lab.world import Child, World

TARGET = ("127.0.0.1", PORT)
SERVER_PORT = 9000
"""Servers listen here and above."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ANSWER_S = 10.0
_CLONE_NEWNET = 0x40000000
"""linux/sched.h"""


def need_root() -> None:
    """Refuse to go on where no network namespace can be made.

    Raises
    ------
    BenchError
        The user is not root.
    """
    if os.geteuid() != 0:
        raise BenchError("bench-mux needs network namespaces of its own: run it as root")


def enter_namespace() -> None:
    """Leave this thread's network for a new one in which there is nothing but loopback.

    What was open stays with the old one. No connection that lingers there can be in the way of the next cell.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise BenchError(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}")
    subprocess.run([need("ip", "apt-get install iproute2"), "link", "set", "lo", "up"], check=True)


@contextmanager
def kernel_ports(first: int, last: int) -> Iterator[None]:
    """Let the kernel choose source ports between these two, in this namespace, for a while."""
    before = _RANGE.read_text()
    _RANGE.write_text(f"{first} {last}")
    try:
        yield
    finally:
        _RANGE.write_text(before)


@contextmanager
def middlebox(ports: Sequence[int], most: int) -> Iterator[None]:
    """Stand a middlebox before servers: connections beyond `most` to each of these ports are reset, for a while."""
    nft = need("nft", "apt-get install nftables")
    rules = "".join(
        f"tcp dport {port} tcp flags & (syn|ack) == syn ct state new ct count over {most} reject with tcp reset\n"
        for port in ports
    )
    table = f"table ip box {{ chain in {{ type filter hook input priority 0;\n{rules}}}\n}}\n"
    made = subprocess.run([nft, "-f", "-"], input=table, capture_output=True, text=True, check=False)
    if made.returncode:
        raise BenchError(f"nft does not make the middlebox: {made.stderr.strip()[-200:]}")
    try:
        yield
    finally:
        subprocess.run([nft, "delete", "table", "ip", "box"], check=True)


@dataclass
class Stage:
    """The processes of one cell."""

    world: World = field(default_factory=World)
    proxies: list[Process] = field(default_factory=list)

    def __enter__(self) -> Self:
        enter_namespace()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in self.proxies:
            proxy.stop()
        self.world.__exit__(kind, error, trace)

    def origin(self, name: str, listen: Sequence[str], **how: object) -> Child:
        """Start a server of the lab; what it can do is told in tidegate.lab.ports_origin."""
        command = ["taskset", "--cpu-list", str(ORIGIN_CPU), sys.executable, "-m", "tidegate.lab.ports_origin"]
        child, _ = self.world.start(name, [*command, json.dumps({"listen": list(listen), **how})])
        return child

    def counts(self, child: Child) -> dict[str, Any]:
        """Ask a server what it has seen.

        Raises
        ------
        BenchError
            It has ended, or does not answer.
        """
        child.say({"cmd": "counts"})
        for name, message in self.world.hear(_ANSWER_S):
            if name == child.name and message["kind"] == "counts":
                return message
            if name == child.name:
                break
        raise BenchError(f"the server {child.name} does not say what it has seen")

    def fast_origin(self, folder: Path) -> str:
        """Start nginx as the server, for what is about CPU time; return its address."""
        process, port = peers.origin(folder)
        self.proxies.append(process)
        return f"127.0.0.1:{port}"

    def proxy(self, peer: str, servers: Sequence[str], **how: Any) -> Process:
        """Start a peer before these servers; what else can be said is in `Site`."""
        site = Site(self.world.folder, servers, **how)
        process = launch(peer, site)
        self.proxies.append(process)
        return process

    def look(self, peer: str) -> Look:
        """Return how to learn which servers a peer holds to be down."""
        folder = self.world.folder
        match peer:
            case "tidegate":
                return Gate(folder / "admin.sock")
            case "nginx":
                return Nginx(folder / "nginx-errors.log")
            case "envoy":
                return Envoy(folder / "envoy.sock")
            case _:
                return Haproxy(folder / "haproxy.sock")


class Envoy:
    """Envoy, by its admin socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def down(self) -> list[str]:
        """Return the addresses that its own health checks, or its outlier detection, have failed."""
        connection = http.client.HTTPConnection("envoy", timeout=1)
        try:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(1)
            connection.sock.connect(str(self._path))
            connection.request("GET", "/clusters")
            text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return []
        finally:
            connection.close()
        return re.findall(r"^back::([\d.:]+)::health_flags::.*(?:failed_active_hc|failed_outlier)", text, re.MULTILINE)


class Nginx:
    """nginx, by its error log: it says when it takes a server out, not when it takes it back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def down(self) -> list[str]:
        """Return one name per time that a server was taken out, so that each counts once."""
        text = self._path.read_text(errors="replace") if self._path.exists() else ""
        found = re.findall(r'upstream server temporarily disabled .*upstream: "http://([\d.:]+)', text)
        return [f"{address}#{number}" for number, address in enumerate(found)]
