"""REST calls that respect a server under load: Retry-After is heeded, retries are few, answers are bounded.

429 and 503 say "not now": the call comes again after what the server asks for, else after 1, 2, 4, … s, at most
``tries`` times and never later than ``patience_s`` altogether. A call that changes something is repeated after 429 only
(it was not looked at); after 503, or a broken connection, it may have happened, and only its caller can find out.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from tidegate.clients.tls import Trust
from tidegate.errors import FleetError, HostUnreachable

__all__ = ["Answer", "Http", "HttpOptions", "Request", "retry_after"]

_BUSY = frozenset({429, 503})
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How to reach a server.

    Parameters
    ----------
    address
        ``HOST`` without a scheme; the scheme is always https.
    whose
        What people call it, for sentences: ``vCenter vc.example``.
    timeout_s
        Longest wait for one answer.
    tries, patience_s
        How often a call is made at the most, and how long may be waited between them altogether.
    at_once
        Most calls at the same time.
    body_max
        Largest answer that is read.
    """

    address: str
    whose: str
    port: int = 443
    trust: Trust = field(default_factory=Trust)
    timeout_s: float = 30.0
    tries: int = 5
    patience_s: float = 60.0
    at_once: int = 10
    body_max: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    Parameters
    ----------
    body
        Sent as JSON unless it is ``None``.
    content
        Sent as it is, instead of ``body``; JSON unless ``headers`` say another type.
    basic
        User and password of HTTP's basic authentication.
    repeat
        Whether the call may happen twice; ``None``: only if its method changes nothing.
    """

    method: str
    path: str
    body: Any = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    query: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    repeat: bool | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def fine(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body as JSON; ``None`` when it is empty.

        Raises
        ------
        FleetError
            When it is no JSON.
        """
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise FleetError(f"an answer of {len(self.body)} bytes is not JSON", slug="bad-answer") from error


def retry_after(header: str | None, now: float) -> float | None:
    """Return how many seconds a ``Retry-After`` asks for: a number or a date; ``None`` when it is neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


class Http:
    """One server, one pool of connections.

    ``sleep`` and ``clock`` (seconds since 1970) are given by tests.
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.warnings = options.trust.warnings(options.whose)
        self.headers: dict[str, str] = {}
        """Sent with every call: a session's."""
        self._sleep, self._clock = sleep, clock
        self._slots = asyncio.Semaphore(options.at_once)
        self._opening = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def call(self, request: Request) -> Answer:
        """Call, wait and call again where the server asks for it, and return its answer, whatever its status.

        Raises
        ------
        HostUnreachable
            When there is no answer, or still "not now" after every try.
        FleetError
            When the answer is too large.
        """
        again = request.method in _SAFE if request.repeat is None else request.repeat
        waited, wait, why = 0.0, 0.0, ""
        for attempt in range(self.options.tries):
            if attempt:
                if waited + wait > self.options.patience_s:
                    break
                await self._sleep(wait)
                waited += wait
            try:
                async with self._slots:
                    answer = await self._once(request)
            except httpx.HTTPError as error:
                why, wait = _words(error), float(2**attempt)
                if not again or _is_trust(error):
                    break
                continue
            if answer.status not in _BUSY or (answer.status == 503 and not again):
                return answer
            asked = retry_after(answer.headers.get("retry-after"), self._clock())
            why, wait = f"it answers {answer.status}", float(2**attempt) if asked is None else asked
        hint = "compare the CA file or the thumbprint with the server's certificate" if "certificate" in why else ""
        raise HostUnreachable(f"{self.options.whose}: {request} failed ({why})", hint=hint)

    async def wanted(self, request: Request) -> Any:
        """Call, and return the JSON of a 2xx answer.

        Raises
        ------
        FleetError
            With the status and the start of what the server said, when it is no 2xx.
        """
        answer = await self.call(request)
        if not answer.fine:
            said = " ".join(answer.body[:300].decode(errors="replace").split())
            raise FleetError(
                f"{self.options.whose}: {request} was answered with {answer.status}{': ' if said else ''}{said}",
                slug=f"http-{answer.status}",
            )
        return answer.json()

    async def close(self) -> None:
        """Close the connections; a later call opens its own, in its own event loop."""
        client, self._client = self._client, None
        self._slots, self._opening = asyncio.Semaphore(self.options.at_once), asyncio.Lock()
        if client is not None:
            await client.aclose()
            # A connection whose handshake failed is closed by the loop, in its next turn.
            await asyncio.sleep(0)

    async def _once(self, request: Request) -> Answer:
        client = await self._open()
        typed = {} if request.content is None else {"Content-Type": "application/json"}
        try:
            async with (
                asyncio.timeout(self.options.timeout_s),
                client.stream(
                    request.method,
                    request.path,
                    json=request.body,
                    content=request.content,
                    params=request.query,
                    headers={**typed, **self.headers, **request.headers},
                    auth=None if request.basic is None else httpx.BasicAuth(*request.basic),
                ) as answer,
            ):
                pieces, size = [], 0
                async for piece in answer.aiter_bytes():
                    size += len(piece)
                    if size > self.options.body_max:
                        raise FleetError(
                            f"{self.options.whose}: the answer to {request} is larger than "
                            f"{self.options.body_max >> 20} MiB",
                            slug="answer-too-large",
                        )
                    pieces.append(piece)
                return Answer(answer.status_code, b"".join(pieces), dict(answer.headers))
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no answer within {self.options.timeout_s:g} s") from error

    async def _open(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                options = self.options
                context: ssl.SSLContext = await asyncio.to_thread(
                    options.trust.context, options.address, options.port, options.timeout_s
                )
                host = f"[{options.address}]" if ":" in options.address else options.address
                # No proxy from the environment: management planes are reached directly. Redirects are not followed.
                self._client = httpx.AsyncClient(
                    base_url=f"https://{host}:{options.port}",
                    verify=context,
                    trust_env=False,
                    timeout=options.timeout_s,
                    limits=httpx.Limits(max_connections=options.at_once),
                )
            return self._client


def _is_trust(error: BaseException) -> bool:
    return "certificate" in str(error).lower()


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
