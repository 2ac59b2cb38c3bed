"""What the gate says in vCenter's place (the files are what its Rust tests compare with), read by pyVmomi over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tidegate.clients.vmomi import SoapStubAdapter, vim, vmodl

ANSWERS = Path(__file__).resolve().parent.parent / "data" / "vcenter"
FAULTS = {
    "NotAuthenticated": vim.fault.NotAuthenticated,
    "InvalidLogin": vim.fault.InvalidLogin,
    "ManagedObjectNotFound": vmodl.fault.ManagedObjectNotFound,
    "RequestCanceled": vmodl.fault.RequestCanceled,
    "NoPermission": vim.fault.NoPermission,
    "InvalidState": vim.fault.InvalidState,
    "InvalidRequest": vmodl.fault.InvalidRequest,
    "NotFound": vim.fault.NotFound,
    "HostCommunication": vmodl.fault.HostCommunication,
}


@contextmanager
def answering(name: str) -> Iterator[Any]:
    """Yield a session manager whose every call is answered with the file of this name."""
    body = (ANSWERS / f"{name}.xml").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(500 if name in FAULTS else 200)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        # A port below zero is pyVmomi's way to say plain HTTP.
        stub = SoapStubAdapter("127.0.0.1", -server.server_port, version="vim.version.version12")
        try:
            yield vim.SessionManager("SessionManager", stub)
        finally:
            stub.DropConnections()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("name", sorted(path.stem for path in ANSWERS.glob("*.xml") if path.stem in FAULTS))
def test_faults_are_raised_as_what_they_are(name: str) -> None:
    with answering(name) as manager, pytest.raises(FAULTS[name]) as raised:
        manager.Logout()
    assert type(raised.value) is FAULTS[name]
    assert raised.value.msg
    if name == "NotAuthenticated":
        assert (raised.value.object._moId, raised.value.privilegeId) == ("group-d1", "System.View")
    if name == "ManagedObjectNotFound":
        assert raised.value.obj._moId.startswith("session[")
    if name == "InvalidRequest":
        assert raised.value.msg == "words of <its> own & more"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("Login", lambda manager: manager.Login("backup", "secret", None)),
        ("CloneSession", lambda manager: manager.CloneSession("cst-1")),
    ],
)
def test_sessions_are_read(name: str, call: Callable[[Any], Any]) -> None:
    with answering(name) as manager:
        session = call(manager)
    assert session.key == "52bb85b0-adbe-7f20-156d-6130b6dc066e"
    assert session.userName == "VSPHERE.LOCAL\\backup & <co>"
    assert (session.loginTime.isoformat(), session.callCount) == ("2026-11-25T18:11:30+00:00", 7)
    assert (session.extensionSession, session.ipAddress, session.userAgent) == (False, "10.0.0.7", "VI Perl")


def test_what_returns_little_is_read() -> None:
    with answering("Logout") as manager:
        assert manager.Logout() is None
    with answering("SessionIsActive") as manager:
        assert manager.SessionIsActive("52bb", "backup") is True


def test_every_fault_has_a_file() -> None:
    assert {path.stem for path in ANSWERS.glob("*.xml")} >= set(FAULTS)
