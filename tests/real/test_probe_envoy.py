"""A real Envoy is asked by its admin interface."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from peers import PLACES
from probing import held_server, one_try, rules_for, tries
from tidegate.watch.live.model import Batch
from tidegate.watch.live.probe_envoy import EnvoyProbe

pytestmark = pytest.mark.peer("envoy")

FILE = """\
admin: {{address: {{pipe: {{path: {folder}/admin.sock, mode: 384}}}}}}
static_resources:
  listeners:
    - name: front
      address: {{pipe: {{path: {folder}/front.sock}}}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.tcp_proxy
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
                stat_prefix: front
                cluster: back
  clusters:
    - name: back
      type: STATIC
      connect_timeout: 5s
      load_assignment:
        cluster_name: back
        endpoints:
          - lb_endpoints:
              - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}
"""


@contextmanager
def envoy(folder: Path, server: str) -> Iterator[EnvoyProbe]:
    """Run Envoy before ``server`` until the block ends; yield its probe when it answers."""
    host, port = server.rsplit(":", 1)
    file = folder / "envoy.yaml"
    file.write_text(FILE.format(folder=folder, host=host, port=port))
    program = shutil.which("envoy", path=f"{os.environ['PATH']}:{PLACES}")
    assert program is not None
    command = [program, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    with subprocess.Popen(command) as process:
        try:
            probe = EnvoyProbe(f"unix:{folder}/admin.sock")
            answered(probe, process)
            yield probe
        finally:
            process.terminate()


def answered(probe: EnvoyProbe, process: subprocess.Popen[bytes]) -> None:
    """Ask until it answers; the schedule's waits after failures are short here."""
    while one_try(probe, "ports.connections", 1).gaps:
        assert process.poll() is None


async def until(probe: EnvoyProbe, count: int) -> Batch:
    """Ask until a server has ``count`` connections: Envoy makes them a moment after the clients'."""
    while True:
        (batch,) = await tries(probe, rules_for("ports.connections", count), 1)
        assert not batch.gaps
        if batch.hits:
            return batch


def test_connections_to_a_server_are_counted(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(held_server())
        probe = stack.enter_context(envoy(tmp_path, server))
        for _ in range(3):
            client = stack.enter_context(socket(AF_UNIX))
            client.connect(str(tmp_path / "front.sock"))
            client.sendall(b"hello")
        (hit,) = asyncio.run(until(probe, 3)).hits
        assert hit.values["scope"] == f"lab: envoy → {server}"
        (held,) = one_try(probe, "server.open_connections", 3).hits
        assert held.values["scope"] == f"lab: back/{server}"
        assert not one_try(probe, "ports.share", 0.9).hits
    assert "does not answer" in one_try(probe, "ports.share", 0.9).gaps[0].detail
