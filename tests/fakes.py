"""Stand-ins that tests talk to: a gate's admin socket, a TLS server, certificates."""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import trustme

__all__ = ["PORTS", "STATUS", "Authority", "FakeAdmin", "fake_admin", "web_server"]

STATUS: dict[str, Any] = {
    "format": 1,
    "version": "0.1.0",
    "uptime_s": 7384.2,
    "ready": True,
    "services": [
        {
            "name": "vasa",
            "listen": "0.0.0.0:8443",
            "mode": "enforce",
            "protocol": "vasa",
            "tls": "passthrough",
            "switches": {"maintenance": False, "bypass": False, "draining": False},
            "counters": {
                "arrived": 340,
                "admitted": 120,
                "client_gone": 2,
                "held": 300,
                "would_hold": 0,
                "would_turn_away": 0,
                "turned_away": {"queue-full": 0, "too-late": 7, "superseded": 1},
            },
            "held": {"probe": 0, "continuation": 10, "renewal": 0, "new-session": 200, "steady": 0, "bulk": 0},
            "held_total": 210,
            "oldest_wait_s": 4.25,
            "rate": 18.8,
            "all_in_s": 75.4,
            "remaining": 212,
            "sessions": {"unsettled": 12, "settled": 88},
            "open_conns": 310,
            "open_requests": 232,
            "connections_dropped": 3,
            "estimated": True,
            "servers": [
                {
                    "name": "vp-a",
                    "address": "192.0.2.10:8443",
                    "phase": "up",
                    "limit": 22,
                    "why": {
                        "mode": "steady",
                        "cause": "no-gain",
                        "since_s": 4.0,
                        "best": 22,
                        "base_s": 0.5,
                        "unit_s": 0.9,
                        "rate": 18.8,
                        "next": {"limit": 23, "in_s": 12.0},
                        "text": "limit 22: more in flight got no more done (4.0 s ago); next try 23 in 12 s",
                    },
                    "recovery": None,
                    "idle_s": 4.2,
                    "idle_source": "learned",
                    "in_flight": 22,
                    "orphans": 1,
                    "open_conns": 22,
                    "open_requests": 22,
                    "connections_dropped": 0,
                    "in_flight_max": 23,
                }
            ],
        }
    ],
}
"""What a gate in the middle of a storm answers to ``/status``."""

PORTS: dict[str, Any] = {
    "format": 1,
    "ranges": ["20000-32767"],
    "headroom": 16,
    "sources": ["10.0.0.5"],
    "generation": 1,
    "listed_by": "inet_diag",
    "warnings": [],
    "buckets": [
        {
            "source": "10.0.0.5",
            "destination": "192.0.2.10:8443",
            "capacity": 12768,
            "headroom": 16,
            "traffic": 7800,
            "probes": 2,
            "connecting": 3,
            "outside": 0,
            "free": 4930,
            "free_headroom": 14,
            "quarantined": 30,
            "foreign": 6,
            "high_water": 7900,
            "used_milli": 614,
            "watermark": "warn",
            "gone_per_second": 130.5,
            "back_per_second": 10.5,
            "exhausted_in_s": 41.0,
            "leased_total": {"traffic": 90000, "probe": 700},
            "ended_total": {"clean": 80000, "unknown": 2898},
        }
    ],
    "evicted_total": 0,
    "no_port_total": {"traffic": 0, "probe": 0},
}

SESSIONS: dict[str, Any] = {
    "format": 1,
    "services": [
        {
            "service": "vc",
            "principals": [
                {
                    "principal": "backup",
                    "user": "CORP\\svc-backup",
                    "downstream": 12,
                    "upstream": [
                        {"kind": "shared", "state": "live", "age_s": 610.0, "idle_s": 0.5, "lent_to": None, "held": 2},
                        {
                            "kind": "clone",
                            "state": "live",
                            "age_s": 42.0,
                            "idle_s": 3.0,
                            "lent_to": "10.0.0.7",
                            "held": 3,
                        },
                    ],
                    "waiting": 1,
                    "last_verified_s": 31.0,
                },
                {
                    "principal": None,
                    "user": None,
                    "downstream": 1,
                    "upstream": [],
                    "waiting": 0,
                    "last_verified_s": None,
                },
            ],
            "more": 0,
        }
    ],
}


@dataclass
class FakeAdmin:
    """Answers like a gate's admin socket and remembers what it was asked."""

    path: Path
    status: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(STATUS)))
    ports: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(PORTS)))
    sessions: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(SESSIONS)))
    calls: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any] | str]:
        """Return status and body of the answer."""
        self.asked.append((method, path, body))
        if isinstance(body, dict) and body.get("service") == "nosuch":
            return 404, 'there is no service "nosuch"; there is vasa'
        if path.startswith("/explain"):
            return 200, {"format": 1, "calls": self.calls, "limits": self.limits}
        pages = {"/status": self.status, "/ports": self.ports, "/sessions": self.sessions}
        return 200, pages.get(path, {"format": 1})


@contextlib.contextmanager
def fake_admin(path: Path) -> Iterator[FakeAdmin]:
    """Serve a :class:`FakeAdmin` at ``path``."""
    fake = FakeAdmin(path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(None)

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: Any) -> None:
            status, answer = fake.answer(self.command, self.path, body)
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

        def address_string(self) -> str:
            return "unix"

    with socketserver.UnixStreamServer(str(path), Handler) as server:
        yield from _served(server, fake)


class Authority:
    """A certificate authority for one test, and the files of what it signed."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.ca = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca))

    def issue(self, name: str, *, not_after: Any = None) -> tuple[Path, Path]:
        """Return the files of a certificate for ``name`` and of its key."""
        issued = self._ca.issue_cert(name, not_after=not_after)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key

    def server_context(self, name: str, *, ask_clients: bool) -> ssl.SSLContext:
        """Return a server's context with a certificate for ``name``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name))
        if ask_clients:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.ca)
        return context


@contextlib.contextmanager
def web_server(
    pages: dict[str, str], tls: ssl.SSLContext | None = None, *, port: int = 0, bearers: list[str] | None = None
) -> Iterator[str]:
    """Serve ``pages`` on ``port`` (0: a free one); give its address. What callers authorize by is added to a list."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            if bearers is not None:
                bearers.append(self.headers.get("Authorization", ""))
            data = (page or "no such page").encode()
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    class Quiet(HTTPServer):
        def handle_error(self, *_: object) -> None:
            return  # clients that look at a certificate and leave are what is tested

    with Quiet(("127.0.0.1", port), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        yield from _served(server, f"127.0.0.1:{server.server_address[1]}")


def _served(server: socketserver.BaseServer, value: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield value
    finally:
        server.shutdown()
        thread.join()
