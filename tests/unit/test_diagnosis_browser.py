"""The page about a diagnosis in a real browser: its text is there, its curves are drawn, and a log can do nothing."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from diagnoses import finding, hostile, storm
from tidegate.page import write_page
from tidegate.watch.report import diagnosis_page

pytestmark = pytest.mark.peer("chromium")


def shown(page: str, folder: Path) -> str:
    """Return the page's elements as Chromium has them after its scripts have run."""
    file = folder / "page.html"
    write_page(file, page)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    ran = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, check=True, timeout=50)
    return ran.stdout.decode()


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


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


def test_the_text_is_there_and_the_curves_are_drawn(tmp_path: Path) -> None:
    dom = shown(diagnosis_page(storm()), tmp_path)
    assert "A VASA provider is flooded by hosts that reconnect" in dom
    assert "opened 1600 of 1900 sessions (84%)" in dom
    assert dom.count("<canvas") == 3
    assert dom.count('class="copy"') == 12


def test_nothing_of_a_hostile_log_runs(tmp_path: Path) -> None:
    dom = shown(diagnosis_page(hostile()), tmp_path)
    assert "data-owned" not in dom
    assert dom.count("<canvas") == 3
    assert "<img" not in dom


def calling(listening: Listener) -> list[str]:
    address = f"http://127.0.0.1:{listening.server_port}/x"
    return [
        f'<img src="{address}">',
        f'</style></script><link rel=stylesheet href="{address}"><script src="{address}"></script>',
        f'"><iframe src="{address}"></iframe><meta http-equiv=refresh content="0;url={address}">',
    ]


def test_nothing_is_fetched(tmp_path: Path, listener: Listener) -> None:
    wanted = calling(listener)
    report: dict[str, Any] = storm() | {
        "findings": [finding(title=text, explains=text, evidence=[]) for text in wanted]
    }
    shown(diagnosis_page(report), tmp_path)
    assert not listener.asked
    # the same, with all escaping undone: the page's own policy holds where escaping would not
    (tmp_path / "again").mkdir()
    bare = diagnosis_page(storm()).replace(
        "<h1>", "".join(wanted[:2]) + "<script>document.documentElement.dataset.owned=1</script><h1>"
    )
    assert "data-owned" not in shown(bare, tmp_path / "again")
    assert not listener.asked


def test_the_listener_would_have_heard(tmp_path: Path, listener: Listener) -> None:
    shown(f"<!doctype html>{calling(listener)[0]}", tmp_path)
    assert listener.asked == ["/x"]
