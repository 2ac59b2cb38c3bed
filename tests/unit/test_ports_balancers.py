"""Balancers: HAProxy (a real one, too), Envoy, Avi and F5, in the forms in which their output gets pasted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tidegate.watch.ports.advice import what_if
from tidegate.watch.ports.avi import read_avi
from tidegate.watch.ports.balancer import Held, Servers
from tidegate.watch.ports.envoy import read_envoy_clusters, read_envoy_stats
from tidegate.watch.ports.f5 import read_f5_connections, read_f5_ltm
from tidegate.watch.ports.haproxy import read_haproxy
from tidegate.watch.ports.model import PortReading

OPEN = 7


def held(reading: PortReading) -> dict[str, int]:
    return {bucket.scope: bucket.connections for bucket in reading.buckets}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ask(stats: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(stats))
        line.sendall(command.encode() + b"\n")
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
    return answer.decode()


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[tuple[Path, int, socket.socket]]:
    """Give the stats socket and the port of a running HAProxy in TCP mode, and the server behind it."""
    port, stats, pid = free_port(), tmp_path / "stats", tmp_path / "pid"
    with socket.create_server(("127.0.0.1", 0), backlog=2 * OPEN) as server:
        configuration = tmp_path / "haproxy.cfg"
        configuration.write_text(
            f"global\n  stats socket {stats} level admin\n"
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
            f"listen vasa\n  bind 127.0.0.1:{port}\n  server vp1 127.0.0.1:{server.getsockname()[1]}\n"
        )
        # with -D it returns when it listens
        subprocess.run(["haproxy", "-D", "-f", configuration, "-p", pid], check=True, capture_output=True)
        try:
            yield stats, port, server
        finally:
            os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.peer("haproxy")
def test_real_haproxy(haproxy: tuple[Path, int, socket.socket]) -> None:
    stats, port, server = haproxy
    with ExitStack() as stack:
        for _ in range(OPEN):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stack.enter_context(server.accept()[0])
        reading = read_haproxy(ask(stats, "show stat") + ask(stats, "show info"))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    assert held(reading) == {f"haproxy → {address}": OPEN}
    assert (reading.read, reading.buckets[0].shareable) == (OPEN, False)
    gauges = {gauge.name: gauge for gauge in reading.gauges}
    assert (gauges["vasa"].open_connections, gauges["vasa/vp1"].open_connections) == (OPEN, OPEN)
    assert gauges["haproxy"].limit is not None


def test_haproxy_adds_up_what_shares_an_address() -> None:
    head = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,type,"
    head += "mode,addr,srv_icur,last_chk\n"
    row = "{},s1,0,0,{},9,,9,0,0,,0,,0,0,0,0,UP,2,http,10.0.0.9:80,{},{}\n"
    text = (
        head + row.format("a", 100, 20, "") + row.format("b", 5, 0, '"Source port range exhausted, ""x"""') + "a,s1,cut"
    )
    reading = read_haproxy(text)
    (got,) = reading.buckets
    assert (got.connections, got.active, got.idle, got.exhausted) == (125, 105, 20, True)
    assert reading.other_lines == 1


def test_haproxy_without_addresses_and_with_a_unix_socket() -> None:
    head = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,type,"
    head += "mode,addr\n"
    row = "a,{},0,0,{},9,,9,0,0,,0,,0,0,0,0,UP,2,tcp,{}\n"
    reading = read_haproxy(head + row.format("s1", 4, "") + row.format("s2", 5, "unix"))
    assert held(reading) == {"haproxy → a/s1": 4}
    assert (reading.read, sum(reading.left_out.values())) == (9, 5)


def test_envoy_clusters_filtered_and_with_odd_names() -> None:
    text = (
        "$ curl -s localhost:15000/clusters | grep _active\n"
        "outbound|443||*.example.org::142.250.1.2:443::cx_active::20000\n"
        "outbound|443||*.example.org::142.250.1.2:443::rq_active::12\n"
        "cloud:mp_63::[2001:db8::7]:80::cx_active::2\n"
        "local::/run/app.sock::cx_active::3\n"
        "other::svc.internal:8080::cx_active::1\n"
        "other::svc.internal:8080::cx_active\n"
    )
    reading = read_envoy_clusters(text)
    assert held(reading) == {
        "envoy → 142.250.1.2:443": 20_000,
        "envoy → [2001:db8::7]:80": 2,
        "envoy → svc.internal:8080": 1,
    }
    assert (reading.read, reading.buckets[0].active, reading.buckets[0].idle) == (20_006, 12, 19_988)


def test_envoy_stats_of_many_servers_only_bound_a_bucket() -> None:
    text = "cluster.a.b.membership_total: 3\ncluster.a.b.upstream_cx_active: 90000\nserver.live: 1\nnothing here\n"
    reading = read_envoy_stats(text)
    (got,) = reading.buckets
    assert (got.at_most, got.level, got.exhausted) == (True, "warning", False)
    assert reading.other_lines == 1


