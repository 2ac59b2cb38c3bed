"""One connection of a script to a vCenter, or to what stands before it: vim25 calls over TLS, and what became of each.

Small on purpose: hundreds of scripts share two cores with everything that they call. What it says is what pyVmomi says:
the same envelope, the same headers, the cookie in double quotes as it came.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

from tidegate.lab.vasa_host import CallFailed

__all__ = ["Caller", "Calls", "Ref", "Target"]

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"'
    ' xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
    '<{operation} xmlns="urn:vim25"><_this type="{kind}">{id}</_this>{inner}</{operation}>'
    "</soapenv:Body></soapenv:Envelope>"
)
_HEAD = (
    "POST /sdk HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml; charset=UTF-8\r\nUser-Agent: {agent}\r\n"
    'SOAPAction: "urn:vim25/8.0.2.0"\r\n{cookie}Content-Length: {size}\r\n\r\n'
)
_ANSWER_MAX = 4 << 20
_CHUNK_MAX = 1 << 20
_DURATIONS_MAX = 2_000_000


@dataclass(frozen=True, slots=True)
class Ref:
    """A managed object: its type and its id."""

    kind: str
    id: str

    def xml(self, name: str = "obj") -> str:
        """Return it as an element of a request."""
        return f'<{name} type="{self.kind}">{escape(self.id)}</{name}>'


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go: an address, the name that its certificate must have, and the authority that is trusted."""

    host: str
    port: int
    name: str
    trust: ssl.SSLContext


@dataclass(slots=True)
class Calls:
    """What became of the calls of all scripts."""

    made: int = 0
    failed: int = 0
    not_authenticated: int = 0
    in_flight: int = 0
    durations_s: list[float] = field(default_factory=list)
    """From the first byte sent to the last byte read, of every call that was answered; a call that fails has none."""
    why: Counter[str] = field(default_factory=Counter)
    """How often a call failed for which reason: a status, a fault's name, ``cut``, ``refused``, ``late``."""

    def fail(self, why: str) -> None:
        """Count a call, or a task that a call began, as failed."""
        self.failed += 1
        self.why[why] += 1
        self.not_authenticated += why == "NotAuthenticated"

    def add(self, others: Calls) -> None:
        """Add what became of other calls."""
        self.made += others.made
        self.failed += others.failed
        self.not_authenticated += others.not_authenticated
        self.durations_s += others.durations_s
        self.why += others.why

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one call, and how long it takes."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.made += 1
        self.in_flight += 1
        try:
            yield
        except CallFailed as error:
            self.fail(error.why)
            raise
        else:
            if len(self.durations_s) < _DURATIONS_MAX:
                self.durations_s.append(loop.time() - began)
        finally:
            self.in_flight -= 1


class Caller:
    """One connection, made by the first call; kept until :meth:`close`, or until a call fails.

    Parameters
    ----------
    target
        Where to.
    calls
        Where every call is counted.
    patience_s
        A call without a whole answer after so many seconds has failed.
    agent
        What the caller calls itself.
    """

    def __init__(self, target: Target, calls: Calls, *, patience_s: float, agent: str = "tidegate-lab") -> None:
        self._target, self._calls, self._patience_s, self._agent = target, calls, patience_s, agent
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._cookie = ""

    async def call(self, operation: str, this: Ref, inner: str = "") -> str:
        """Call an operation with ``inner`` as its arguments, in XML; return the answer's body.

        Raises
        ------
        CallFailed
            It was not answered, or not with what was asked for; ``why`` is the status, the fault's name, or how.
        """
        with self._calls.one():
            try:
                async with asyncio.timeout(self._patience_s):
                    status, answer = await self._exchange(operation, this, inner)
            except BaseException as error:
                refused = self._streams is None
                self.close()
                if isinstance(error, TimeoutError):
                    raise CallFailed("cut", "late") from None
                if isinstance(error, OSError | EOFError | ValueError | IndexError | asyncio.LimitOverrunError):
                    how: Literal["refused", "cut"] = "refused" if refused else "cut"
                    raise CallFailed(how, how) from None
                raise
            if status != 200:
                raise CallFailed("fault", _fault(answer) if status == 500 else str(status))
            if "<missingSet>" in answer and 'type="NotAuthenticated"' in answer:
                raise CallFailed("fault", "NotAuthenticated")  # an inventory that only seems to be empty
            return answer

    async def _exchange(self, operation: str, this: Ref, inner: str) -> tuple[int, str]:
        target = self._target
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the other end closed it while nobody asked, as it may
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                target.host, target.port, ssl=target.trust, server_hostname=target.name, limit=_ANSWER_MAX
            )
        reader, writer = self._streams
        body = _ENVELOPE.format(operation=operation, kind=this.kind, id=escape(this.id), inner=inner).encode()
        cookie = f"Cookie: {self._cookie}\r\n" if self._cookie else ""
        head = _HEAD.format(host=target.name, agent=self._agent, cookie=cookie, size=len(body))
        writer.write(head.encode() + body)
        return await self._answer(reader)

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, str]:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunks(reader)
        else:
            size = int(headers.get("content-length", "0"))
            if size > _ANSWER_MAX:
                raise EOFError("the answer is longer than any that is read")
            body = await reader.readexactly(size)
        if "set-cookie" in headers:
            self._cookie = headers["set-cookie"].partition(";")[0]
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(first.split(" ")[1]), body.decode(errors="replace")

    def close(self) -> None:
        """Close the connection; the session at the other end knows nothing of it."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces, total = [], 0
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        total += size
        if size > _CHUNK_MAX or total > _ANSWER_MAX:
            raise EOFError("the answer is longer than any that is read")
        pieces.append((await reader.readexactly(size + 2))[:-2])
    await reader.readuntil(b"\r\n")
    return b"".join(pieces)


def _fault(answer: str) -> str:
    """Return the name of a fault: its type, else that of the element in which it came."""
    detail = answer.partition("<detail>")[2].lstrip().partition(">")[0]
    found = re.search(r'\btype="(?:\w+:)?(\w+)"', detail) or re.match(r"<(?:\w+:)?(\w+?)(?:Fault)?(?:\s|/|$)", detail)
    return found[1] if found else "fault"
