"""Servers that are missing, refuse, reset, answer garbage or hang: every call is answered, the slot comes back."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fakes import web_server
from gates import RunningGate, gate_process, http_config

pytestmark = pytest.mark.storm

TIMES = (
    'admission = {client_timeout = "1s", margin = "200ms", upstream_timeout = "1s", quarantine = "100ms", '
    'retry_server = "100ms"}'
)


@contextmanager
def server_that(does: Callable[[socket.socket], None]) -> Iterator[str]:
    """Accept connections and do the same bad thing with each."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client = listener.accept()[0]
                except OSError:
                    return
                with client:
                    does(client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def ask(gate: RunningGate) -> tuple[int, str | None]:
    """Return status and Retry-After of one call."""
    with closing(http.client.HTTPConnection(gate.address, timeout=20)) as client:
        client.request("GET", "/")
        answer = client.getresponse()
        answer.read()
        return answer.status, answer.headers["Retry-After"]


def reset(client: socket.socket) -> None:
    client.recv(4096)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def garbage(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(b"\x00\xff nothing like HTTP\r\n\r\n")


def half(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(b"HTTP/1.1 200 O")


def close(client: socket.socket) -> None:
    client.recv(4096)


def hang(client: socket.socket) -> None:
    while client.recv(4096):
        pass


@pytest.mark.parametrize("does", [reset, garbage, half, close, hang])
def test_every_call_gets_an_answer(tmp_path: Path, does: Callable[[socket.socket], None]) -> None:
    with server_that(does) as address, gate_process(http_config(tmp_path, address, more=TIMES), tmp_path) as gate:
        status, _ = ask(gate)
        assert status in {502, 503, 504}
        settled(gate)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with gate_process(http_config(tmp_path, address, more=TIMES), tmp_path) as gate:
        status, retry_after = ask(gate)
        assert status == 503
        assert retry_after is not None
        service = gate.admin.status()["services"][0]
        assert service["counters"]["turned_away"]["server-down"] == 1
        assert service["servers"][0]["phase"] == "down"


def test_it_is_found_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with gate_process(http_config(tmp_path, address, more=TIMES), tmp_path) as gate:
        assert ask(gate)[0] == 503
        with web_server({"/": "hello"}, port=int(address.rpartition(":")[2])):
            while ask(gate)[0] != 200:
                pass
            assert gate.admin.status()["services"][0]["servers"][0]["phase"] == "up"


def settled(gate: RunningGate) -> None:
    """Wait until no slot is taken; the test's own time limit ends this when it is never so."""
    while gate.admin.status()["services"][0]["servers"][0]["in_flight"]:
        pass
    counters = gate.admin.status()["services"][0]["counters"]
    away = sum(counters["turned_away"].values())
    assert counters["arrived"] == counters["admitted"] + away + counters["client_gone"]
