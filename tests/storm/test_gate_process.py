"""``tidegate gate run`` as a process: signals, reload, drain, switches, readiness, and what it leaves behind."""

import asyncio
import http.client
import json
import os
import signal
import socket
import stat
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from attacks import settled
from commands import Run
from fakes import web_server
from gates import RunningGate, gate_process, http_config
from tidegate.config.load import load_config
from tidegate.gate.state import Keeper

pytestmark = pytest.mark.storm


@pytest.fixture
def server() -> Iterator[str]:
    with web_server({"/": "hello", "/healthz": "fine"}) as address:
        yield address


@pytest.fixture
def gate(tmp_path: Path, server: str) -> Iterator[RunningGate]:
    with gate_process(http_config(tmp_path, server), tmp_path) as running:
        yield running


def get(gate: RunningGate, path: str = "/") -> tuple[int, str]:
    with urllib.request.urlopen(f"http://{gate.address}{path}", timeout=10) as answer:
        return answer.status, answer.read().decode()


def test_calls_pass_and_are_counted(gate: RunningGate) -> None:
    assert [get(gate) for _ in range(3)] == [(200, "hello")] * 3
    # A client has its answer before the gate has ended the call.
    service = asyncio.run(settled(gate))
    assert service["counters"]["arrived"] == service["counters"]["admitted"] == 3


def test_health_and_metrics(gate: RunningGate) -> None:
    assert gate.admin.get("/livez")[0] == 200
    assert gate.admin.get("/readyz")[0] == 200
    status, text = gate.admin.get("/metrics")
    assert status == 200
    assert "tidegate_" in text


