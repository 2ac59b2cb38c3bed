"""What a scene may do: sockets on ports of its own, SYNs without a socket, rules of the firewall, and endings."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from flows.world import CLIENT, SERVER, World, run, shut, syn, until

__all__ = [
    "CLOSED",
    "ESTABLISHED",
    "FIN_WAIT2",
    "Scene",
    "Scenes",
    "Stage",
    "abort",
    "await_reset",
    "close",
    "exchange",
    "kernel_state",
    "next_number",
    "retransmits",
    "segments_sent",
    "vanish",
]

# Options of include/uapi/linux/tcp.h that Python has no names for, and a value of theirs
_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ, _SEND_QUEUE = 19, 20, 21, 2
# States of the kernel's sockets (include/net/tcp_states.h)
ESTABLISHED, FIN_WAIT2, CLOSED = 1, 5, 7
# struct tcp_info (include/uapi/linux/tcp.h): a byte, and a u32
_RETRANSMITS, _SEGS_OUT, _INFO = 2, 136, 140


def kernel_state(sock: socket.socket) -> int:
    """Return the state that the kernel has a socket in."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def retransmits(sock: socket.socket) -> int:
    """Return how often a socket sent again what is not acknowledged yet."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)[_RETRANSMITS]


def next_number(sock: socket.socket) -> int:
    """Return the sequence number of the next byte that a socket will send."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
    number = sock.getsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ)
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, -1)  # without a probe of the window
    return number & 0xFFFFFFFF


def segments_sent(sock: socket.socket) -> int:
    """Return how many segments a socket sent."""
    (sent,) = struct.unpack_from("=I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO), _SEGS_OUT)
    return int(sent)


def vanish(sock: socket.socket) -> None:
    """Close a socket without a word on the wire, as a machine does that loses power."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    shut(sock)


class Stage:
    """The place of one scene in a world: a port at the server, one at the client, and a name for its firewall rules."""

    def __init__(self, world: World, number: int, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.world, self.family = world, family
        self.source = (CLIENT[family], 40000 + number)
        self.target = (SERVER[family], 7000 + number)
        self.began = 0
        """Frames before this time (ns since 1970) are not shown."""
        self._left = ExitStack()

    def open(self) -> None:
        """Let the capture begin only here."""
        self.began = time.time_ns()

    def leave(self) -> None:
        """Close what is still open. What that sends belongs to the capture too."""
        self._left.close()

    def keep(self, sock: socket.socket) -> socket.socket:
        """Keep a socket open until the whole recording is over."""
        self._left.callback(shut, sock)
        return sock

    def _bound(self, where: str, address: tuple[str, int]) -> socket.socket:
        made = self.keep(self.world.socket(where, self.family))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        return made

    def listen(self, backlog: int = 8) -> socket.socket:
        """Listen at the server."""
        listener = self._bound("server", self.target)
        listener.listen(backlog)
        return listener

    def client(self, port: int | None = None) -> socket.socket:
        """Make a socket on the client's port (or another one) that is not connected yet."""
        return self._bound("client", (self.source[0], port or self.source[1]))

    def server(self) -> socket.socket:
        """Make a socket on the server's port that does not listen."""
        return self._bound("server", self.target)

    def connect(self) -> socket.socket:
        """Connect from the client's port."""
        client = self.client()
        client.connect(self.target)
        return client

    def pair(self, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
        """Connect, and return both ends after a few bytes went each way."""
        client = self.connect()
        server = self.keep(listener.accept()[0])
        exchange(client, server)
        return client, server

    def syn(self, seq: int, source: tuple[str, int] | None = None) -> None:
        """Send a SYN that no socket stands behind."""
        packet = syn(source or self.source, self.target, seq)
        with self.world.socket("client", kind=socket.SOCK_RAW, proto=socket.IPPROTO_RAW) as raw:
            raw.sendto(packet, (self.target[0], 0))

    def rule_to_the_end(self, rule: str, machine: str) -> None:
        """Have a rule until the whole recording is over."""
        self._left.enter_context(self.rule(rule, machine))

    @contextmanager
    def rule(self, rule: str, machine: str = "firewall") -> Iterator[None]:
        """Have a rule in the firewall's (or the client's own, outgoing) chain for a while; ports are filled in."""
        hook = "forward" if machine == "firewall" else "output"
        words = rule.format(source=self.source[1], target=self.target[1])
        name = f"scene{self.target[1]}"
        table = f"table inet {name} {{\nchain box {{\ntype filter hook {hook} priority 0\n{words}\n}}\n}}\n"
        run("nft", "-f", "-", inside=machine, text=table)
        try:
            yield
        finally:
            run("nft", "delete", "table", "inet", name, inside=machine)


def await_reset(sock: socket.socket) -> None:
    """Make sure that a socket is closed by a RST."""
    try:
        sock.recv(1)
    except ConnectionResetError:
        return
    raise AssertionError("no RST came")


def exchange(client: socket.socket, server: socket.socket) -> None:
    """Send 100 bytes there and 20 back."""
    client.sendall(b"q" * 100)
    assert server.recv(1000) == b"q" * 100
    server.sendall(b"a" * 20)
    assert client.recv(1000) == b"a" * 20


def close(first: socket.socket, second: socket.socket) -> None:
    """Close a connection from one end, then from the other, each FIN acknowledged by itself."""
    first.shutdown(socket.SHUT_WR)
    until(lambda: kernel_state(first) == FIN_WAIT2, "the FIN is not acknowledged")
    assert second.recv(1) == b""
    shut(second)
    assert first.recv(1) == b""
    shut(first)


def abort(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    shut(sock)


@dataclass(frozen=True)
class Scene:
    """One scene. What it does is known: it is the truth, and its sockets make sure that the kernels did it.

    Its capture is slowed by `slow`, because nobody waits five minutes for a connection to be idle.
    """

    play: Callable[[Stage], None]
    says: str
    family: socket.AddressFamily
    slow: int


class Scenes(dict[str, Scene]):
    """Scenes by the name of their capture."""

    def scene(
        self, says: str, family: socket.AddressFamily = socket.AF_INET, slow: int = 1
    ) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
        """Register a scene under its function's name."""

        def register(play: Callable[[Stage], None]) -> Callable[[Stage], None]:
            name = play.__name__.strip("_").replace("_", "-") + ("-v6" if family == socket.AF_INET6 else "")
            self[name] = Scene(play, says, family, slow)
            return play

        return register
