"""How probes talk over a Unix socket or plain TCP: one question, one whole answer, bounded in time and size.

Addresses are ``unix:/path/to/socket`` or ``HOST:PORT`` (``[IPV6]:PORT``). Nothing is encrypted here: such sockets
belong on the machine itself, or on a network that only administrators reach.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import httpx

from tidegate.clients.ssh import split_address
from tidegate.errors import ServerUnreachable
from tidegate.watch.live.model import Json
from tidegate.watch.ports import PortReading, read_dump

__all__ = ["ask_line", "get", "get_object", "read"]

_ANSWER_MAX = 16 << 20
"""Longest answer, in bytes; HAProxy with 20 000 servers needs about 8 MiB."""
_PIECE = 1 << 16


async def ask_line(address: str, line: str, whose: str) -> str:
    """Send a line, and return all that comes until the other side closes.

    Raises
    ------
    ServerUnreachable
        When nobody answers there, or the answer has no end. How long it may take is the caller's to say.
    """
    try:
        if (path := _path(address)) is not None:
            reader, writer = await asyncio.open_unix_connection(str(path))
        else:
            reader, writer = await asyncio.open_connection(*split_address(address, 0))
    except OSError as error:
        raise _gone(whose, address, error) from None
    try:
        writer.write(f"{line}\n".encode())
        await writer.drain()
        pieces, size = [], 0
        while piece := await reader.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > _ANSWER_MAX:
                raise _endless(whose)
        return b"".join(pieces).decode(errors="replace")
    except OSError as error:
        raise _gone(whose, address, error) from None
    finally:
        writer.close()


async def get(address: str, path: str, whose: str, timeout_s: float) -> str:
    """Return the body of a 200 answer to ``GET path``.

    Raises
    ------
    ServerUnreachable
        When nobody answers, or the answer is another or has no end.
    FleetError
        When it is no address.
    """
    uds = _path(address)
    if uds is None:
        split_address(address, 0)  # says what is wrong with it
    # No TLS here, so no authorities are read from the disk for each question.
    transport = httpx.AsyncHTTPTransport(
        uds=None if uds is None else str(uds), verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    url = f"http://{address if uds is None else 'localhost'}{path}"
    try:
        async with (
            httpx.AsyncClient(transport=transport, timeout=timeout_s, trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            pieces, size = [], 0
            async for piece in answer.aiter_bytes():
                pieces.append(piece)
                size += len(piece)
                if size > _ANSWER_MAX:
                    raise _endless(whose)
            if answer.status_code != 200:
                raise ServerUnreachable(f"{whose} answers {answer.status_code} to GET {path}", slug="refused")
            return b"".join(pieces).decode(errors="replace")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _gone(whose, address, error) from None


async def get_object(address: str, path: str, whose: str, timeout_s: float) -> Json:
    """Return the JSON object that ``GET path`` brings; see :func:`get`."""
    try:
        value = json.loads(await get(address, path, whose, timeout_s))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ServerUnreachable(f"{whose}: the answer to GET {path} is no JSON object", slug="bad-answer")
    return value


def read(kind: str, text: str, whose: str) -> PortReading:
    """Read what a device said as a dump of ``kind``.

    Raises
    ------
    ServerUnreachable
        With the reader's sentence, when it is none.
    """
    try:
        return read_dump(kind, text)
    except ValueError as error:
        raise ServerUnreachable(f"{whose}: {error}", slug="bad-answer") from None


def _path(address: str) -> Path | None:
    kind, colon, path = address.partition(":")
    return Path(path) if colon and kind == "unix" else None


def _gone(whose: str, address: str, error: Exception) -> ServerUnreachable:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ServerUnreachable(f"{whose} does not answer at {address} ({why})")


def _endless(whose: str) -> ServerUnreachable:
    return ServerUnreachable(f"{whose}: its answer is larger than {_ANSWER_MAX >> 20} MiB", slug="answer-too-large")
