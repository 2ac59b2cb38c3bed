"""A front before vcsim that counts calls by name, and does to some of them what an overloaded vCenter does."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.clients.vmomi import vim, vmodl
from vcenters import Vcsim

__all__ = ["Front", "front", "name_filter"]

_NAME = re.compile(rb"<soapenv:Body><(\w+)")


class Front:
    """What it has seen, and what it will do next, by operation.

    ``busy`` is a 503, ``gone`` no answer, ``lost`` no answer to what was done; a body is answered as it is.
    """

    def __init__(self, options: VcenterOptions) -> None:
        self.options = options
        self.calls: Counter[str] = Counter()
        self.peak = 0
        self.next: dict[str, list[str]] = {}
        self.lock = threading.Lock()
        self.in_flight = 0

    def action(self, name: str) -> str:
        with self.lock:
            self.calls[name] += 1
            waiting = self.next.get(name)
            return waiting.pop(0) if waiting else ""


def name_filter(content: Any) -> Any:
    """Return the filter that tells the root folder's name."""
    collector = vmodl.query.PropertyCollector
    return collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=content.rootFolder)],
        propSet=[collector.PropertySpec(type=vim.Folder, pathSet=["name"])],
    )


@contextmanager
def front(running: Vcsim) -> Iterator[Front]:
    """Start one; its options are those of a client of it."""
    seen = Front(running.options())
    to_vcsim = ssl.create_default_context(cafile=str(running.authority.ca))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found = _NAME.search(body)
            action = seen.action(found[1].decode() if found else "?")
            with seen.lock:
                seen.in_flight += 1
                seen.peak = max(seen.peak, seen.in_flight)
            try:
                self.act(action, body)
            finally:
                with seen.lock:
                    seen.in_flight -= 1

        def do_GET(self) -> None:
            self.give(*self.ask(b"", "GET"))

        def act(self, action: str, body: bytes) -> None:
            if action == "busy":
                self.give(503, b"", {"Retry-After": "7"})
            elif action == "gone":
                self.close_connection = True
            elif action.startswith("<"):
                self.give(200 if "missingSet" in action else 500, action.encode(), {"Content-Type": "text/xml"})
            else:
                status, answer, headers = self.ask(body)
                if action == "lost":
                    self.close_connection = True
                else:
                    self.give(status, answer, headers)

        def ask(self, body: bytes, method: str = "POST") -> tuple[int, bytes, dict[str, str]]:
            connection = http.client.HTTPSConnection("127.0.0.1", running.port, context=to_vcsim, timeout=30)
            headers = {
                name: self.headers[name] for name in ("Cookie", "SOAPAction", "Content-Type") if self.headers[name]
            }
            try:
                connection.request(method, self.path, body, headers)
                answer = connection.getresponse()
                kept = {name: answer.headers[name] for name in ("Set-Cookie", "Content-Type") if answer.headers[name]}
                return answer.status, answer.read(), kept
            finally:
                connection.close()

        def give(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients may leave."""

        def finish_request(self, request: object, client_address: object) -> None:
            secured = context.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
            super().finish_request(secured, client_address)
            secured.close()

    certificate, key = running.authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Server(("127.0.0.1", 0), Handler) as server:
        seen.options = replace(seen.options, port=server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()
