"""REST calls under load: Retry-After, few repeats, bounded answers; secrets; certificates. No time passes."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import Authority
from tidegate.clients.http import Http, HttpOptions, Request, retry_after
from tidegate.clients.secret import read_secret
from tidegate.clients.tls import Trust
from tidegate.errors import FleetError, HostUnreachable

T = TypeVar("T")
Plan = list[tuple[int, dict[str, str], bytes]]


class Server:
    """Answers with what was planned, one after the other, and remembers what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.plan: Plan = []
        self.asked: list[tuple[str, str, bytes]] = []
        self.waits: list[float] = []
        self.authority = Authority(folder)
        self.port = 0

    def http(self, **more: Any) -> Http:
        async def wait(seconds: float) -> None:
            self.waits.append(seconds)

        how: dict[str, Any] = {"trust": Trust(ca=self.authority.ca), **more}
        options = HttpOptions("127.0.0.1", "the server", self.port, **how)
        return Http(options, sleep=wait, clock=lambda: 1_754_650_800.0)


@contextmanager
def running(server: Server) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.asked.append((self.command, self.path, body))
            status, headers, data = server.plan.pop(0) if server.plan else (200, {}, b"{}")
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (the names that the base class calls)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        context = server.authority.server_context("127.0.0.1", ask_clients=False)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server.port = listener.server_address[1]
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            listener.shutdown()
            thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with running(made):
        yield made


def ends(http: Http, what: Callable[[Http], Any]) -> Any:
    async def through() -> Any:
        try:
            return await what(http)
        finally:
            await http.close()

    return asyncio.run(through())


def test_json_goes_there_and_back(server: Server) -> None:
    server.plan = [(200, {}, b'{"a": [1]}')]
    request = Request("PUT", "/x", body={"b": 2}, query={"c": "d"}, headers={"X-E": "f"})
    assert ends(server.http(), lambda http: http.wanted(request)) == {"a": [1]}
    ((method, path, body),) = server.asked
    assert (method, path, json.loads(body)) == ("PUT", "/x?c=d", {"b": 2})


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_heeded(server: Server, status: int) -> None:
    server.plan = [(status, {"Retry-After": "7"}, b""), (status, {}, b""), (200, {}, b"1")]
    assert ends(server.http(), lambda http: http.wanted(Request("GET", "/"))) == 1
    # What the server asks for; and where it asks for nothing, more each time.
    assert server.waits == [7.0, 2.0]


def test_retries_are_few(server: Server) -> None:
    server.plan = [(429, {"Retry-After": "1"}, b"")] * 9
    with pytest.raises(HostUnreachable, match=r"the server: GET / failed \(it answers 429\)"):
        ends(server.http(tries=3), lambda http: http.call(Request("GET", "/")))
    assert len(server.asked) == 3


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server: Server) -> None:
    server.plan = [(503, {"Retry-After": "3600"}, b"")]
    with pytest.raises(HostUnreachable):
        ends(server.http(), lambda http: http.call(Request("GET", "/")))
    assert server.waits == []


def test_what_changes_something_is_repeated_after_429_only(server: Server) -> None:
    server.plan = [(429, {}, b""), (200, {}, b"1")]
    assert ends(server.http(), lambda http: http.wanted(Request("POST", "/"))) == 1
    server.plan = [(503, {}, b"")]
    assert ends(server.http(), lambda http: http.call(Request("POST", "/"))).status == 503
    server.plan = [(503, {}, b""), (200, {}, b"2")]
    assert ends(server.http(), lambda http: http.wanted(Request("POST", "/", repeat=True))) == 2
    server.plan = [(0, {}, b"")]
    with pytest.raises(HostUnreachable):
        ends(server.http(), lambda http: http.call(Request("DELETE", "/")))
    assert len(server.asked) == 6


def test_a_broken_connection_is_tried_again_by_a_get(server: Server) -> None:
    server.plan = [(0, {}, b""), (200, {}, b"1")]
    assert ends(server.http(), lambda http: http.wanted(Request("GET", "/"))) == 1


def test_an_answer_that_is_too_large(server: Server) -> None:
    server.plan = [(200, {}, b"x" * 2048)]
    with pytest.raises(FleetError, match="larger than") as caught:
        ends(server.http(body_max=1024), lambda http: http.call(Request("GET", "/")))
    assert caught.value.slug == "answer-too-large"


def test_refusals_and_nonsense_are_sentences(server: Server) -> None:
    server.plan = [(412, {}, b'{"message":\n "stale  revision"}'), (200, {}, b"<html>")]
    with pytest.raises(FleetError, match=r'was answered with 412: \{"message": "stale revision"\}') as caught:
        ends(server.http(), lambda http: http.wanted(Request("PUT", "/x")))
    assert caught.value.slug == "http-412"
    with pytest.raises(FleetError, match="is not JSON"):
        ends(server.http(), lambda http: http.wanted(Request("GET", "/")))


def test_redirects_are_not_followed(server: Server) -> None:
    server.plan = [(302, {"Location": "https://elsewhere.example/"}, b"")]
    assert ends(server.http(), lambda http: http.call(Request("GET", "/"))).status == 302


def test_passwords_are_not_shown() -> None:
    assert "sesame" not in repr(Request("POST", "/", basic=("user", "sesame")))


def test_a_wrong_certificate(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").ca
    with pytest.raises(HostUnreachable, match="certificate") as caught:
        ends(server.http(trust=Trust(ca=other)), lambda http: http.call(Request("GET", "/")))
    assert "thumbprint" in caught.value.hint
    assert server.waits == []
    assert server.asked == []


def test_a_ca_file_that_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("no certificate")
    for file in (tmp_path / "none", tmp_path / "nothing"):
        with pytest.raises(FleetError, match="as CA file"):
            ends(server.http(trust=Trust(ca=file)), lambda http: http.call(Request("GET", "/")))


def test_a_thumbprint_that_is_none() -> None:
    with pytest.raises(FleetError, match="is not a SHA-256 thumbprint"):
        Trust(thumbprint="12:34").context("127.0.0.1", 1, 1.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Fri, 08 Aug 2025 11:00:30 GMT", 30.0),
        ("Fri, 08 Aug 2025 10:00:00 GMT", 0.0),
    ],
)
def test_what_retry_after_may_say(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 1_754_650_800.0) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_breaks_anything(text: str) -> None:
    found = retry_after(text, 0.0)
    assert found is None or found >= 0


def test_secrets_come_from_the_environment_or_a_closed_file(tmp_path: Path) -> None:
    file = tmp_path / "word"
    file.write_text("from file\n")
    file.chmod(0o600)
    assert read_secret("WORD", file, "it", environ={"WORD": "from environment"}) == "from environment"
    assert read_secret("WORD", file, "it", environ={}) == "from file"
    with pytest.raises(FleetError, match=r"no password for it: \$WORD is not set"):
        read_secret("WORD", None, "it", environ={})
    file.chmod(0o640)
    with pytest.raises(FleetError, match="others can read") as caught:
        read_secret("WORD", file, "it", environ={})
    assert caught.value.hint == f"chmod 600 {file}"
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(FleetError, match="is empty"):
        read_secret("WORD", file, "it", environ={})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(FleetError, match="it is not text"):
        read_secret("WORD", file, "it", environ={})
    with pytest.raises(FleetError, match="No such file"):
        read_secret("WORD", tmp_path / "nothing", "it", environ={})
