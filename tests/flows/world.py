"""A client, a firewall and a server, each in a network namespace of its own, and tcpdump beside the client.

The addresses are those of documentation. The client is nearer to the firewall than to the server, so that a
TTL tells who of them spoke. Everything lives in this process: a socket stays in the namespace that it was made in.
Must run where namespaces may be made and mounts stay private (`unshare --net --mount`, as root).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CLIENT", "SERVER", "STRANGERS", "World", "checksum", "run", "setting", "shut", "syn", "until"]

CLIENT = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8:1::1"}
SERVER = {socket.AF_INET: "198.51.100.1", socket.AF_INET6: "2001:db8:2::1"}
STRANGERS = "203.0.113.0/24"
"""Routed to the client's side, where nobody has such an address: nothing answers from there."""
_NET = Path("/run/netns")
_HERE = Path("/proc/self/task")
_NEWNET = 0x40000000
_MARK = b"the scene is over"
_PATIENCE = 30.0  # seconds; only a hang is as long
# A program that is being started has a copy of every socket for a moment: none is closed then, or it would stay open.
_STARTING = threading.Lock()
# The record of the mark: headers of record (16), Ethernet (14), IPv4 (20), UDP (8).
_BEFORE_MARK = 58


def run(*command: str, inside: str | None = None, text: str | None = None) -> str:
    """Run a command, in a namespace if one is named, with `text` as its input; return what it prints."""
    entered = ("ip", "netns", "exec", inside, *command) if inside else command
    pipe = subprocess.PIPE
    with _STARTING:
        ran = subprocess.Popen(entered, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    said, complaint = ran.communicate(text, timeout=_PATIENCE)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}: {complaint.strip()}")
    return said


def shut(sock: socket.socket) -> None:
    """Close a socket at once, whatever other threads are starting."""
    with _STARTING:
        sock.close()


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is true; only if that never happens it is an error."""
    end = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.002)


def setting(inside: str, **settings: int) -> None:
    """Set sysctls of a namespace (`__` stands for a dot)."""
    run("sysctl", "-qw", *(f"{name.replace('__', '.')}={value}" for name, value in settings.items()), inside=inside)


class World:
    """The three machines."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        run("mount", "-t", "tmpfs", "none", "/run")
        for name in ("client", "firewall", "server"):
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
            # No address waits to be used, and no FIN is repeated before it is late (a tail loss probe).
            setting(name, net__ipv6__conf__default__accept_dad=0, net__ipv4__tcp_early_retrans=0)
        for end, mine, theirs in (
            ("client", ("192.0.2.1/24", "2001:db8:1::1/64"), ("192.0.2.254/24", "2001:db8:1::fe/64")),
            ("server", ("198.51.100.1/24", "2001:db8:2::1/64"), ("198.51.100.254/24", "2001:db8:2::fe/64")),
        ):
            run("ip", "-n", "firewall", "link", "add", end, "type", "veth", "peer", "name", "wire", "netns", end)
            self._address(end, "wire", mine)
            self._address("firewall", end, theirs)
            for address in theirs:
                run("ip", "-n", end, "route", "add", "default", "via", address.partition("/")[0])
        setting("firewall", net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        run("ip", "-n", "firewall", "route", "add", STRANGERS, "via", "192.0.2.1")

    @staticmethod
    def _address(inside: str, link: str, addresses: tuple[str, str]) -> None:
        run("ip", "-n", inside, "link", "set", link, "up")
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            run("ip", "-n", inside, "address", "add", address, "dev", link, *extra)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Be in a namespace for a while, this thread only."""
        with (_HERE / str(threading.get_native_id()) / "ns" / "net").open() as home, (_NET / name).open() as there:
            self._enter(there.fileno())
            try:
                yield
            finally:
                self._enter(home.fileno())

    def _enter(self, namespace: int) -> None:
        if self._libc.setns(namespace, _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def socket(
        self, name: str, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM, proto: int = 0
    ) -> socket.socket:
        """Make a socket in a namespace; it gives up after half a minute."""
        with self.inside(name):
            made = socket.socket(family, kind, proto)
        made.settimeout(_PATIENCE)
        return made

    @contextmanager
    def recorded(self, file: Path) -> Iterator[None]:
        """Record everything that the client sends and hears, whole and in order, into a pcap file."""
        what = "tcp or icmp or (udp port 9)"
        # Its ring has 8 MiB in slots of what is kept of a packet at most: enough of them for all that is ever sent.
        ring = ("-s", "2048", "-B", "8192", "--immediate-mode")
        command = ["tcpdump", "-Z", "root", "-n", "-U", *ring, "-i", "wire", "-w", str(file)]
        command = ["ip", "netns", "exec", "client", *command, what]
        with _STARTING:
            tcpdump = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            assert tcpdump.stderr
            said = tcpdump.stderr.readline()
            if b"listening on" not in said:
                raise RuntimeError(f"tcpdump: {said.decode()}")
            yield
            until(self._settled, "a connection does not close")
            with self.socket("client", kind=socket.SOCK_DGRAM) as mark:
                mark.sendto(_MARK, (SERVER[socket.AF_INET], 9))
            until(lambda: _MARK in file.read_bytes(), "tcpdump wrote no mark")
        finally:
            tcpdump.send_signal(signal.SIGINT)
            _, said = tcpdump.communicate(timeout=_PATIENCE)
        if b"\n0 packets dropped by kernel" not in b"\n" + said:
            raise RuntimeError(f"tcpdump lost packets: {said.decode()}")
        whole = file.read_bytes()
        file.write_bytes(whole[: whole.index(_MARK) - _BEFORE_MARK])

    @staticmethod
    def _settled() -> bool:
        """Whether no FIN is on its way."""
        states = ("state", "fin-wait-1", "state", "last-ack", "state", "closing")
        return not any(run("ss", "-Htan", *states, inside=name) for name in ("client", "server"))


def checksum(data: bytes) -> int:
    """Return the Internet checksum of some bytes (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def syn(source: tuple[str, int], target: tuple[str, int], seq: int) -> bytes:
    """Return an IPv4 packet with a SYN that no socket stands behind."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    options = bytes((2, 4, 5, 180))
    head = struct.pack("!HHIIBBHHH", source[1], target[1], seq, 0, 6 << 4, 2, 64240, 0, 0) + options
    total = checksum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, len(head)) + head)
    head = head[:16] + struct.pack("!H", total) + head[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(head), os.getpid() & 0xFFFF, 0, 64, socket.IPPROTO_TCP, 0)
    return ip[:10] + struct.pack("!H", checksum(ip + addresses)) + addresses + head
