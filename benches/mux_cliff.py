"""T3: what it costs to find a source port when nearly all ports towards a server are taken.

Clients hold connections through the proxy up to just below the share (so that the request that is measured does not go
over it). Then requests come one after the other, each from a client of its own, to a server that closes after every
answer, so that each needs a connection that was not there before. The proxy's own `bind` and `connect` are timed inside
it, in CPU time of the thread, by a preloaded library (peers/mux/connect_times.c): what a busy machine or a slow client
adds is not in it. The time from request to first byte, as a client sees it, stands beside it.
"""

from __future__ import annotations

import array
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from benches.load import percentile
from benches.mux_world import SERVER_PORT, TARGET, Stage, kernel_ports
from benches.peers.mux import HERE
from benches.process import BenchError, need
from benches.record import Row
from tidegate.lab.ports_clients import address_of, connect_from
from tidegate.lab.world import Child

BELOW = 0.005
HELD_WITHIN_S = 30.0


@dataclass(frozen=True)
class Cliff:
    """How many ports there are, and how many connects are measured."""

    ports: int = 8000
    connects: int = 1000


QUICK = Cliff(ports=2000, connects=200)


def cliff(test: str, peer: str, run: int, share: float, size: Cliff) -> Iterator[Row]:
    """Measure with this share of the ports taken, 0 to 1."""
    ports = (20000, 20000 + size.ports - 1)
    own = peer in {"tidegate", "haproxy-always"}
    with Stage() as stage:
        folder = stage.world.folder
        times = folder / "connects"
        origin = stage.origin("origin", [f"127.0.0.1:{SERVER_PORT}"])
        with nullcontext() if own else kernel_ports(*ports):
            stage.proxy(peer, [f"127.0.0.1:{SERVER_PORT}"], ports=ports, environment=_preload(folder, times))
            there = [_send(number, b"/hold") for number in range(round(size.ports * (share - BELOW)))]
            try:
                _await_held(stage, origin, len(there))
                from_byte = times.stat().st_size
                firsts = sorted(_first_byte_us(len(there) + number) for number in range(size.connects))
            finally:
                for client in there:
                    client.close()
            origin.say({"cmd": "release"})
        taken = array.array("I", times.read_bytes()[from_byte:])
    if len(taken) < size.connects:
        raise BenchError(f"{size.connects} requests needed a connection, and only {len(taken)} were made")
    yield Row(test, peer, "connect_p99_us", round(percentile(sorted(taken), 0.99) / 1000, 1), "us", run)
    yield Row(test, peer, "first_byte_p99_us", round(percentile(firsts, 0.99)), "us", run)


def _preload(folder: Path, times: Path) -> list[str]:
    """Build the library; return the environment in which a proxy writes its times."""
    library = folder / "connect_times.so"
    source = HERE / "connect_times.c"
    cc = need("cc", "apt-get install gcc libc6-dev")
    command = [cc, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise BenchError(f"connect_times.c cannot be built: {built.stderr.strip()[-200:]}")
    return [
        f"LD_PRELOAD={library}",
        f"CONNECT_TIMES={times}",
        f"CONNECT_FIRST={SERVER_PORT}",
        f"CONNECT_LAST={SERVER_PORT}",
    ]


def _send(number: int, path: bytes) -> socket.socket:
    client = connect_from(address_of(number), TARGET)
    client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: lab.test\r\n\r\n")
    return client


def _first_byte_us(number: int) -> int:
    """Send one request from a new client; return the time to the first byte of its answer, in microseconds."""
    client = connect_from(address_of(number), TARGET)
    try:
        began = time.perf_counter_ns()
        client.sendall(b"GET /close HTTP/1.1\r\nHost: lab.test\r\n\r\n")
        answer = client.recv(65536)
        took = time.perf_counter_ns() - began
    finally:
        client.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"a request at the cliff was answered {answer[:60]!r}")
    return took // 1000


def _await_held(stage: Stage, origin: Child, count: int) -> None:
    give_up = time.monotonic() + HELD_WITHIN_S
    while (held := stage.counts(origin)["held"]) < count:
        if time.monotonic() > give_up:
            raise BenchError(f"{count} connections were to be held, and {held} are")
        time.sleep(0.1)
