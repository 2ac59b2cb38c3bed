"""Sockets of a machine: ss, netstat and /proc/net/tcp, from the real tools and as they get mangled on the way."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tidegate.watch.ports.model import Bucket, PortReading
from tidegate.watch.ports.proc import read_proc
from tidegate.watch.ports.sockets import read_sockets

HEAD = "State    Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n"
OPEN = 12


def bucket(reading: PortReading, scope: str) -> Bucket:
    return next(bucket for bucket in reading.buckets if bucket.scope == scope)


def whole(reading: PortReading) -> bool:
    """Return whether nothing that was read got lost."""
    counted = sum(bucket.connections for bucket in reading.buckets)
    return reading.read == counted + sum(reading.left_out.values())


def scope(address: str, port: int) -> str:
    """Return what the connections from and to an address of this machine are called."""
    return f"{address} → [{address}]:{port}" if ":" in address else f"{address} → {address}:{port}"


# An address of their own: what another test has left behind may have any port at the usual one.
@pytest.fixture(params=[("127.77.7.7", socket.AF_INET), ("::1", socket.AF_INET6)], ids=["IPv4", "IPv6"])
def service(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Give a service with twelve connections open and one that its client has closed."""
    address, family = request.param
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, 0), family=family, backlog=2 * OPEN))
        port = listener.getsockname()[1]
        for number in range(OPEN + 1):
            client = stack.enter_context(socket.create_connection((address, port), source_address=(address, 0)))
            stack.enter_context(listener.accept()[0])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if number == OPEN:
                client.close()
        yield address, port


