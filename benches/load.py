"""The two clients of the benchmark: a fixed offered rate over keep-alive connections (h2load), and idle clients."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benches.process import BenchError, need
from tidegate.lab.ports_clients import address_of, connect_from

CLIENT_CPU = 1
CONNECTIONS = 50
REQUEST = b"GET /bench HTTP/1.1\r\nHost: bench.test\r\n\r\n"
# An answer of the origin of bench-gate, or of the lab: 200 with 128 bytes.
WHOLE = re.compile(rb"HTTP/1.1 200.*\r\n\r\n.{128}", re.DOTALL)
# The same cipher for every peer.
CIPHER = "TLS_AES_128_GCM_SHA256"


@dataclass(frozen=True)
class Latencies:
    """What a run of requests at a fixed rate found: how many, in how many seconds, and how long each took, in ms."""

    requests: int
    took_s: float
    p50_ms: float
    p99_ms: float


def percentile(ordered: list[int], share: float) -> int:
    """Return the nearest-rank percentile of a sorted list, `share` in 0..1."""
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def offer(port: int, rate: int, seconds: float, folder: Path, *, tls: bool) -> Latencies:
    """Send GET requests at a fixed rate over 50 keep-alive connections.

    Parameters
    ----------
    port
        Of 127.0.0.1.
    rate
        Requests per second, all connections together.
    seconds
        How long, in seconds.
    folder
        Where the list of requests is written.
    tls
        Speak TLS 1.3.

    Raises
    ------
    BenchError
        A request was not answered with 200.
    """
    total = round(rate * seconds / CONNECTIONS) * CONNECTIONS
    how = [f"-n{total}", f"-c{CONNECTIONS}", f"--rps={rate / CONNECTIONS}", f"--tls13-ciphers={CIPHER}"]
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/bench"
    took_s, ordered = _h2load(how, url, total, seconds, folder)
    return Latencies(total, took_s, percentile(ordered, 0.50) / 1000, percentile(ordered, 0.99) / 1000)


def one_shots(port: int, rate: int, seconds: float, folder: Path, path: str = "/") -> int:
    """Open so many connections per second (a multiple of 10) to a port of 127.0.0.1, and send one GET on each.

    Returns
    -------
    int
        How many that were.

    Raises
    ------
    BenchError
        A request was not answered with 200, or the rate was not held.
    """
    total = round(rate * seconds)
    # h2load opens those of one period at once; its shortest period is a tenth of a second.
    how = [f"-n{total}", f"-c{total}", f"--rate={rate // 10}", "--rate-period=100ms"]
    took_s, _ = _h2load(how, f"http://127.0.0.1:{port}{path}", total, seconds, folder)
    if took_s > 1.05 * seconds + 0.3:
        raise BenchError(f"the rate was not held: {seconds:g} s of connections took {took_s:.1f} s")
    return total


def _h2load(how: list[str], url: str, total: int, seconds: float, folder: Path) -> tuple[float, list[int]]:
    """Run h2load on the client's CPU; return how long it took, and how long each request, in microseconds, sorted."""
    log = folder / "requests.tsv"
    log.unlink(missing_ok=True)
    command = [need("h2load", "apt-get install nghttp2-client"), "--h1", *how, f"--log-file={log}", url]
    answer = subprocess.run(
        ["taskset", "--cpu-list", str(CLIENT_CPU), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds * 4 + 30,
    )
    finished = re.search(r"finished in ([\d.]+)(m?s)", answer.stdout)
    if answer.returncode != 0 or finished is None:
        raise BenchError(f"h2load failed: {(answer.stderr or answer.stdout)[-300:].strip()}")
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    bad = sum(row[1] != "200" for row in rows)
    if bad or len(rows) != total:
        raise BenchError(f"{total} requests were sent, {len(rows)} answered, {bad} of them not with 200")
    took_s = float(finished.group(1)) * (0.001 if finished.group(2) == "ms" else 1.0)
    return took_s, sorted(int(row[2]) for row in rows)


class IdleClients:
    """Clients that connect, send one request each, read the answer and then say nothing. Each has its own address."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
            self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._sockets: list[socket.socket] = []

    def add(self, count: int) -> None:
        """Add clients, one after the other.

        Raises
        ------
        BenchError
            One was not answered with 200.
        """
        for _ in range(count):
            number = len(self._sockets)
            plain = connect_from(address_of(number), ("127.0.0.1", self._port))
            client = self._context.wrap_socket(plain) if self._context else plain
            self._sockets.append(client)
            self._ask(number)

    def again(self) -> None:
        """Let each send another request, one after the other.

        Raises
        ------
        BenchError
            One was not answered with 200.
        """
        for number in range(len(self._sockets)):
            self._ask(number)

    def _ask(self, number: int) -> None:
        client = self._sockets[number]
        client.sendall(REQUEST)
        answer = b""
        while not (whole := WHOLE.match(answer)) and (piece := client.recv(65536)):
            answer += piece
        if whole is None:
            raise BenchError(f"idle client {number} was answered {answer[:60]!r}")

    def close(self) -> None:
        """Close all."""
        for client in self._sockets:
            client.close()
        self._sockets.clear()


def pin_to_client_cpu() -> None:
    """Keep this Python process off the proxy's CPU."""
    os.sched_setaffinity(0, {CLIENT_CPU})
