"""How probes talk: what does not end, is too large, or is another thing than was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tidegate.errors import ServerUnreachable, TidegateError
from tidegate.watch.live.probe_wire import ask_line, get, get_object, read

T = TypeVar("T")
Ask = Callable[[str], Awaitable[T]]


def asked(folder: Path, answer: bytes, ask: Ask[T], *, times: int = 1) -> T:
    """Ask a server that reads a little, says ``answer`` so many times, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        try:
            for _ in range(times):
                writer.write(answer)
                await writer.drain()
        except OSError:
            pass  # the client has had enough
        writer.close()

    async def play() -> T:
        path = folder / "lab.sock"
        async with await asyncio.start_unix_server(serve, path):
            return await ask(f"unix:{path}")

    return asyncio.run(play())


def http(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def test_all_that_comes_is_the_answer(tmp_path: Path) -> None:
    assert asked(tmp_path, b"one\n", lambda at: ask_line(at, "show", "the lab"), times=3) == "one\n" * 3


def test_an_answer_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="the lab: its answer is larger than 16 MiB"):
        asked(tmp_path, b"x" * (1 << 20), lambda at: ask_line(at, "show", "the lab"), times=64)


def test_a_body_without_end_is_refused(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    with pytest.raises(ServerUnreachable, match="larger than 16 MiB"):
        asked(tmp_path, head + b"x" * (20 << 20), lambda at: get(at, "/", "the lab", 30))


def test_another_status_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable, match="the lab answers 403 to GET /clusters"):
        asked(tmp_path, http("no", "403 Forbidden"), lambda at: get(at, "/clusters", "the lab", 30))


@pytest.mark.parametrize("body", ["[]", "no", '{"a":'])
def test_what_is_no_object_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(ServerUnreachable, match="no JSON object"):
        asked(tmp_path, http(body), lambda at: get_object(at, "/ports", "the lab", 30))
    assert asked(tmp_path, http('{"a": 1}'), lambda at: get_object(at, "/ports", "the lab", 30)) == {"a": 1}


@pytest.mark.parametrize("address", ["unix:/nowhere/lab.sock", "127.0.0.1:1", "lab", "[::1]:x", "127.0.0.1:99999"])
def test_where_nobody_is_that_is_said(address: str) -> None:
    with pytest.raises(TidegateError):
        asyncio.run(ask_line(address, "show", "the lab"))
    with pytest.raises(TidegateError):
        asyncio.run(get(address, "/", "the lab", 30))


def test_a_dump_that_is_none_is_said_with_the_device() -> None:
    with pytest.raises(ServerUnreachable, match="the lab: no line of this text is a row"):
        read("haproxy", "Unknown command", "the lab")
