"""An ASGI application behind AdmissionMiddleware: reports that are expensive, and a health check that must not wait.

    uvicorn --app-dir examples/library asgi_app:app        # serve it
    python examples/library/asgi_app.py --clients 200      # serve it to a storm of clients

The reports come from something that serves 8 at a time and gets slower for everybody with more. What is turned away
gets 503 with Retry-After.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from tidegate import AdmissionMiddleware, Call, Limiter

CAPACITY = 8
GIVE_UP_S = 30.0
_in_use = 0


async def reports(scope: Any, receive: Any, send: Any) -> None:
    """Answer `/healthz` at once and anything else after 20 ms of work, or more when too many ask."""
    global _in_use  # noqa: PLW0603 (the example's whole state)
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    if scope["path"] != "/healthz":
        _in_use += 1
        try:
            for _ in range(4):
                await asyncio.sleep(0.005 * max(1.0, _in_use / CAPACITY) ** 2)
        finally:
            _in_use -= 1
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"done\n"})


def classify(scope: Any) -> Call:
    """Say what a request is: health checks have a place of their own, who calls stands in a header."""
    if scope["path"] == "/healthz":
        return Call(kind="probe")
    names = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-client"]
    return Call(client=names[0] if names else None, operation="report")


limiter = Limiter()
app = AdmissionMiddleware(reports, limiter=limiter, classify=classify)


@contextlib.asynccontextmanager
async def served(application: Any) -> AsyncIterator[int]:
    """Serve an application on a free port of this machine; give the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)  # so early clients are not refused
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_level="warning"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True


async def get(port: int, path: str, client: str) -> tuple[int, float]:
    """Ask once; return the status and, in seconds, when to come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-client: {client}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode())
        lines = (await reader.read()).decode("latin-1").split("\r\n")
    finally:
        writer.close()
    after = [line.partition(":")[2] for line in lines if line.lower().startswith("retry-after:")]
    return int(lines[0].split()[1]), float(after[0]) if after else 1.0


async def client(port: int, name: str, statuses: Counter[int]) -> None:
    """Ask until the report is there."""
    while True:
        status, seconds = await get(port, "/report", name)
        statuses[status] += 1
        if status == 200:
            return
        await asyncio.sleep(seconds)


async def storm(clients: int) -> dict[str, object]:
    """Let so many clients come at once, ask for the health meanwhile, and return what became of it."""
    statuses: Counter[int] = Counter()
    async with served(app) as port, asyncio.timeout(GIVE_UP_S), asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(port, f"host-{number}", statuses))
        health, _ = await get(port, "/healthz", "monitor")
    return {"clients": clients, "statuses": dict(statuses), "health": health, "limiter": limiter.status()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    print(json.dumps(asyncio.run(storm(parser.parse_args().clients)), indent=2))


if __name__ == "__main__":
    main()
