"""A page in a real browser: how it looks after its scripts, what the browser complains of, whom it calls."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tidegate.page import write_page

__all__ = ["Listener", "calling", "complaints", "listening", "shown"]


def shown(page: str, folder: Path) -> str:
    """Return the page's elements as Chromium has them after its scripts have run."""
    return _opened(page, folder).stdout.decode()


def complaints(page: str, folder: Path) -> list[str]:
    """Return what the page says on the browser's console: errors, and what its policy refused."""
    return re.findall(r"INFO:CONSOLE.*", _opened(page, folder).stderr.decode())


def _opened(page: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    file = folder / "page.html"
    write_page(file, page)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    logging = ["--enable-logging=stderr", "--log-level=0"]
    return subprocess.run(
        [*command, *logging, "--dump-dom", file.as_uri()], capture_output=True, check=True, timeout=50
    )


class Listener(ThreadingHTTPServer):
    """A server that something in a log would like the reader's browser to call, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Listener]:
    """Serve for as long as the test lasts."""
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def calling(server: Listener) -> list[str]:
    """Return texts that would have a browser call the listener, were they not escaped."""
    address = f"http://127.0.0.1:{server.server_port}/x"
    return [
        f'<img src="{address}">',
        f'</style></script><link rel=stylesheet href="{address}"><script src="{address}"></script>',
        f'"><iframe src="{address}"></iframe><meta http-equiv=refresh content="0;url={address}">',
    ]