@pytest.mark.peer("ss")
@pytest.mark.parametrize("options", ["-tan", "-tanp", "-tanoe", "-tani", "-taniO", "-tanH", "-an"])
def test_real_ss(service: tuple[str, int], options: str) -> None:
    address, port = service
    command = ["ss", options, f"( sport = :{port} or dport = :{port} )"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    reading = read_sockets(text)
    got = bucket(reading, scope(address, port))
    assert got.connections == OPEN + 1
    assert got.by_state["ESTAB"] == OPEN
    assert got.capacity in {28_232, 64_512}
    # the kernel tells in pieces, and a socket twice when its table changed between two of them
    assert sum(reading.left_out.values()) >= OPEN + 1
    assert whole(reading)
    assert (got.idle is not None) == bool(set("oi") & set(options))


@pytest.mark.peer("netstat")
@pytest.mark.parametrize("options", ["-tan", "-tanp", "-tanoW"])
def test_real_netstat(service: tuple[str, int], options: str) -> None:
    text = subprocess.run(["netstat", options], check=True, capture_output=True, text=True).stdout
    reading = read_sockets(text)
    assert bucket(reading, scope(*service)).connections == OPEN + 1
    assert whole(reading)


def test_real_proc(service: tuple[str, int]) -> None:
    address, port = service
    text = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6", "udp"))
    reading = read_proc(text)
    got = next(bucket for bucket in reading.buckets if bucket.port == port)
    assert (got.source, got.destination, got.connections) == (address, address, OPEN + 1)
    assert got.by_state["ESTAB"] == OPEN
    assert got.idle == OPEN
    assert whole(reading)


def lines(count: int, *, source: str = "10.20.0.5", first: int = 32_768, state: str = "ESTAB") -> str:
    return "".join(f"{state} 0 0 {source}:{first + at} 10.30.0.10:8443\n" for at in range(count))


def test_an_exhausted_client() -> None:
    reading = read_sockets(HEAD + lines(27_000) + lines(1_100, first=59_768, state="TIME-WAIT"))
    (got,) = reading.buckets
    assert (got.scope, got.connections, got.capacity) == ("10.20.0.5 → 10.30.0.10:8443", 28_100, 28_232)
    assert got.by_state == {"ESTAB": 27_000, "TIME-WAIT": 1_100}
    assert (got.level, got.exhausted) == ("critical", True)
    assert reading.sides == {"seen more often": 28_100}


def test_two_hundred_thousand_lines() -> None:
    text = "".join(f"ESTAB 0 0 10.20.{at // 50_000}.5:{1_100 + at % 50_000} 10.30.0.10:8443\n" for at in range(200_000))
    reading = read_sockets(text)
    assert [got.connections for got in reading.buckets] == [50_000] * 4
    assert whole(reading)


def test_ports_outside_linuxs_range_widen_the_capacity() -> None:
    (got,) = read_sockets(HEAD + lines(63_890, first=1_024)).buckets
    assert (got.connections, got.capacity, got.exhausted) == (63_890, 64_512, True)


def test_a_server_sees_its_peers_as_sources() -> None:
    text = HEAD + "LISTEN 0 128 *:443 *:*\n"
    text += "".join(f"ESTAB 0 0 [::ffff:10.30.0.10]:443 [::ffff:10.20.0.5]:{1024 + at}\n" for at in range(500))
    reading = read_sockets(text)
    (got,) = reading.buckets
    assert (got.scope, got.connections) == ("10.20.0.5 → 10.30.0.10:443", 500)
    assert reading.sides == {"listening": 500}


@pytest.mark.parametrize(
    ("line", "scope"),
    [
        ("ESTAB 0 0 10.0.0.5:50000 10.0.0.9:5432", "10.0.0.5 → 10.0.0.9:5432"),
        ("ESTAB 0 0 10.0.0.5:5432 10.0.0.9:50000", "10.0.0.9 → 10.0.0.5:5432"),
        ("ESTAB 0 0 10.0.0.5:2000 10.0.0.9:443", "10.0.0.5 → 10.0.0.9:443"),
        ("ESTAB 0 0 10.0.0.5:50001 10.0.0.9:50000", "10.0.0.5 → 10.0.0.9:50000"),
        ("ESTAB 0 0 10.0.0.5%eth0:50001 [fe80::9%eth0]:443", "10.0.0.5 → [fe80::9]:443"),
        ("tcp 0 0 2001:db8::5:50001 2001:db8::9:443 ESTABLISHED 812/haproxy", "2001:db8::5 → [2001:db8::9]:443"),
        ('tcp ESTAB 0 0 10.0.0.5:50001 10.0.0.9:443 users:(("a b",pid=1,fd=3))', "10.0.0.5 → 10.0.0.9:443"),
        ("0 0 10.0.0.5:50001 10.0.0.9:443 ", "10.0.0.5 → 10.0.0.9:443"),
    ],
)
def test_one_line(line: str, scope: str) -> None:
    assert [bucket.scope for bucket in read_sockets(line).buckets] == [scope]


def test_both_ends_on_one_machine_are_one_connection() -> None:
    text = (
        HEAD
        + "LISTEN 0 128 *:50000 *:*\nESTAB 0 0 10.0.0.5:40000 10.0.0.5:50000\nESTAB 0 0 10.0.0.5:50000 10.0.0.5:40000\n"
    )
    text += "ESTAB 0 0 10.0.0.5:700 10.0.0.6:700\nESTAB 0 0 10.0.0.6:700 10.0.0.5:700\n"
    reading = read_sockets(text)
    assert {got.scope: got.connections for got in reading.buckets} == {
        "10.0.0.5 → 10.0.0.5:50000": 1,
        "10.0.0.6 → 10.0.0.5:700": 1,
    }
    assert reading.read == 4


def test_what_holds_no_port_is_left_out() -> None:
    reading = read_sockets(HEAD + "LISTEN 0 5 0.0.0.0:22 0.0.0.0:*\nUNCONN 0 0 10.0.0.5:40000 *:*\n" + lines(3))
    assert reading.read == 4
    assert sum(reading.left_out.values()) == 1
    assert whole(reading)


def test_pasted_and_mangled() -> None:
    clean = HEAD + lines(40)
    mangled = "\x1b[32madmin@se1\x1b[0m:~$ ss -tan\r\n" + clean.replace("\n", "\r\n").replace(
        "ESTAB", "\x1b[1mESTAB\x1b[m"
    )
    mangled = (
        mangled[: len(mangled) // 2]
        + "ESTAB 0 0 10.20.0.5:4ESTAB      0\r\n"
        + mangled[len(mangled) // 2 :]
        + "ESTAB 0"
    )
    reading = read_sockets(mangled)
    assert 38 <= sum(bucket.connections for bucket in reading.buckets) <= 40
    assert reading.other_lines >= 2


def test_idle_and_ages() -> None:
    row = "ESTAB 0 0 10.20.0.5:{} 10.30.0.10:443\n\t cubic wscale:7,7 rto:204 cwnd:10 lastsnd:{age} lastrcv:{age} x:1\n"
    ages = [100] * 5 + [70_000] * 10 + [600_000] * 20
    text = HEAD + "".join(row.format(40_000 + at, age=age) for at, age in enumerate(ages))
    text += "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n\t cubic cwnd:10\n"
    (got,) = read_sockets(text).buckets
    assert (got.connections, got.idle, got.active, got.ended_by_half) == (35, 30, 5, 20)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "hello world", HEAD, "a b c d e f g", "\x00\x1b[", "udp 0 0 1.2.3.4:5 *:*"]
)
@pytest.mark.parametrize("reader", [read_sockets, read_proc])
def test_nothing_to_read(reader: object, text: str) -> None:
    with pytest.raises(ValueError, match=re.compile("^no line of this text is a ")):
        reader(text)  # type: ignore[operator]
