"""A real gate is asked by its admin socket: leased ports, services, servers."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from gates import gate_process, http_config
from probing import one_try
from tidegate.watch.live.probe_gate import GateProbe


class _Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_ports_services_and_servers_of_a_gate_are_measured(tmp_path: Path) -> None:
    with web() as server, gate_process(http_config(tmp_path, server), tmp_path) as gate:
        probe = GateProbe(f"unix:{tmp_path}/admin.sock")
        none = one_try(probe, "ports.connections", 1)
        assert (none.hits, none.gaps) == ((), ())
        client = HTTPConnection(gate.address, timeout=30)
        client.request("GET", "/")
        assert client.getresponse().read() == b""
        (port,) = one_try(probe, "ports.connections", 1).hits
        assert port.values["scope"] == f"lab: 127.0.0.1 → {server}"
        (service,) = one_try(probe, "service.open_connections", 1).hits
        assert (service.values["scope"], service.values["value"]) == ("lab: web", "1")
        (one,) = one_try(probe, "server.open_connections", 1).hits
        assert one.values["scope"] == "lab: web/a"
        assert not one_try(probe, "ports.share", 0.9).hits
        client.close()
    gone = one_try(probe, "ports.share", 0.9)
    assert "does not answer" in gone.gaps[0].detail


def test_what_is_no_gate_is_not_believed() -> None:
    with web() as server:
        batch = one_try(GateProbe(server), "ports.share", 0.9)
    assert "no JSON object" in batch.gaps[0].detail
