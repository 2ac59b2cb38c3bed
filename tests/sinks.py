"""A receiver for tests: an HTTP server on loopback that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

__all__ = ["Sink", "sink"]


@dataclass
class Sink:
    """What came, and what is answered: the statuses of ``script`` one after the other, then 200."""

    url: str = ""
    script: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    said: bytes = b""
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The idempotency keys of what was taken and what was not."""
        return [headers["idempotency-key"] for headers, _ in self.got]


@contextmanager
def sink(port: int = 0, certificate: trustme.LeafCert | None = None) -> Iterator[Sink]:
    """Run a sink; with a certificate it speaks TLS."""
    told = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.got.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
            self.send_response(told.script.pop(0) if told.script else 200)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told.said)))
            self.end_headers()
            self.wfile.write(told.said)

        def handle(self) -> None:
            with suppress(ConnectionError, ssl.SSLError):
                super().handle()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        told.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/hook/s3cret-path"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
