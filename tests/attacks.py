"""What hostile clients and servers do, and what must be true of a gate afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gates import RunningGate

__all__ = ["Client", "Origin", "Probe", "files_closed", "files_open", "settled", "steady"]


@dataclass(eq=False)
class Client:
    """One end of a connection, as asyncio sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(cls, address: str, source: str | None = None) -> Client:
        host, _, port = address.rpartition(":")
        local = (source, 0) if source else None
        return cls(*await asyncio.open_connection(host, int(port), local_addr=local))

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Return status and fields of the next answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def answer(self) -> tuple[int, bytes]:
        """Return status and body of the next answer that has a length."""
        status, fields = await self.head()
        return status, await self.reader.readexactly(int(fields.get("content-length", "0")))

    async def get(self, path: str, tag: str = "") -> tuple[int, bytes]:
        await self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Tag: {tag}\r\n\r\n")
        return await self.answer()

    async def ended(self, within_s: float = 10) -> bytes:
        """Return what comes until the other side closes or resets."""
        data = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(within_s):
                while part := await self.reader.read(65536):
                    data += part
        return data

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST."""
        raw = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Origin:
    """A server that counts what it has in flight: requests that it has read and not answered."""

    address: str = ""
    in_flight: int = 0
    in_flight_max: int = 0
    requests: int = 0
    open: set[Client] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Origin]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        try:
            yield self
        finally:
            server.close()
            for one in list(self.open):
                one.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conn = Client(reader, writer)
        self.open.add(conn)
        try:
            while await self._one(conn):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass
        finally:
            self.open.discard(conn)
            conn.close()

    async def _one(self, conn: Client) -> bool:
        head = (await conn.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.requests += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight, self.in_flight_max)
        try:
            return await behave(head, conn)
        finally:
            self.in_flight -= 1


def tag_of(head: str) -> str:
    return next((line[6:].strip() for line in head.split("\r\n") if line.lower().startswith("x-tag:")), "")


async def read_body(head: str, conn: Client) -> bytes:
    lower = head.lower()
    if "transfer-encoding: chunked" in lower:
        body = b""
        while size := int((await conn.reader.readline()).split(b";")[0], 16):
            body += (await conn.reader.readexactly(size + 2))[:-2]
        while (await conn.reader.readline()) != b"\r\n":
            pass
        return body
    line = next((line for line in lower.split("\r\n") if line.startswith("content-length:")), "content-length: 0")
    return await conn.reader.readexactly(int(line.split(":")[1]))


async def behave(head: str, conn: Client) -> bool:
    """Answer well: the tag, after ``/slow/MS`` milliseconds, or ``/big/N`` bytes."""
    await read_body(head, conn)
    path = head.split(" ")[1]
    body = tag_of(head).encode()
    if path.startswith("/slow/"):
        await asyncio.sleep(int(path.split("/")[2]) / 1000)
    if path.startswith("/big/"):
        body = b"x" * int(path.split("/")[2])
    await conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return True


@dataclass
class Probe:
    """A well-behaved client that calls all the time while others do what they do."""

    good: int = 0
    bad: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def calls(self, good: int) -> None:
        """Wait until so many calls were answered well, or one was not."""
        while self.good < good and not self.bad:
            self.told.clear()
            await self.told.wait()


@contextlib.asynccontextmanager
async def steady(gate: RunningGate, every_s: float = 0.02) -> AsyncIterator[Probe]:
    """Run the steady client."""
    probe = Probe()

    async def call() -> None:
        client = await Client.connect(gate.address, "127.9.9.9")
        number = 0
        try:
            while True:
                number += 1
                async with asyncio.timeout(20):
                    status, body = await client.get("/steady", f"steady-{number}")
                if (status, body) == (200, f"steady-{number}".encode()):
                    probe.good += 1
                else:
                    probe.bad.append(f"{status} {body[:80]!r}")
                probe.told.set()
                await asyncio.sleep(every_s)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            probe.bad.append(repr(error))
            probe.told.set()
        finally:
            client.close()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(call())
        yield probe
        task.cancel()


def service(gate: RunningGate) -> dict[str, Any]:
    """Return the state of the gate's only service."""
    found: dict[str, Any] = gate.admin.status()["services"][0]
    return found


async def settled(gate: RunningGate, *, within_s: float = 30) -> dict[str, Any]:
    """Wait until nothing is under way; then every call must have met exactly one fate."""
    keys = ("held_total", "pending", "open_conns", "open_requests")
    state = await asyncio.to_thread(service, gate)
    for _ in range(int(within_s * 20)):
        if not any(state[key] for key in keys) and not any(server["in_flight"] for server in state["servers"]):
            break
        await asyncio.sleep(0.05)
        state = await asyncio.to_thread(service, gate)
    else:
        raise AssertionError(f"never at rest: {state}")
    counters = state["counters"]
    fates = counters["admitted"] + sum(counters["turned_away"].values()) + counters["client_gone"]
    assert counters["arrived"] == fates, state
    assert counters["panics"] == 0, state
    assert counters["unknown_call"] == 0, state
    return state


def files_open(gate: RunningGate) -> int:
    """Count the files that the gate's process has open."""
    return len(list(Path(f"/proc/{gate.process.pid}/fd").iterdir()))


async def files_closed(gate: RunningGate, most: int, *, within_s: float = 30) -> None:
    """Wait until the gate has ``most`` files open at the most: what was closed a moment ago may still be there."""
    for _ in range(int(within_s * 20)):
        if files_open(gate) <= most:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{files_open(gate)} files are open, {most} were")
