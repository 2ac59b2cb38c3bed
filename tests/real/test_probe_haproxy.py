"""A real HAProxy is asked by its stats socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from peers import PLACES
from probing import held_server, one_try, rules_for, tries
from tidegate.watch.live.probe_haproxy import HaproxyProbe

pytestmark = pytest.mark.peer("haproxy")

FILE = """\
global
  stats socket {socket} mode 600 level {level}
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen front
  bind unix@{front}
  server one {server}
"""


@contextmanager
def haproxy(folder: Path, server: str, level: str = "user") -> Iterator[tuple[str, Path]]:
    """Run HAProxy before ``server``; yield its stats socket's address and where clients connect to."""
    stats, front, file = folder / "stats.sock", folder / "front.sock", folder / "haproxy.cfg"
    file.write_text(FILE.format(socket=stats, front=front, server=server, level=level))
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:{PLACES}"}
    # It goes into the background when its sockets are bound.
    command = ["haproxy", "-D", "-p", str(folder / "pid"), "-f", str(file)]
    subprocess.run(command, env=environment, check=True, timeout=30)
    try:
        yield f"unix:{stats}", front
    finally:
        os.kill(int((folder / "pid").read_text()), 15)


@pytest.mark.parametrize(("level", "named"), [("user", "front/one"), ("operator", "{server}")])
def test_connections_to_a_server_are_counted(tmp_path: Path, level: str, named: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(held_server())
        address, front = stack.enter_context(haproxy(tmp_path, server, level))
        probe = HaproxyProbe(address)
        before = one_try(probe, "ports.connections", 3)
        assert (before.hits, before.gaps) == ((), ())
        for _ in range(3):
            client = stack.enter_context(socket(AF_UNIX))
            client.connect(str(front))
            client.sendall(b"hello")
        held = asyncio.run(_until(probe, 3))
        assert held == [f"lab: haproxy → {named.format(server=server)}"]
        (process,) = one_try(probe, "process.open_connections", 1).hits
        assert process.values["scope"] == "lab: haproxy"


async def _until(probe: HaproxyProbe, count: int) -> list[str]:
    """Ask until the server has ``count`` connections: HAProxy makes them a moment after the clients'."""
    while True:
        (batch,) = await tries(probe, rules_for("ports.connections", count), 1)
        assert not batch.gaps
        if batch.hits:
            return [hit.values["scope"] for hit in batch.hits]


def test_a_haproxy_that_is_gone_is_a_gap(tmp_path: Path) -> None:
    with held_server() as server, haproxy(tmp_path, server) as (address, _):
        pass
    batch = one_try(HaproxyProbe(address), "ports.connections", 1)
    assert not batch.hits
    assert batch.gaps[0].kind == "probe_failed"
    assert f"HAProxy {address} does not answer" in batch.gaps[0].detail


def test_what_is_no_haproxy_is_a_gap_too() -> None:
    with held_server() as server:
        batch = one_try(HaproxyProbe(server), "ports.connections", 1, timeout_s=0.2)
        assert "no answer within 0.2 s" in batch.gaps[0].detail
