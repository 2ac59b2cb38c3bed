"""One gate takes over from another, under load: no connection is refused, no call fails."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from fakes import web_server
from gates import RunningGate, gate_process, http_config
from tidegate.gate.admin import reload_path
from tidegate.gate.handover import handover_path

pytestmark = pytest.mark.storm

_CLIENTS = 6


@pytest.fixture
def server() -> Iterator[str]:
    with web_server({"/": "hello"}) as address:
        yield address


class Load:
    """Clients that call one after the other until they are told to stop; half of them keep their connection."""

    def __init__(self, address: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._host, _, port = address.rpartition(":")
        self._port, self._stop, self._lock = int(port), threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._call, args=(n % 2 == 0,)) for n in range(_CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def until(self, answered: int) -> None:
        """Wait until so many calls were answered."""
        wait = threading.Event()
        while self.answered < answered and not self.failed:
            wait.wait(0.005)

    def _call(self, keep: bool) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/", headers={} if keep else {"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
                ok = answer.status == 200
                why = str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                ok, why = False, repr(error)
            with self._lock:
                self.answered += ok
                if not ok:
                    self.failed.append(why)
                    break
        connection.close()


def _pid(gate: RunningGate) -> int:
    """Return which process answers at the admin socket."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(str(gate.admin.path))
        return int.from_bytes(talk.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)


def test_five_restarts_under_load_lose_nothing(run: Run, tmp_path: Path, server: str) -> None:
    with gate_process(http_config(tmp_path, server, limit=2), tmp_path) as gate, Load(gate.address) as load:
        pids = {_pid(gate)}
        for number in range(1, 6):
            load.until(number * 200)
            ran = run("gate", "restart", "--admin", gate.admin.path, "--output", "json")
            assert ran.code == 0, ran.err
            assert ran.json()["kind"] == "restarted"
            pids.add(_pid(gate))
        load.until(1200)
        assert load.failed == []
        assert len(pids) == 6, "six processes have served"
        status = gate.admin.status()["services"][0]
        assert status["counters"]["turned_away_total"] == 0
        assert status["servers"][0]["in_flight_max"] <= 2
        assert gate.process.wait(30) == 0, "the first one has ended"


_MONITOR = """
[service.web.monitor]
kind = "tcp"
interval = "1h"
fast = "50ms"
fall = 2
"""


def _restart(run: Run, gate: RunningGate) -> None:
    ran = run("gate", "restart", "--admin", gate.admin.path)
    assert ran.code == 0, ran.err


def _monitor(gate: RunningGate, seen: int) -> dict[str, Any]:
    """Return what is known of the server once ``seen`` verdicts are."""
    server: dict[str, Any] = {}
    for _ in range(1000):
        server = gate.admin.status()["services"][0]["servers"][0]
        if len(server["monitor"]["verdicts"]) >= seen:
            return dict(server["monitor"]) | {"admitted_as": server["phase"]}
        threading.Event().wait(0.01)
    pytest.fail(f"never {seen} verdicts: {server}")


def test_a_server_that_is_down_stays_down(run: Run, tmp_path: Path) -> None:
    with socket.socket() as parked:
        parked.bind(("127.0.0.1", 0))  # nobody listens there
        text = http_config(tmp_path, f"127.0.0.1:{parked.getsockname()[1]}") + _MONITOR
        with gate_process(text, tmp_path) as gate:
            before = _monitor(gate, 3)  # two to go down, one more, and the next in an hour
            assert before["phase"] == "down"
            _restart(run, gate)
            after = _monitor(gate, 4)  # by itself a process does not get so far
            assert (after["phase"], after["admitted_as"]) == ("down", "down")
            assert after["since_s"] >= before["since_s"]
            assert after["verdicts"][0]["text"] == before["verdicts"][0]["text"]
            assert abs(after["verdicts"][0]["at_s"] - before["verdicts"][0]["at_s"]) < 10