def test_the_admin_socket_is_for_its_owner_only(gate: RunningGate) -> None:
    for path in (gate.admin.path, gate.admin.path.with_name("admin.sock.reload")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_real_gate_speaks_the_status_that_people_read(run: Run, gate: RunningGate) -> None:
    get(gate)
    ran = run("gate", "status", "--admin", gate.admin.path)
    assert ran.code == 0
    assert "arrived 1, admitted 1, turned away 0, client gone 0" in ran.out
    assert "open_conns  open_requests  connections_dropped" in ran.out


def test_explain(run: Run, gate: RunningGate) -> None:
    get(gate)
    calls = run("gate", "explain", "--admin", gate.admin.path, "--output", "json").json()["calls"]
    assert [call["decision"] for call in calls] == ["admitted"]
    assert calls[0]["client"].startswith("127.0.0.1")
    assert "admitted" in run("gate", "explain", "--admin", gate.admin.path).out
    assert "nothing to explain" in run("gate", "explain", "--client", "10.9.8.7", "--admin", gate.admin.path).out


def test_bypass_is_loud(run: Run, gate: RunningGate) -> None:
    assert run("gate", "bypass", "on", "--admin", gate.admin.path).code == 0
    assert get(gate) == (200, "hello")
    ran = run("gate", "status", "--admin", gate.admin.path)
    assert (ran.code, "BYPASS" in ran.out) == (1, True)
    run("gate", "bypass", "off", "--admin", gate.admin.path)
    assert run("gate", "status", "--admin", gate.admin.path).code == 0


def test_an_unknown_service_is_a_usage_error(run: Run, gate: RunningGate) -> None:
    ran = run("gate", "maintenance", "on", "--service", "nosuch", "--admin", gate.admin.path)
    assert ran.code == 2
    assert "nosuch" in ran.err


def test_maintenance_holds_what_would_go_to_the_server(run: Run, gate: RunningGate) -> None:
    run("gate", "maintenance", "on", "--admin", gate.admin.path)
    answers: list[tuple[int, str]] = []
    caller = threading.Thread(target=lambda: answers.append(get(gate)))
    caller.start()
    while not gate.admin.status()["services"][0]["held_total"]:
        pass
    run("gate", "maintenance", "off", "--admin", gate.admin.path)
    caller.join()
    assert answers == [(200, "hello")]
    counters = gate.admin.status()["services"][0]["counters"]
    assert (counters["held"], counters["admitted"]) == (1, 1)


def test_reload_takes_a_new_limit_and_keeps_the_listener(run: Run, gate: RunningGate) -> None:
    gate.file.write_text(gate.file.read_text().replace("static:4", "static:9"))
    ran = run("gate", "reload", "--admin", gate.admin.path, "--output", "json")
    assert ran.code == 0
    assert ran.json()["kind"] == "reloaded"
    assert gate.admin.status()["services"][0]["servers"][0]["limit"] == 9
    assert get(gate) == (200, "hello")


def test_what_was_learned_is_there_at_the_next_start(run: Run, tmp_path: Path, server: str) -> None:
    text = http_config(tmp_path, server).replace("seed = 1", 'seed = 1\nstate = "state/kept.json"')
    text = text.replace("static:4", "adaptive")
    with gate_process(text, tmp_path) as gate:
        get(gate)
        gate.process.send_signal(signal.SIGTERM)
        assert gate.process.wait() == 0
    file = tmp_path / "state" / "kept.json"
    kept = json.loads(file.read_text())
    assert kept["services"]["web"]["servers"] == {"a": server}
    learned = kept["services"]["web"]["learned"]
    assert learned["format"] == 1
    learned["servers"] = [{"name": "a", "limit": 40, "base_ns": 1_000_000}]
    Keeper(load_config(tmp_path / "gate.toml"), lambda: {"web": learned}, pytest.fail).save()
    with gate_process(text, tmp_path) as gate:
        said = gate.admin.status()["services"][0]["servers"][0]
        assert (said["limit"], said["why"]["cause"], said["why"]["best"]) == (10, "remembered", 40)
        assert [event["event"] for event in gate.events()] == ["running"]
        run("gate", "reload", "--admin", gate.admin.path)
        why = gate.admin.status()["services"][0]["servers"][0]["why"]
        assert (why["cause"], why["best"]) == ("remembered", 40)
    assert [server["limit"] for server in json.loads(file.read_text())["services"]["web"]["learned"]["servers"]] == [40]
    learned["servers"][0]["limit"] = 0
    Keeper(load_config(tmp_path / "gate.toml"), lambda: {"web": learned}, pytest.fail).save()
    with gate_process(text, tmp_path) as gate:
        assert "serves 0 calls at once" in gate.events()[0]["event"]
        assert gate.admin.status()["services"][0]["servers"][0]["why"]["cause"] == "start"


def test_a_file_with_a_mistake_changes_nothing(run: Run, gate: RunningGate) -> None:
    gate.file.write_text(gate.file.read_text().replace('"static:4"', "9"))
    ran = run("gate", "reload", "--admin", gate.admin.path)
    assert ran.code == 2
    assert f'{gate.file}:13: service.web.server.a.limit: "9" is not a limit' in ran.err
    assert gate.admin.status()["services"][0]["servers"][0]["limit"] == 4


def test_hup_reloads(gate: RunningGate) -> None:
    gate.file.write_text(gate.file.read_text().replace("static:4", "static:9"))
    gate.process.send_signal(signal.SIGHUP)
    while gate.admin.status()["services"][0]["servers"][0]["limit"] != 9:
        pass
    assert gate.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_ends_it_and_leaves_nothing(gate: RunningGate, number: signal.Signals) -> None:
    get(gate)
    gate.process.send_signal(number)
    assert gate.process.wait(20) == 0
    assert [event["event"] for event in gate.events() if event["event"] in {"running", "draining", "ended"}] == [
        "running",
        "draining",
        "ended",
    ]
    assert not gate.admin.path.exists()
    assert not gate.admin.path.with_name("admin.sock.reload").exists()


def test_term_lets_calls_in_flight_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as slow:
        address = f"127.0.0.1:{slow.getsockname()[1]}"
        with gate_process(http_config(tmp_path, address), tmp_path) as gate:
            client = http.client.HTTPConnection(gate.address, timeout=20)
            client.request("GET", "/")
            with closing(client), slow.accept()[0] as upstream:
                upstream.recv(4096)
                gate.process.send_signal(signal.SIGTERM)
                while not any(event["event"] == "draining" for event in gate.events()):
                    pass
                upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                answer = client.getresponse()
                assert (answer.status, answer.read()) == (200, b"done")
            assert gate.process.wait(20) == 0


def test_it_ends_when_its_supervisor_has_gone(gate: RunningGate) -> None:
    assert gate.process.stdin is not None
    gate.process.stdin.close()
    assert gate.process.wait(20) == 0


def test_systemd_is_told(tmp_path: Path, server: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with gate_process(http_config(tmp_path, server), tmp_path, env) as gate:
            assert systemd.recv(100) == b"READY=1\nMAINPID=%d" % gate.process.pid
            gate.process.send_signal(signal.SIGHUP)
            assert systemd.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert systemd.recv(100) == b"READY=1"
            gate.process.send_signal(signal.SIGTERM)
            assert systemd.recv(100) == b"STOPPING=1"


def test_observe_lets_everything_pass_and_tells(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as slow:
        address = f"127.0.0.1:{slow.getsockname()[1]}"
        config = http_config(tmp_path, address, limit=1, mode="observe")
        with gate_process(config, tmp_path) as gate:
            clients = [http.client.HTTPConnection(gate.address, timeout=20) for _ in range(3)]
            for client in clients:
                client.request("GET", "/")
            upstreams = [slow.accept()[0] for _ in clients]
            for upstream in upstreams:
                with upstream:
                    upstream.recv(4096)
                    upstream.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            for client in clients:
                with closing(client):
                    assert client.getresponse().status == 200
            counters = gate.admin.status()["services"][0]["counters"]
            assert (counters["admitted"], counters["would_hold"]) == (3, 2)


def test_logs_are_json_lines(gate: RunningGate) -> None:
    first = gate.events()[0]
    assert first["event"] == "running"
    assert first["level"] == "info"
    assert first["services"] == gate.services
    assert json.loads(gate.log.read_text().splitlines()[0])["file"] == os.fspath(gate.file)
