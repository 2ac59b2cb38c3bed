"""An ASGI middleware in front of an application: every request is admitted, held or turned away by a limiter.

A request keeps its slot until the application is done with it, whether or not its client is still there; a WebSocket
until it is accepted or refused. While a request is held, its body is read ahead a little, which is how an ASGI server
tells that the client has left.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.config.model import Role
from tidegate.errors import TurnedAway
from tidegate.gate.limiter import Limiter, Ticket

__all__ = ["AdmissionMiddleware", "Call"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Read ahead for one held request, and for all of them; past that a body stays in the server's socket, and that its
# client has left is not noticed. A message counts for what it costs beside its body, too.
_AHEAD_MAX = 64 * 1024
_ALL_AHEAD_MAX = 64 * 1024 * 1024
_MESSAGE_BYTES = 512
_TRY_AGAIN_LATER = 1013
"""Close code of a WebSocket (IANA registry)."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is to the limiter; see :meth:`~tidegate.gate.limiter.Limiter.admit`."""

    client: str | None = None
    kind: Role = "call"
    deadline: float | None = None
    operation: str | None = None
    cost: float = 1.0
    session: str | None = None


def _by_address(scope: Scope) -> Call:
    client = scope.get("client")
    return Call(client=client[0] if client else None)


class AdmissionMiddleware:
    """Lets a limiter decide about every request and WebSocket of an ASGI application; ``lifespan`` passes.

    Parameters
    ----------
    app
        The application.
    limiter
        Decides. One limiter may serve several applications of one event loop.
    classify
        Says from the scope what a request is. By default the client is its address, which behind a reverse proxy is
        that proxy's unless the server is told to trust its headers.
    status
        Of an answer to what is turned away: 503 or 429. What one client has too much of is always 429.
    """

    def __init__(
        self,
        app: Application,
        *,
        limiter: Limiter,
        classify: Callable[[Scope], Call] | None = None,
        status: Literal[503, 429] = 503,
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._classify = classify or _by_address
        self._status = status
        self._budget = _Budget()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI servers ask for it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        call = self._classify(scope)
        ticket = self._limiter.admit(
            client=call.client,
            kind=call.kind,
            deadline=call.deadline,
            operation=call.operation,
            cost=call.cost,
            session=call.session,
        )
        inbox = _Inbox(receive, self._budget)
        try:
            if ticket.arrive() or await _held(ticket, inbox):
                await self._serve(ticket, scope, inbox, send)
        except TurnedAway as turned_away:
            await self._refuse(turned_away, scope, inbox, send)
        finally:
            inbox.close()

    async def _serve(self, ticket: Ticket, scope: Scope, inbox: _Inbox, send: Send) -> None:
        """Run the application while the ticket has its slot."""
        websocket = scope["type"] == "websocket"

        async def watched(message: Message) -> None:
            await send(message)
            if websocket:
                ticket.done()  # accepted or refused: the start is over
            elif message["type"] == "http.response.start" and message["status"] in {429, 503}:
                ticket.overload()

        try:
            await self._app(scope, inbox.receive if inbox else inbox.unread, watched)
        except BaseException as error:
            ticket.done(error)
            raise
        ticket.done()

    async def _refuse(self, turned_away: TurnedAway, scope: Scope, inbox: _Inbox, send: Send) -> None:
        status = 429 if turned_away.reason == "client-cap" else self._status
        seconds = max(1, math.ceil(turned_away.retry_after))
        body = json.dumps({"reason": turned_away.reason, "retry_after_s": seconds}).encode() + b"\n"
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(seconds).encode()),
        ]
        kind = "http.response"
        if scope["type"] == "websocket":
            await inbox.receive()  # websocket.connect, which wants an answer
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": turned_away.reason})
                return
            kind = "websocket.http.response"
        await send({"type": f"{kind}.start", "status": status, "headers": headers})
        await send({"type": f"{kind}.body", "body": body})


async def _held(ticket: Ticket, inbox: _Inbox) -> bool:
    """Wait for the slot of a held call; false when its client leaves first.

    Raises
    ------
    TurnedAway
        There was no slot in time.
    """
    left, turned_away = False, None
    try:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(inbox.read_ahead())
            try:
                await ticket.wait()
            except TurnedAway as error:
                turned_away = error
            reader.cancel()
    except* _ClientLeft:
        left = True
    if left:
        ticket.done(asyncio.CancelledError())  # it may have been admitted in that very moment
        return False
    if turned_away is not None:
        raise turned_away
    return True


class _ClientLeft(Exception):
    """The server says that the client has disconnected."""


class _Budget:
    """Bytes that are read ahead for all held requests together."""

    def __init__(self) -> None:
        self.used = 0


class _Inbox:
    """What the server has received of one request: read ahead while it is held, then read by the application."""

    def __init__(self, receive: Receive, budget: _Budget) -> None:
        self.unread = receive
        self._budget = budget
        self._ahead: deque[Message] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._ahead)

    async def read_ahead(self) -> None:
        """Read until the client leaves, or as far as the bounds allow."""
        while self._bytes < _AHEAD_MAX and self._budget.used < _ALL_AHEAD_MAX:
            message = await self.unread()
            if message["type"].endswith(".disconnect"):
                raise _ClientLeft
            self._ahead.append(message)
            self._charge(_size(message))

    async def receive(self) -> Message:
        """Return the next message, as the server would have."""
        if not self._ahead:
            return await self.unread()
        message = self._ahead.popleft()
        self._charge(-_size(message))
        return message

    def close(self) -> None:
        """Forget what nobody has read."""
        self._ahead.clear()
        self._charge(-self._bytes)

    def _charge(self, size: int) -> None:
        self._bytes += size
        self._budget.used += size


def _size(message: Message) -> int:
    return _MESSAGE_BYTES + len(message.get("body", b""))