def test_ports_of_calls_that_go_on_are_left_alone(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with gate_process(http_config(tmp_path, address), tmp_path) as gate:
            host, _, number = gate.address.partition(":")
            with closing(http.client.HTTPConnection(host, int(number), timeout=20)) as client:
                client.request("GET", "/slow")
                serving, (_, port) = listening.accept()
                with serving:
                    assert serving.recv(4096).startswith(b"GET /slow")
                    _restart(run, gate)
                    ports = gate.admin.ports()
                    assert ports["generation"] == 2
                    (bucket,) = ports["buckets"]
                    assert (bucket["destination"], bucket["foreign"]) == (address, 1), "the first process still has it"
                    with closing(http.client.HTTPConnection(host, int(number), timeout=20)) as other:
                        other.request("GET", "/other")
                        second, (_, another) = listening.accept()
                        with second:
                            assert another != port
                            assert second.recv(4096).startswith(b"GET /other")
                            second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                            assert other.getresponse().read() == b"ok"
                    serving.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
                    assert client.getresponse().read() == b"slow"


def test_a_successor_that_fails_changes_nothing(run: Run, tmp_path: Path, server: str) -> None:
    with gate_process(http_config(tmp_path, server), tmp_path) as gate:
        before = _pid(gate)
        good = gate.file.read_text()
        gate.file.write_text(good.replace("enforce", "enforced"))
        ran = run("gate", "restart", "--admin", gate.admin.path)
        assert ran.code != 0
        assert "not restarted" in ran.err
        assert _pid(gate) == before
        gate.file.write_text(good)
        with closing(http.client.HTTPConnection(gate.address)) as client:
            client.request("GET", "/")
            assert client.getresponse().status == 200
        assert run("gate", "restart", "--admin", gate.admin.path).code == 0
        assert _pid(gate) != before


def test_a_stranger_at_the_handover_socket_gets_a_sentence(tmp_path: Path, server: str) -> None:
    with gate_process(http_config(tmp_path, server), tmp_path) as gate:
        path = handover_path(gate.admin.path)
        assert path.stat().st_mode & 0o777 == 0o600
        for said in (b"{}\n", b"nonsense\n", b'{"format": 2, "kind": "take-over"}\n', b"[" * 70_000):
            with socket.socket(socket.AF_UNIX) as talk:
                talk.connect(str(path))
                talk.sendall(said)
                talk.shutdown(socket.SHUT_WR)
                talk.settimeout(10)
                try:
                    answer = talk.recv(4096)
                except ConnectionResetError:  # it did not read to the end of that
                    continue
                assert not answer or json.loads(answer)["kind"] == "refused"
        assert gate.admin.get("/livez")[0] == 200


def test_a_peer_that_says_nothing_is_let_go(tmp_path: Path, server: str) -> None:
    with gate_process(http_config(tmp_path, server), tmp_path) as gate, socket.socket(socket.AF_UNIX) as talk:
        talk.connect(str(handover_path(gate.admin.path)))
        talk.settimeout(30)
        assert talk.recv(1) == b""


def test_without_descriptors_a_restart_fails_and_the_gate_goes_on(run: Run, tmp_path: Path, server: str) -> None:
    with gate_process(http_config(tmp_path, server), tmp_path) as gate:
        pid = gate.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        with socket.socket(socket.AF_UNIX) as talk, socket.socket(socket.AF_UNIX) as reload:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))  # those that are open stay so
            for one, path in ((talk, handover_path(gate.admin.path)), (reload, reload_path(gate.admin.path))):
                one.connect(str(path))
            gate.process.send_signal(signal.SIGUSR2)
            wait = threading.Event()
            while not any(event["event"].startswith("the takeover was given up") for event in gate.events()):
                assert gate.process.poll() is None
                wait.wait(0.01)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert run("gate", "restart", "--admin", gate.admin.path).code == 0


def test_there_must_be_a_gate_to_take_over_from(run: Run, tmp_path: Path, server: str) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(http_config(tmp_path, server))
    ran = run("gate", "run", file, "--replace")
    assert ran.code == 4
    assert "no gate answers" in ran.err


def test_a_successor_that_dies_before_it_serves_leaves_the_old_one(tmp_path: Path, server: str) -> None:
    with gate_process(http_config(tmp_path, server), tmp_path) as gate:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(str(handover_path(gate.admin.path)))
            talk.sendall(b'{"format": 1, "kind": "take-over"}\n')
            _, descriptors, _, _ = socket.recv_fds(talk, 16, 8)
            assert len(descriptors) == 1
            for number in descriptors:
                os.close(number)
        with closing(http.client.HTTPConnection(gate.address)) as client:
            client.request("GET", "/")
            assert client.getresponse().status == 200


def test_systemd_passes_the_socket_on(tmp_path: Path, server: str) -> None:
    """As systemd does it: descriptor 3, LISTEN_PID of the process that begins."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        file = tmp_path / "gate.toml"
        file.write_text(http_config(tmp_path, server).replace("127.0.0.1:0", address))
        code = (
            "import os,sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_PID=str(os.getpid()), "
            "LISTEN_FDS='1', LISTEN_FDNAMES='web'); os.execv(sys.executable, [sys.executable, '-m', 'tidegate', "
            "'gate', 'run', sys.argv[2], '--output', 'jsonl', '--until-eof'])"
        )
        command = [sys.executable, "-c", code, str(listening.fileno()), str(file)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[listening.fileno()]
        )
        with process:
            assert process.stdin
            assert process.stdout
            assert json.loads(process.stdout.readline())["services"] == {"web": address}
            with closing(http.client.HTTPConnection(address)) as client:
                client.request("GET", "/")
                assert client.getresponse().status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
