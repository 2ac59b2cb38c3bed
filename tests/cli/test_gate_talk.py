"""Commands that talk to a running gate, against a stand-in for its admin socket."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Run
from fakes import STATUS, FakeAdmin, fake_admin


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[FakeAdmin]:
    with fake_admin(tmp_path / "admin.sock") as fake:
        yield fake


def test_status_reads_like_a_load_balancers(run: Run, admin: FakeAdmin) -> None:
    ran = run("gate", "status", "--admin", admin.path)
    estimated = "(estimated: TLS passes through)"
    assert ran.code == 0
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "tidegate 0.1.0, up 2h03m, ready",
        "",
        "vasa  0.0.0.0:8443  vasa  passthrough  enforce",
        "server        phase  open_conns  open_requests  connections_dropped  in_flight  limit  orphans",
        "service vasa                310            232                    3",
        "  vp-a        up             22             22                    0         22     22        1",
        "vp-a: limit 22: more in flight got no more done (4.0 s ago); next try 23 in 12 s; keeps idle 4.2s, learned",
        f"held: 210 (continuation 10, new-session 200), longest 4.2s; all in within 1m15s {estimated}",
        "arrived 340, admitted 120, turned away 8 (too-late 7, superseded 1), client gone 2",
    ]


def test_status_says_what_sharing_connections_would_save(run: Run, admin: FakeAdmin) -> None:
    text = "4000 clients hold 4000 connections; terminating TLS here would carry them on about 40"
    closed = {"idle": 3, "idle-pressed": 0, "half-closed": 1}
    admin.status["services"][0] |= {"connections_closed": closed, "hint": {"text": text}}
    told = [line.rstrip() for line in run("gate", "status", "--admin", admin.path).out.splitlines()]
    assert told[-2:] == ["connections closed: idle 3, half-closed 1", text]


def test_status_of_a_vcenter_says_who_holds_sessions_and_what_waits(run: Run, admin: FakeAdmin) -> None:
    broker = {"clients": 200, "principals": 2, "shared": 2, "clones": 4, "own": 0, "waiting": 3, "logins": 2}
    admin.status["services"][0] |= {
        "broker": broker | {"answered_logins": 198, "refused": {"late": 7}},
        "tasks": {
            "text": "8 of 8 task slots taken",
            "waits": ["5 task-limit: as many as may be"],
            "turned_away": {"task-limit": 0, "window": 4},
        },
        "not_authenticated": {"session": 1, "empty-inventory": 0, "stale-gateway": 2},
        "stale_gateway_alert": False,
    }
    ran = run("gate", "status", "--admin", admin.path)
    told = [line.rstrip() for line in ran.out.splitlines()]
    begin = told.index("sessions: 6 there (shared 2, clones 4) for 200 clients; logins 2 there, 198 answered here")
    assert told[begin + 1 : begin + 7] == [
        "  3 calls wait for a session: `gate sessions` says whose",
        "  refused: late 7",
        "work: 8 of 8 task slots taken",
        "  waits: 5 task-limit: as many as may be",
        "  turned away: window 4",
        "not authenticated: session 1, stale-gateway 2",
    ]
    assert (ran.code, "ALERT" in ran.out) == (0, False)


def test_the_alert_of_a_stale_gateway_is_bad_and_says_what_to_do(run: Run, admin: FakeAdmin) -> None:
    admin.status["services"][0]["stale_gateway_alert"] = True
    ran = run("gate", "status", "--admin", admin.path)
    assert ran.code == 1
    assert "ALERT: tokens of hosts were refused" in ran.out
    assert "token_life" in ran.out


def test_status_as_json_is_what_the_gate_said(run: Run, admin: FakeAdmin) -> None:
    assert run("gate", "status", "--admin", admin.path, "--output", "json").json() == STATUS


def test_the_environment_names_the_socket(run: Run, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_ADMIN", str(admin.path))
    assert run("gate", "status").code == 0


@pytest.mark.parametrize(("where", "word"), [("bypass", "BYPASS"), ("maintenance", "MAINTENANCE")])
def test_switches_are_shown_loudly(run: Run, admin: FakeAdmin, where: str, word: str) -> None:
    admin.status["services"][0]["switches"][where] = True
    ran = run("gate", "status", "--admin", admin.path)
    assert word in ran.out
    assert ran.code == (1 if where == "bypass" else 0)


def test_a_recovery_is_told_in_one_line(run: Run, admin: FakeAdmin) -> None:
    recovery = {"batch": 3, "size": 16, "begun": 16, "complete": 12, "since_s": 20.0}
    admin.status["services"][0]["servers"][0]["recovery"] = recovery
    told = "coming back: vp-a batch 3; connected 88, held 210, remaining 212"
    assert told in run("gate", "status", "--admin", admin.path).out.splitlines()


def test_a_server_that_is_down_is_bad(run: Run, admin: FakeAdmin) -> None:
    admin.status["services"][0]["servers"][0]["phase"] = "down"
    assert run("gate", "status", "--admin", admin.path).code == 1


def test_nobody_there(run: Run, tmp_path: Path) -> None:
    ran = run("gate", "status", "--admin", tmp_path / "none.sock")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith(f"error: no gate answers at {tmp_path}/none.sock: No such file or directory\n  hint: ")


def test_somebody_else_there(run: Run, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "other.sock"))
        server.listen()

        def talk() -> None:
            with server.accept()[0] as client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi!")

        thread = threading.Thread(target=talk)
        thread.start()
        ran = run("gate", "status", "--admin", tmp_path / "other.sock")
        thread.join()
    assert ran.code == 4
    assert "what answers there is not a gate" in ran.err


@pytest.mark.parametrize("switch", ["maintenance", "bypass"])
@pytest.mark.parametrize("state", ["on", "off"])
@pytest.mark.parametrize("service", [None, "vasa"])
def test_switches(run: Run, admin: FakeAdmin, switch: str, state: str, service: str | None) -> None:
    only = ("--service", service) if service else ()
    ran = run("gate", switch, state, *only, "--admin", admin.path)
    assert ran.code == 0
    assert admin.asked == [("POST", f"/{switch}", {"service": service, "on": state == "on"})]
    assert ran.out == f"{switch} is {state} for {service or 'every service'}\n"
    assert ("nothing protects the servers" in ran.err) == (switch == "bypass" and state == "on")


def test_an_unknown_service(run: Run, admin: FakeAdmin) -> None:
    ran = run("gate", "drain", "--service", "nosuch", "--admin", admin.path)
    assert ran.code == 2
    assert ran.err == 'error: there is no service "nosuch"\n  hint: there is vasa\n'


def test_drain(run: Run, admin: FakeAdmin) -> None:
    ran = run("gate", "drain", "--admin", admin.path, "--output", "json")
    assert (ran.code, ran.json()) == (0, {"format": 1})
    assert admin.asked == [("POST", "/drain", {"service": None})]


CALL = {
    "at_s": 1795228737.9, "service": "vasa", "client": "10.20.0.17", "operation": "setContext", "class": "new-session",
    "role": "open", "decision": "turned-away", "reason": "too-late", "waited_s": 0.0, "ahead": 200, "predicted_s": 40.1,
    "server": None, "end": "gate/queue", "status": 500, "text": "200 calls were ahead of it",
}  # fmt: skip


def test_explain(run: Run, admin: FakeAdmin) -> None:
    admin.calls = [CALL]
    ran = run("gate", "explain", "--client", "10.20.0.17", "--limit", "5", "--admin", admin.path)
    assert ran.code == 0
    assert admin.asked[0][1] == "/explain?client=10.20.0.17&limit=5"
    at = time.strftime("%H:%M:%S", time.localtime(1795228737))
    said = "turned-away (too-late) 200 calls were ahead of it"
    assert ran.out.splitlines()[1].split() == [at, *said.split()]


def test_explain_as_lines(run: Run, admin: FakeAdmin) -> None:
    admin.calls = [CALL, CALL]
    ran = run("gate", "explain", "--output", "jsonl", "--admin", admin.path)
    assert [json.loads(line) for line in ran.out.splitlines()] == [CALL, CALL]


def test_nothing_to_explain(run: Run, admin: FakeAdmin) -> None:
    assert "nothing to explain" in run("gate", "explain", "--admin", admin.path).out


def reload_with(path: Path, answer: dict[str, object]) -> threading.Thread:
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{path}.reload")
    server.listen()

    def talk() -> None:
        with server, server.accept()[0] as client:
            client.sendall(json.dumps(answer).encode())

    thread = threading.Thread(target=talk)
    thread.start()
    return thread


def test_reload(run: Run, tmp_path: Path) -> None:
    kept = {"name": "vasa", "change": "kept", "held_before": 9, "held_after": 6, "admitted": 2, "turned_away": 1}
    thread = reload_with(
        tmp_path / "a.sock", {"format": 1, "kind": "reloaded", "report": {"format": 1, "services": [kept]}}
    )
    ran = run("gate", "reload", "--admin", tmp_path / "a.sock")
    thread.join()
    assert ran.code == 0
    assert ran.out == "reloaded\n  vasa: kept; 9 calls were held, 6 still are, 2 were admitted, 1 turned away\n"


def test_a_reload_that_is_refused(run: Run, tmp_path: Path) -> None:
    problem = {"file": "/etc/gate.toml", "line": 3, "key": "service.web", "message": "is wrong", "hint": "mend it"}
    answer = {"format": 1, "kind": "refused", "message": "x", "hint": "", "problems": [problem]}
    thread = reload_with(tmp_path / "a.sock", answer)
    ran = run("gate", "reload", "--admin", tmp_path / "a.sock")
    thread.join()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("/etc/gate.toml:3: service.web: is wrong\n  hint: mend it\n")


def test_a_reload_of_nobody(run: Run, tmp_path: Path) -> None:
    assert run("gate", "reload", "--admin", tmp_path / "a.sock").code == 4
