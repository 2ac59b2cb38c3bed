"""Clients that mean ill, against a gate in a process of its own: others are served, nothing leaks, all is counted."""

import asyncio
import random
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from attacks import Client, Origin, files_closed, files_open, settled, steady
from gates import RunningGate, gate_process, http_config

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]

TIMES = """
[service.web.io]
head_timeout = "2s"
body_rate_timeout = "2s"
write_timeout = "1s"
idle_timeout = "5s"
server_idle = "1s"
"""
POST = "POST / HTTP/1.1\r\nHost: a\r\n"

Attack = Callable[[RunningGate, int], Awaitable[None]]


def source(number: int) -> str:
    """Return an address of this machine, one for each attacker."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


async def says(gate: RunningGate, number: int, data: bytes | str) -> None:
    client = await Client.connect(gate.address, source(number))
    try:
        await client.send(data)
        await client.ended()
    finally:
        client.reset()


async def garbage(gate: RunningGate, number: int) -> None:
    await says(gate, number, random.Random(number).randbytes(200))  # noqa: S311


async def half_a_head(gate: RunningGate, number: int) -> None:
    await says(gate, number, "GET / HTTP/1.1\r\nHost:")


async def a_short_body(gate: RunningGate, number: int) -> None:
    await says(gate, number, POST + "Content-Length: 100\r\n\r\nabc")


async def trailers_without_end(gate: RunningGate, number: int) -> None:
    await says(gate, number, POST + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + "A: b\r\n" * 3000)


async def one_byte_at_a_time(gate: RunningGate, number: int) -> None:
    client = await Client.connect(gate.address, source(number))
    try:
        for byte in "GET / HTTP/1.1\r\nHost: a\r\n":
            await client.send(byte)
            await asyncio.sleep(0.2)
    except ConnectionError:
        pass
    finally:
        client.reset()


async def a_burst(gate: RunningGate, number: int) -> None:
    client = await Client.connect(gate.address, source(number))
    try:
        tags = [f"{number}-{call}" for call in range(50)]
        await client.send("".join(f"GET / HTTP/1.1\r\nHost: a\r\nX-Tag: {tag}\r\n\r\n" for tag in tags))
        for tag in tags:
            assert await client.answer() == (200, tag.encode())
    finally:
        client.reset()


async def leaves_somewhere(gate: RunningGate, number: int) -> None:
    chance = random.Random(number)  # noqa: S311
    request = POST.replace(" / ", " /slow/50 ") + "Content-Length: 5\r\n\r\nhello"
    client = await Client.connect(gate.address, source(number))
    await client.send(request[: chance.randrange(len(request) + 1)])
    await asyncio.sleep(chance.choice([0, 0.001, 0.02, 0.06]))
    (client.reset if number % 2 else client.close)()


async def leaves_in_the_answer(gate: RunningGate, number: int) -> None:
    client = await Client.connect(gate.address, source(number))
    await client.send("GET /big/3000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.reader.readexactly(1000)
    (client.reset if number % 2 else client.close)()


ATTACKS: list[tuple[Attack, int]] = [
    (garbage, 100),
    (half_a_head, 100),
    (a_short_body, 40),
    (trailers_without_end, 20),
    (one_byte_at_a_time, 40),
    (a_burst, 10),
    (leaves_somewhere, 200),
    (leaves_in_the_answer, 20),
]


def open_to_server(state: dict[str, Any]) -> int:
    """Return how many connections to its server the gate has."""
    count: int = state["servers"][0]["open_conns"]
    return count


@contextmanager
def descriptors(needed: int) -> Iterator[None]:
    """Raise this process's limit for the time of a test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} file descriptors are not allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("attack", "attackers"), ATTACKS, ids=lambda value: getattr(value, "__name__", ""))
def test_others_are_served_and_nothing_leaks(tmp_path: Path, attack: Attack, attackers: int) -> None:
    async def scene() -> None:
        async with Origin().serving() as origin:
            with gate_process(http_config(tmp_path, origin.address, limit=4) + TIMES, tmp_path) as gate:
                async with steady(gate) as probe:
                    await probe.calls(3)  # by then the process has opened all that it keeps
                to_server = open_to_server(await settled(gate))  # it has answered: all its threads are up
                before = files_open(gate) - to_server
                async with steady(gate) as probe:
                    await asyncio.gather(*(attack(gate, number) for number in range(attackers)))
                    await probe.calls(1)  # an attack may be over sooner than one call
                assert probe.bad == []
                assert probe.good > 0
                state = await settled(gate)
                assert state["servers"][0]["in_flight_max"] <= 4
                # Pooled connections to the server may stay for a while; nothing else may.
                await files_closed(gate, before + open_to_server(state))

    asyncio.run(scene())


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"\0 garbage\r\n\r\n"], ids=["nothing", "half", "garbage"])
def test_five_thousand_connections_harm_nobody(tmp_path: Path, said: bytes) -> None:
    def flood(address: str, held: ExitStack) -> None:
        host, _, port = address.rpartition(":")
        for number in range(5000):
            one = held.enter_context(socket.socket())
            one.bind((source(number), 0))
            one.connect((host, int(port)))
            one.sendall(said)
            if number % 200 == 0:
                time.sleep(0.01)  # lets the loop of this process, where the steady client lives, have a turn

    async def scene() -> None:
        async with Origin().serving() as origin:
            config = http_config(tmp_path, origin.address, limit=4) + TIMES.replace('"2s"', '"6s"')
            with gate_process(config, tmp_path) as gate, ExitStack() as held:
                async with steady(gate) as probe:
                    await asyncio.to_thread(flood, gate.address, held)
                    so_far = probe.good
                    await probe.calls(so_far + 5)
                assert probe.bad == []
                held.close()
                state = await settled(gate)
                assert state["counters"]["turned_away"]["memory"] == 0

    with descriptors(8000):
        asyncio.run(scene())


def test_the_admin_socket_survives_a_lack_of_descriptors(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Origin().serving() as origin:
            with gate_process(http_config(tmp_path, origin.address), tmp_path) as gate:
                before = resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE)
                resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (files_open(gate), before[1]))
                with socket.socket(socket.AF_UNIX) as refused:
                    refused.connect(str(gate.admin.path))
                    refused.settimeout(0.3)
                    # Nobody takes it, or, if a file was closed just then, it is closed at once.
                    with pytest.raises((TimeoutError, ConnectionResetError)):
                        refused.recv(1)
                resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, before)
                assert (await settled(gate))["counters"]["arrived"] == 0

    asyncio.run(scene())
