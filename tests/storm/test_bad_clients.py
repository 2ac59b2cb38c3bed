"""Clients that send garbage, half a head, too much, too little or nothing: closed and counted, others unaffected."""

import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from fakes import web_server
from gates import RunningGate, gate_process, http_config

pytestmark = pytest.mark.storm

IO = 'io = {head_timeout = "300ms", body_rate_timeout = "300ms", idle_timeout = "300ms", connections_max = 100}'


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[RunningGate]:
    with (
        web_server({"/": "hello"}) as address,
        gate_process(http_config(tmp_path, address, more=IO), tmp_path) as running,
    ):
        yield running
        assert balanced(running)


def balanced(gate: RunningGate) -> bool:
    """Whether every call that arrived has met exactly one fate."""
    counters = gate.admin.status()["services"][0]["counters"]
    away = sum(counters["turned_away"].values())
    return bool(counters["arrived"] == counters["admitted"] + away + counters["client_gone"])


def connect(gate: RunningGate) -> socket.socket:
    host, _, port = gate.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def send(gate: RunningGate, data: bytes) -> bytes:
    """Send ``data`` and return everything that comes until the gate closes."""
    with closing(connect(gate)) as client:
        heard = b""
        try:
            client.sendall(data)
            while piece := client.recv(65536):
                heard += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return heard


def still_serves(gate: RunningGate) -> bool:
    with urllib.request.urlopen(f"http://{gate.address}/", timeout=20) as answer:
        return bool(answer.read() == b"hello")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00garbage\r\n\r\n", b"400", id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 10_000_000 + b"\r\n\r\n", b"431", id="huge header"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"400", id="no host"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
            id="smuggle",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", b"400", id="two lengths"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", b"400", id="folded"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"400", id="space before colon"),
    ],
)
def test_what_may_not_be_forwarded_is_refused(gate: RunningGate, data: bytes, status: bytes) -> None:
    heard = send(gate, data)
    assert heard == b"" or heard.startswith(b"HTTP/1.1 " + status)
    assert gate.admin.status()["services"][0]["counters"]["admitted"] == 0
    assert still_serves(gate)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTT", id="half a head"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort", id="short body"),
    ],
)
def test_who_falls_silent_is_closed(gate: RunningGate, data: bytes) -> None:
    send(gate, data)
    assert still_serves(gate)


def test_silent_connections_do_not_keep_others_out(gate: RunningGate) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(closing(connect(gate))) for _ in range(60)]
        assert still_serves(gate)
        for client in silent:
            try:
                assert client.recv(1) == b""
            except ConnectionResetError:
                continue
    assert still_serves(gate)
    counted = re.search(
        r"^tidegate_client_silent_connections_total\{.*\} (\d+)$", gate.admin.get("/metrics")[1], re.MULTILINE
    )
    assert counted
    assert int(counted[1]) >= 60
