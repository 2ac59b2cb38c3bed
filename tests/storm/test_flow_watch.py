"""`tidegate flow watch`, on an interface of a network namespace that this file makes and runs itself in."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from peers import PLACES

pytestmark = [pytest.mark.storm, pytest.mark.peer("ip", "setpriv", "unshare")]

_WATCH = [sys.executable, "-m", "tidegate", "flow", "watch"]
_HANDSHAKES, _UNANSWERED = 20, 6


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Return what the world saw."""
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    path = f"{os.environ.get('PATH', '')}:{PLACES}"
    scripts = str(Path(__file__).parents[2] / "scripts")
    command = [*alone, sys.executable, __file__]
    env = {**os.environ, "PATH": path, "PYTHONPATH": scripts}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=env, timeout=100)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def test_every_second_is_a_line(told: dict[str, Any]) -> None:
    *lines, last = told["storm"]["lines"]
    assert lines
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    for line in (*lines, last):
        assert (line["format"], line["interface"], line["dropped"]) == (1, "lo", 0)
    assert max(line["half_open"] for line in lines) >= _UNANSWERED - 2, "a backlog of one takes two at the most"


def test_ctrl_c_ends_it_with_the_whole_report(told: dict[str, Any]) -> None:
    last = told["storm"]["lines"][-1]
    assert (last["ended"], told["storm"]["err"]) == ("interrupted", "")
    report = last["report"]
    assert last["flows"] == report["flows"] == _HANDSHAKES + _UNANSWERED
    opened, answered, established = (sum(row[at] for row in report["handshakes"]) for at in (1, 2, 3))
    assert opened == _HANDSHAKES + _UNANSWERED
    assert _HANDSHAKES <= established <= answered < opened
    # Each packet once, though it passes loopback as sent and as received.
    assert report["conn_states"]["SF"] == _HANDSHAKES
    assert last["packets"] == report["packets"] < 12 * (_HANDSHAKES + _UNANSWERED)


def test_it_ends_when_its_time_is_over_or_the_interface_goes_down(told: dict[str, Any]) -> None:
    assert (told["short"]["code"], told["short"]["lines"][-1]["ended"]) == (0, "time-over")
    assert (told["down"]["code"], told["down"]["lines"][-1]["ended"]) == (0, "interface-down")
    assert told["down"]["err"] == "lo went down: nothing more can be seen of it\n"


def test_people_get_a_line_per_second_and_a_summary(told: dict[str, Any]) -> None:
    out = told["words"]["out"]
    assert told["words"]["code"] == 0
    assert "half-open" in out.splitlines()[0]
    assert "lo, watched for" in out
    assert "no finding so far" in out


@pytest.mark.parametrize(
    ("case", "sentence", "hint"),
    [
        ("missing", "there is no interface nowhere0", "interfaces here: lo"),
        ("longer", "there is no interface a name that no interface has", "interfaces here: lo"),
        ("still", "lo is down", "ip link set lo up"),
        ("stranger", "this process may not see the packets of lo", "CAP_NET_RAW"),
        ("forever", '"ages" is not a duration', "--for 60s"),
    ],
)
def test_what_cannot_be_watched_is_one_sentence(told: dict[str, Any], case: str, sentence: str, hint: str) -> None:
    ran = told[case]
    assert (ran["code"], ran["lines"]) == (2, [])
    first, second = ran["err"].splitlines()
    assert first.startswith(f"error: {sentence}")
    assert second.startswith("  hint: ")
    assert hint in second


def _ran(*arguments: str, before: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [*before, *_WATCH, *arguments]
    return _kept(subprocess.run(command, check=False, capture_output=True, text=True, timeout=30))


def _kept(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return {"code": ran.returncode, "out": ran.stdout, "err": ran.stderr, "lines": lines}


@contextmanager
def _watching() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Watch until the block ends; what was told is there afterwards."""
    command = [*_WATCH, "lo", "--output", "json"]
    kept: dict[str, Any] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline() if process.stdout else ""
        yield process, kept
        out, err = process.communicate(timeout=30)
    kept.update(_kept(subprocess.CompletedProcess(command, process.returncode, first + out, err)))


def _talk() -> None:
    """Handshakes that come to their ends, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(_HANDSHAKES):
                peer, _ = server.accept()
                with peer:
                    peer.sendall(peer.recv(10))

        thread = threading.Thread(target=serve)
        thread.start()
        for _ in range(_HANDSHAKES):
            with socket.create_connection(server.getsockname()) as client:
                client.sendall(b"hello")
                assert client.recv(10) == b"hello"
                client.shutdown(socket.SHUT_WR)
                assert client.recv(10) == b""
        thread.join()


def _storm() -> dict[str, Any]:
    with _watching() as (process, kept):
        _talk()
        # Nobody accepts: the first ones fill the backlog, the SYNs of the others are dropped.
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            clients = [socket.socket() for _ in range(_UNANSWERED)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(full.getsockname())
            time.sleep(2.5)
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)
            for client in clients:
                client.close()
    return kept


def _world() -> dict[str, Any]:
    still = _ran("lo")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    told = {
        "still": still,
        "missing": _ran("nowhere0"),
        "longer": _ran("a name that no interface has"),
        "forever": _ran("lo", "--for", "ages"),
        "stranger": _ran("lo", before=("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")),
        "short": _ran("lo", "--for", "200ms", "--output", "json"),
        "words": _ran("lo", "--for", "1100ms"),
        "storm": _storm(),
    }
    with _watching() as (_, told["down"]):
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    return told


if __name__ == "__main__":
    print(json.dumps(_world()))
