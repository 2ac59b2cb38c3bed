"""Real clients through the gate: curl, openssl s_client and Python, in the clear and with TLS 1.2 and 1.3."""

import http.client
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fakes import Authority, web_server
from gates import RunningGate, gate_process, http_config

pytestmark = pytest.mark.storm

PAGE = "x" * 100_000


@pytest.fixture
def server() -> Iterator[str]:
    with web_server({"/": "hello", "/big": PAGE}) as address:
        yield address


@pytest.fixture
def gate(tmp_path: Path, server: str) -> Iterator[RunningGate]:
    with gate_process(http_config(tmp_path, server), tmp_path) as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secure_gate(tmp_path: Path, server: str, authority: Authority) -> Iterator[RunningGate]:
    """Give a gate that ends TLS as ``gate.test`` and asks for client certificates."""
    certificate, key = authority.issue("gate.test")
    tls = f'tls = {{kind = "terminate", certificate = "{certificate}", key = "{key}", client_ca = "{authority.ca}"}}'
    with gate_process(http_config(tmp_path, server, more=tls), tmp_path) as running:
        yield running


def curl(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = ["curl", "--silent", "--show-error", "--max-time", "20", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.peer("curl")
def test_curl(gate: RunningGate) -> None:
    ended = curl("--include", f"http://{gate.address}/")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("HTTP/1.1 200")
    assert ended.stdout.endswith("hello")


@pytest.mark.peer("curl")
def test_curl_keeps_its_connection(gate: RunningGate) -> None:
    url = f"http://{gate.address}/"
    ended = curl("--write-out", "%{num_connects}\n", "--output", "/dev/null", url, "--output", "/dev/null", url)
    assert ended.stdout.split() == ["1", "0"]


@pytest.mark.peer("curl")
def test_curl_sends_a_body_in_chunks(gate: RunningGate) -> None:
    ended = curl("--request", "GET", "--header", "Transfer-Encoding: chunked", "--data-binary", "@-", gate_url(gate))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "hello"


def gate_url(gate: RunningGate, path: str = "/", scheme: str = "http") -> str:
    return f"{scheme}://{gate.address}{path}"


@pytest.mark.peer("curl")
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_with_a_client_certificate(secure_gate: RunningGate, authority: Authority, version: str) -> None:
    certificate, key = authority.issue("host-017")
    port = secure_gate.address.rpartition(":")[2]
    ended = curl(
        "--cacert", authority.ca, "--cert", certificate, "--key", key, "--tlsv" + version, "--tls-max", version,
        "--resolve", f"gate.test:{port}:127.0.0.1", f"https://gate.test:{port}/big",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == PAGE
    calls = secure_gate.admin.explain()["calls"]
    assert calls[0]["decision"] == "admitted"
    assert "127.0.0.1" not in calls[0]["client"]


@pytest.mark.peer("curl")
def test_curl_without_a_client_certificate_is_refused(secure_gate: RunningGate, authority: Authority) -> None:
    port = secure_gate.address.rpartition(":")[2]
    ended = curl("--cacert", authority.ca, "--resolve", f"gate.test:{port}:127.0.0.1", f"https://gate.test:{port}/")
    assert ended.returncode != 0
    assert secure_gate.admin.status()["services"][0]["counters"]["admitted"] == 0


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client(secure_gate: RunningGate, authority: Authority, version: str) -> None:
    certificate, key = authority.issue("host-018")
    command = [
        "openssl", "s_client", "-connect", secure_gate.address, "-servername", "gate.test", version, "-quiet",
        "-CAfile", authority.ca, "-verify_return_error", "-verify_hostname", "gate.test",
        "-cert", certificate, "-key", key,
    ]  # fmt: skip
    request = b"GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"
    ended = subprocess.run(list(map(str, command)), input=request, capture_output=True, timeout=30, check=False)
    assert b"HTTP/1.1 200" in ended.stdout, ended.stderr
    assert ended.stdout.endswith(b"hello")


def test_python_keeps_its_connection(gate: RunningGate) -> None:
    with closing(http.client.HTTPConnection(gate.address, timeout=20)) as client:
        for _ in range(3):
            client.request("GET", "/")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"hello")
        local = client.sock.getsockname()
        client.request("GET", "/")
        client.getresponse().read()
        assert client.sock.getsockname() == local


def test_python_gets_the_servers_own_errors(gate: RunningGate) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(gate_url(gate, "/nothing"), timeout=20)  # noqa: S310 (the gate's own address)
    with closing(caught.value):
        assert (caught.value.code, caught.value.read()) == (404, b"no such page")


def test_python_over_tls(secure_gate: RunningGate, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.load_cert_chain(*authority.issue("host-019"))
    host, _, port = secure_gate.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="gate.test") as secured,
    ):
        secured.sendall(b"GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n")
        data = b""
        while piece := secured.recv(4096):
            data += piece
    assert data.endswith(b"hello")


def test_a_call_that_is_turned_away_says_when_to_come_back(tmp_path: Path) -> None:
    """With one place, no queue to speak of and a server that never answers, the third call cannot be served."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        more = "admission = {held_max = 1, held_per_client_max = 1, reserved_places = 0}"
        with gate_process(http_config(tmp_path, address, limit=1, more=more), tmp_path) as gate:
            clients = [http.client.HTTPConnection(gate.address, timeout=20) for _ in range(3)]
            for client in clients:
                client.request("GET", "/")
            answer = clients[2].getresponse()
            answer.read()
            for client in clients:
                client.close()
    assert answer.status in {429, 503}
    assert int(answer.headers["Retry-After"]) >= 1
