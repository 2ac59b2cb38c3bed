"""The ASGI middleware, spoken to as a server would: requests, WebSockets, clients that leave, bodies read ahead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from loops import played
from tidegate import Admission, Limiter
from tidegate.gate.asgi import AdmissionMiddleware, Call

Message = Any
Application = Callable[[Any, Any, Any], Awaitable[None]]


class Client:
    """One client of an ASGI server: what it has sent, and what the application has answered."""

    def __init__(self, kind: str = "http", **scope: Any) -> None:
        self.scope: dict[str, Any] = {"type": kind, "client": ("192.0.2.1", 4711), "path": "/", **scope}
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self.answers: list[Message] = []
        self.task: asyncio.Task[None] | None = None

    def says(self, kind: str, **fields: Any) -> None:
        self.sent.put_nowait({"type": kind, **fields})

    async def send(self, message: Message) -> None:
        self.answers.append(message)

    async def start(self, app: Any) -> None:
        """Begin the call, and let tasks run until it waits for something."""
        self.task = asyncio.ensure_future(app(self.scope, self.sent.get, self.send))
        await asyncio.sleep(0.001)

    async def end(self) -> None:
        assert self.task is not None
        await self.task


def request(body: bytes = b"", **scope: Any) -> Client:
    client = Client(**scope)
    client.says("http.request", body=body, more_body=False)
    return client


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Answer after 4 s with what was received."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await asyncio.sleep(4)
    await send({"type": "http.response.start", "status": int(scope.get("status", 200)), "headers": []})
    await send({"type": "http.response.body", "body": body})


def gated(app: Application = slow, **admission: Any) -> tuple[AdmissionMiddleware, Limiter]:
    limiter = Limiter("static:1", admission=Admission(**admission))
    return AdmissionMiddleware(app, limiter=limiter), limiter


def test_requests_take_turns_and_their_bodies_arrive_whole() -> None:
    async def play() -> None:
        app, limiter = gated()
        clients = [request(f"body {number}".encode()) for number in range(3)]
        for client in clients:
            await client.start(app)
        assert limiter.status()["held_total"] == 2
        for number, client in enumerate(clients):
            await client.end()
            assert client.answers[0]["status"] == 200
            assert client.answers[1]["body"] == f"body {number}".encode()
        assert limiter.status()["in_flight_max"] == 1
        assert limiter.status()["in_flight"] == 0

    played(play())


def test_a_body_in_pieces_is_read_ahead_and_replayed_in_order() -> None:
    async def play() -> None:
        app, _ = gated()
        first, second = request(), Client()
        await first.start(app)
        second.says("http.request", body=b"a", more_body=True)
        await second.start(app)
        second.says("http.request", body=b"b", more_body=True)
        await first.end()
        second.says("http.request", body=b"c", more_body=False)
        await second.end()
        assert second.answers[1]["body"] == b"abc"

    played(play())


def test_what_is_read_ahead_is_bounded() -> None:
    async def play() -> None:
        app, _ = gated()
        first, second = request(), Client()
        await first.start(app)
        for _ in range(100):
            second.says("http.request", body=b"x" * 4096, more_body=True)
        second.says("http.request", body=b"", more_body=False)
        await second.start(app)
        assert second.sent.qsize() > 80  # 64 KiB at the most are taken from the server
        await first.end()
        await second.end()
        assert len(second.answers[1]["body"]) == 100 * 4096

    played(play())


def test_a_client_that_leaves_while_held_leaves_the_queue() -> None:
    async def play() -> None:
        called: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            called.append(scope["path"])
            await slow(scope, receive, send)

        gate, limiter = gated(app)
        first, second, third = request(path="/1"), request(path="/2"), request(path="/3")
        for client in (first, second, third):
            await client.start(gate)
        second.says("http.disconnect")
        await second.end()
        assert second.answers == []
        assert limiter.status()["counters"]["client_gone"] == 1
        await first.end()
        await third.end()
        assert called == ["/1", "/3"]

    played(play())


def test_a_client_that_leaves_in_the_moment_of_its_admission_gives_the_slot_back() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        app = AdmissionMiddleware(slow, limiter=limiter)
        first = limiter.admit()
        assert first.arrive()
        second = request()
        await second.start(app)
        first.done()
        second.says("http.disconnect")
        await second.end()
        assert limiter.status()["in_flight"] == 0
        assert limiter.status()["counters"]["incomplete"] + limiter.status()["counters"]["answered"] == 2

    played(play())


def test_the_slot_is_kept_until_the_application_is_done_though_its_client_left() -> None:
    async def play() -> None:
        app, limiter = gated()
        client = request()
        await client.start(app)
        client.says("http.disconnect")
        await asyncio.sleep(2)
        assert limiter.status()["in_flight"] == 1
        await client.end()
        assert limiter.status()["in_flight"] == 0

    played(play())


def test_a_cancelled_request_leaves_the_queue() -> None:
    async def play() -> None:
        app, limiter = gated()
        first, second = request(), request()
        await first.start(app)
        await second.start(app)
        assert second.task is not None
        second.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second.end()
        assert limiter.status()["held_total"] == 0
        await first.end()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    played(play())


def test_turned_away_says_when_to_come_back() -> None:
    async def play() -> None:
        app, _ = gated(held_max=1)
        clients = [request(client=(f"192.0.2.{number}", 1)) for number in range(3)]
        for client in clients:
            await client.start(app)
        start, body = clients[2].answers
        headers = dict(start["headers"])
        assert start["status"] == 503
        assert json.loads(body["body"])["reason"] == "queue-full"
        assert int(headers[b"retry-after"]) == json.loads(body["body"])["retry_after_s"] >= 1
        assert int(headers[b"content-length"]) == len(body["body"])
        for client in clients:
            await client.end()

    played(play())


def test_what_one_client_has_too_much_of_is_429() -> None:
    async def play() -> None:
        app, _ = gated(held_per_client_max=1)
        clients = [request() for _ in range(3)]
        for client in clients:
            await client.start(app)
        assert clients[2].answers[0]["status"] == 429
        for client in clients:
            await client.end()

    played(play())


@pytest.mark.parametrize(("status", "counter"), [(200, "answered"), (503, "overload"), (429, "overload")])
def test_an_answer_of_not_now_counts_as_overload(status: int, counter: str) -> None:
    async def play() -> None:
        app, limiter = gated()
        client = request(status=status)
        await client.start(app)
        await client.end()
        assert limiter.status()["counters"][counter] == 1

    played(play())


def test_an_error_of_the_application_is_its_own() -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    async def play() -> None:
        app, limiter = gated(broken)
        client = request()
        with pytest.raises(ZeroDivisionError):
            await app(client.scope, client.sent.get, client.send)
        assert limiter.status()["counters"]["broken"] == 1
        assert limiter.status()["in_flight"] == 0

    played(play())


def test_classify_says_who_calls_and_what_for() -> None:
    async def play() -> None:
        limiter, order = Limiter("static:1"), []

        def classify(scope: Any) -> Call:
            return Call(client=scope["path"], kind="bulk" if scope["path"] == "/backup" else "call")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            order.append(scope["path"])
            await slow(scope, receive, send)

        gate = AdmissionMiddleware(app, limiter=limiter, classify=classify, status=429)
        clients = [request(path=path) for path in ("/a", "/backup", "/b")]
        for client in clients:
            await client.start(gate)
        for client in clients:
            await client.end()
        assert order == ["/a", "/b", "/backup"]

    played(play())


def test_lifespan_passes() -> None:
    async def play() -> None:
        seen = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            seen.append(scope["type"])

        gate, limiter = gated(app)
        client = Client("lifespan")
        await gate(client.scope, client.sent.get, client.send)
        assert seen == ["lifespan"]
        assert limiter.status()["counters"]["arrived"] == 0

    played(play())


async def chat(_scope: Any, receive: Any, send: Any) -> None:
    """Accept after 1 s, then stay until the client leaves."""
    assert (await receive())["type"] == "websocket.connect"
    await asyncio.sleep(1)
    await send({"type": "websocket.accept"})
    assert (await receive())["type"] == "websocket.disconnect"


def socket(**scope: Any) -> Client:
    client = Client("websocket", **scope)
    client.says("websocket.connect")
    return client


def test_a_websocket_has_a_slot_for_its_start_only() -> None:
    async def play() -> None:
        app, limiter = gated(chat)
        clients = [socket() for _ in range(3)]
        for client in clients:
            await client.start(app)
        assert limiter.status()["held_total"] == 2
        await asyncio.sleep(10)
        assert [client.answers[0]["type"] for client in clients] == ["websocket.accept"] * 3
        assert limiter.status()["in_flight"] == 0
        for client in clients:
            client.says("websocket.disconnect", code=1000)
            await client.end()
        assert limiter.status()["counters"]["answered"] == 3

    played(play())


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
def test_a_websocket_that_is_turned_away_is_refused(extensions: dict[str, Any]) -> None:
    async def play() -> None:
        app, _ = gated(chat, held_per_client_max=1)
        clients = [socket(extensions=extensions) for _ in range(3)]
        for client in clients:
            await client.start(app)
        refused = clients[2].answers
        if extensions:
            assert refused[0]["type"] == "websocket.http.response.start"
            assert refused[0]["status"] == 429
        else:
            assert refused == [{"type": "websocket.close", "code": 1013, "reason": "client-cap"}]
        await asyncio.sleep(10)
        for client in clients[:2]:
            client.says("websocket.disconnect", code=1000)
            await client.end()

    played(play())
