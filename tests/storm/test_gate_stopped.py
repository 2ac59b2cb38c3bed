"""A gate that was stopped for longer than its monitors wait blames no server when it goes on."""

import os
import signal
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gates import RunningGate, gate_process, http_config

pytestmark = pytest.mark.storm

_MONITOR = """
[service.web.monitor]
kind = "http"
path = "/"
interval = "100ms"
timeout = "400ms"
fast = "50ms"
"""
_STOPS, _STOPPED_S = 4, 1.0


class _Slow(BaseHTTPRequestHandler):
    """Answers after a quarter of the time that a probe waits, so that most of the time one is under way."""

    def do_GET(self) -> None:
        threading.Event().wait(0.1)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def _monitor(gate: RunningGate) -> dict[str, Any]:
    monitor: dict[str, Any] = gate.admin.status()["services"][0]["servers"][0]["monitor"]
    return monitor


def _verdicts_after(gate: RunningGate, at_s: float) -> None:
    """Wait until a verdict was reached that is younger than this."""
    while not any(verdict["at_s"] > at_s for verdict in _monitor(gate)["verdicts"]):
        threading.Event().wait(0.01)


def test_no_server_goes_down_while_the_gate_is_stopped(tmp_path: Path) -> None:
    with _server() as address, gate_process(http_config(tmp_path, address, more=_MONITOR), tmp_path) as gate:
        pid = gate.process.pid
        _verdicts_after(gate, 0)
        failed: list[str] = []
        for _ in range(_STOPS):
            last = max(verdict["at_s"] for verdict in _monitor(gate)["verdicts"])
            os.kill(pid, signal.SIGSTOP)
            threading.Event().wait(_STOPPED_S)
            os.kill(pid, signal.SIGCONT)
            _verdicts_after(gate, last + _STOPPED_S)
            monitor = _monitor(gate)
            assert monitor["phase"] == "up", monitor
            failed += [verdict["text"] for verdict in monitor["verdicts"] if verdict["verdict"].startswith("failed")]
        assert not failed
        with urllib.request.urlopen(f"http://{gate.address}/", timeout=20) as answer:
            assert answer.status == 200
        counters = gate.admin.status()["services"][0]["counters"]
        assert counters["arrived"] == counters["admitted"] == 1
