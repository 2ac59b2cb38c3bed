"""The examples of the library, run as a reader would run them: a storm of real clients on real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tidegate import AdmissionMiddleware, Limiter

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "library"
CAPACITY = 8

pytestmark = pytest.mark.storm


def run(example: str, *options: str) -> dict[str, Any]:
    """Run an example to its end; return what it prints."""
    command = [sys.executable, str(EXAMPLES / example), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("limit", ["adaptive", f"static:{CAPACITY}"])
def test_every_client_of_the_limiter_is_answered(limit: str) -> None:
    told = run("limiter.py", "--clients", "200", "--limit", limit)
    assert told["answered"] == 200
    status = told["limiter"]
    assert status["in_flight"] == status["held_total"] == 0
    assert told["most_at_the_backend"] <= status["in_flight_max"] < 200
    if limit != "adaptive":
        assert told["most_at_the_backend"] <= CAPACITY


def test_without_the_limiter_the_backend_collapses() -> None:
    told = run("limiter.py", "--clients", "300", "--without")
    assert told["most_at_the_backend"] > 4 * CAPACITY
    assert told["timeouts"] > 0


def test_every_client_of_the_asgi_application_is_answered() -> None:
    told = run("asgi_app.py", "--clients", "150")
    assert told["statuses"]["200"] == 150
    assert told["health"] == 200
    status = told["limiter"]
    assert status["in_flight"] == status["held_total"] == 0
    assert status["counters"]["answered"] == 151
    assert status["counters"]["unknown_call"] == 0


async def until(limiter: Limiter, key: str, value: int) -> None:
    """Let the loop turn until the limiter's status says so."""
    async with asyncio.timeout(20):
        while limiter.status()[key] != value:  # noqa: ASYNC110 (an event of the limiter that nobody would otherwise need)
            await asyncio.sleep(0)


def test_a_client_that_hangs_up_while_held_leaves_the_queue_of_a_real_server() -> None:
    async def play() -> None:
        finish, limiter = asyncio.Event(), Limiter("static:1")

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await finish.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        listener = socket.create_server(("127.0.0.1", 0))
        gate = AdmissionMiddleware(app, limiter=limiter)
        server = uvicorn.Server(uvicorn.Config(gate, lifespan="off", log_level="warning"))
        request = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody"
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            stays = await asyncio.open_connection(*listener.getsockname())
            stays[1].write(request)
            await until(limiter, "in_flight", 1)
            leaves = await asyncio.open_connection(*listener.getsockname())
            leaves[1].write(request)
            await until(limiter, "held_total", 1)
            leaves[1].close()
            await until(limiter, "held_total", 0)
            assert limiter.status()["counters"]["client_gone"] == 1
            finish.set()
            assert (await stays[0].read()).startswith(b"HTTP/1.1 204")
            stays[1].close()
            server.should_exit = True
        assert limiter.status()["counters"]["answered"] == 1

    asyncio.run(play())
