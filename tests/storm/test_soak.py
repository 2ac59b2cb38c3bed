"""Many clients that do anything, while an operator reloads and switches: every call meets one fate, nothing stays."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from attacks import Client, Origin, files_closed, files_open, settled
from gates import RunningGate, gate_process, http_config

pytestmark = [pytest.mark.storm, pytest.mark.timeout(120)]

CLIENTS = 300
SECONDS = 10
TIMES = """
[service.web.io]
body_rate_timeout = "1s"
server_idle = "1s"
[service.web.admission]
client_timeout = "6s"
margin = "1s"
upstream_timeout = "3s"
quarantine = "1s"
"""


async def call(client: Client, chance: random.Random, tag: str) -> str:
    """Make one honest call; return what came of it."""
    path, body = chance.choice(["/", "/slow/5", "/slow/20"]), "x" * chance.choice([0, 5, 3000, 20000])
    await client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nX-Tag: {tag}\r\nContent-Length: {len(body)}\r\n\r\n{body}")
    status, answer = await client.answer()
    return "mixed up" if status == 200 and answer.decode() != tag else str(status)


async def misbehave(client: Client, chance: random.Random) -> None:
    """Begin something and leave, one way or the other."""
    await client.send(
        chance.choice(
            [
                b"GET / HT",
                b"POST /slow/30 HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\nab",
                b"GET /slow/50 HTTP/1.1\r\nHost: a\r\n\r\n",
                chance.randbytes(50),
            ]
        )
    )
    await asyncio.sleep(chance.random() * 0.3)
    chance.choice([client.reset, client.close])()


async def visitor(gate: RunningGate, number: int, until: float, came: Counter[str]) -> None:
    chance = random.Random(number)  # noqa: S311
    turn = 0
    while time.monotonic() < until:
        client = await Client.connect(gate.address, f"127.1.{number // 250}.{number % 250 + 1}")
        try:
            for _ in range(chance.randrange(4)):
                turn += 1
                came[await call(client, chance, f"{number}-{turn}")] += 1
            await misbehave(client, chance)
        except (OSError, asyncio.IncompleteReadError) as error:
            came[type(error).__name__] += 1
        finally:
            client.close()


async def operator(gate: RunningGate, until: float) -> None:
    chance, text = random.Random(0), gate.file.read_text()  # noqa: S311
    while time.monotonic() < until:
        name = chance.choice(["maintenance", "bypass", "reload"])
        if name == "reload":
            gate.file.write_text(text.replace("static:8", f"static:{chance.choice([4, 8])}"))
            assert (await asyncio.to_thread(gate.admin.reload))["kind"] == "reloaded"
        else:
            await asyncio.to_thread(gate.admin.switch, name, on=True)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(gate.admin.switch, name, on=False)
        await asyncio.sleep(0.5)


def test_soak(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Origin().serving() as origin:
            with gate_process(http_config(tmp_path, origin.address, limit=8) + TIMES, tmp_path) as gate:
                idle = (await settled(gate))["servers"][0]["open_conns"]  # it has answered: all its threads are up
                files = files_open(gate) - idle
                came: Counter[str] = Counter()
                until = time.monotonic() + SECONDS
                await asyncio.gather(
                    operator(gate, until), *(visitor(gate, number, until, came) for number in range(CLIENTS))
                )
                state = await settled(gate)
                assert came["mixed up"] == 0, came
                assert came["200"] > CLIENTS, came
                await files_closed(gate, files + state["servers"][0]["open_conns"])

    asyncio.run(scene())