def test_avi_as_its_documentation_filters() -> None:
    text = (
        "watch show pool Test-pool server detail | grep -e 'ip\\|open_conns'\n"
        "| ip_addr | 10.1.1.17 |\n| open_conns | 50 |\n| ip_addr | 10.1.1.16 |\n| open_conns | 49 |\n"
    )
    assert held(read_avi(text)) == {"service engine → 10.1.1.17": 50, "service engine → 10.1.1.16": 49}


def test_avi_service_without_rules_and_without_a_command() -> None:
    block = "|   state | OPER_UP |\n| open_conns | {} |\n| open_requests | 340 |\n|   connections_dropped | 7 |\n"
    reading = read_avi(block.format(65_112) + block.format(12))
    assert [(gauge.name, gauge.open_connections, gauge.dropped) for gauge in reading.gauges] == [
        ("virtual service 1", 65_112, 7),
        ("virtual service 2", 12, 7),
    ]
    answer = what_if(reading)[0]
    assert (answer.change, answer.now, answer.then) == ("multiplexing", 65_112, 414)


def test_avi_servers_in_one_grid_and_processes_of_one_engine() -> None:
    row = "| ip_addr | |\n|   addr | 10.1.1.17 |\n|   type | V4 |\n| port | 443 |\n| se_uuid | se-1 |\n"
    row += "|   open_conns | {} |\n"
    grid = "+--+--+\n| Field | Value |\n+--+--+\n"
    one = "| ip_addr | 10.1.1.18 |\n| se_uuid | se-1 |\n|   open_conns | 5 |\n"
    rule = "+--+--+\n"
    text = grid + row.format(30) + rule + grid + row.format(12) + rule + grid + one + one + rule
    reading = read_avi(text + "| open_conns | 9")
    assert held(reading) == {"se-1 → 10.1.1.17:443": 42, "se-1 → 10.1.1.18": 10}
    assert {bucket.at_most for bucket in reading.buckets} == {False, True}


SAMPLE = (
    "Dec  5 22:33:30 ltm21.example.com notice tmm[10991]: 01010201:2: Re-enabling general logging; held 26 messages.\n"
    "Dec  5 22:33:30 ltm21.example.com crit tmm[10991]: 01010201:2: Inet port exhaustion on 10.0.2.103 "
    "to 10.0.2.104:443 (proto 6)\n"
)


def test_f5_log() -> None:
    reading = read_f5_ltm(SAMPLE + SAMPLE.replace("proto 6", "proto 17").replace("held 26", "held 1"))
    (got,) = reading.buckets
    assert (got.scope, got.messages, got.exhausted, got.share) == ("10.0.2.103 → 10.0.2.104:443", 1, True, 1.0)
    assert reading.read == 1 + 26 + 1 + 1
    assert what_if(reading)[1].addresses == 3


def test_f5_connections_have_two_legs() -> None:
    text = (
        "[admin@f5:Active:In Sync] ~ # tmsh show /sys connection type mirror\nSys::Connections\n"
        "10.156.11.15:38996   10.156.8.10:3306  10.156.8.15:47670  10.156.11.63:3306  tcp  20   (tmm: 0)  none\n"
        "10.156.10.172:49812  10.156.8.10:3306  10.156.8.15:49812  10.156.11.63:3306  tcp  257  (tmm: 1)  both-sides\n"
        "10.156.10.172:49813  10.156.8.10:3306  any6.any  any6.any  tcp  1  (tmm: 1)  none\n"
        "2001:db8::5%1.40000  2001:db8::1.443  2001:db8::2.40000  2001:db8::9.443  tcp  3  (tmm: 1)  none\n"
        "10.156.10.172:5353  10.156.8.10:53  10.156.8.15:5353  10.156.11.63:53  udp  3  (tmm: 1)  none\n"
        "Total records returned: 5\n"
    )
    reading = read_f5_connections(text)
    assert held(reading) == {
        "10.156.8.15 → 10.156.11.63:3306": 2,
        "10.156.11.15 → 10.156.8.10:3306": 1,
        "10.156.10.172 → 10.156.8.10:3306": 2,
        "2001:db8::5 → [2001:db8::1]:443": 1,
        "2001:db8::2 → [2001:db8::9]:443": 1,
    }
    assert (reading.read, sum(reading.left_out.values())) == (10, 3)
    snat = next(bucket for bucket in reading.buckets if bucket.source == "10.156.8.15")
    assert (snat.idle, snat.ended_by_half) == (1, 1)


def test_servers_add_up() -> None:
    servers = Servers("balancer", capacity=100)
    servers.add("10.0.0.1", 80, Held(60, idle=50, active=10))
    servers.add("10.0.0.1", 80, Held(10, shareable=False))
    (got,) = servers.reading("haproxy", []).buckets
    assert (got.connections, got.capacity, got.idle, got.active, got.shareable) == (70, 100, None, None, False)
