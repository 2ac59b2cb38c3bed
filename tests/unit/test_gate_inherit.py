"""Sockets that another process has opened, and sockets that a successor has taken the place of."""

import os
import socket
from pathlib import Path

import pytest

from tidegate.errors import GateError
from tidegate.gate.inherit import systemd_sockets
from tidegate.unix import listening


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"},
        {"LISTEN_PID": str(os.getpid())},
    ],
)
def test_what_is_not_meant_for_this_process_is_left_alone(environment: dict[str, str]) -> None:
    assert systemd_sockets({}, environment).sockets == []
    assert environment == {}, "a child must not take it for its own"


def test_a_descriptor_that_is_no_socket_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        monkeypatch.setattr("tidegate.gate.inherit._FIRST", file.fileno())
        with pytest.raises(GateError, match="is no TCP socket"):
            systemd_sockets({}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_socket_finds_its_service_by_name_or_address(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily
) -> None:
    with socket.socket(family) as given:
        given.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        given.listen()
        host, port = given.getsockname()[:2]
        address = f"{host}:{port}" if family == socket.AF_INET else f"[{host}]:{port}"
        for names, services, service in (
            ("web", {"web": address}, "web"),
            ("unknown", {"web": address}, ""),
            ("", {}, ""),
        ):
            number = os.dup(given.fileno())
            monkeypatch.setattr("tidegate.gate.inherit._FIRST", number)
            environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": names}
            [(name, listen, passed)] = systemd_sockets(services, environment).sockets
            with passed:
                assert (name, listen) == (service, address)
        number = os.dup(given.fileno())
        monkeypatch.setattr("tidegate.gate.inherit._FIRST", number)
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
        with pytest.raises(GateError, match="listens at") as raised:
            systemd_sockets({"web": "0.0.0.0:1"}, environment)
        assert "ListenStream=0.0.0.0:1" in raised.value.hint


def test_who_leaves_does_not_take_the_successors_socket_away(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock.reload"
    first, place = listening(path)
    second, successor = listening(path)
    with first, second:
        assert path.stat().st_mode & 0o777 == 0o600
        place.leave()
        assert path.exists()
        successor.leave()
        assert not path.exists()
