"""A server in asyncio that protects what it stands in front of with a Limiter, and a storm of clients to see it by.

The backend serves 8 calls at a time; with more it thrashes. Clients wait 2 s for an answer, then hang up and come back;
the backend works on for those who have gone.

    python examples/library/limiter.py --clients 300              # the limit is found
    python examples/library/limiter.py --clients 300 --without    # what happens without a limiter
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections import Counter

from tidegate import Limiter, TurnedAway

CAPACITY = 8
PATIENCE_S = 2.0
GIVE_UP_S = 10.0


class Backend:
    """Something that gets slower for everybody when too many use it."""

    def __init__(self) -> None:
        self.in_use = 0
        self.most = 0

    async def query(self) -> None:
        """Do work that takes 20 ms when the backend is not overloaded."""
        self.in_use += 1
        self.most = max(self.most, self.in_use)
        try:
            for _ in range(4):
                await asyncio.sleep(0.005 * max(1.0, self.in_use / CAPACITY) ** 2)
        finally:
            self.in_use -= 1


class Server:
    """Answers one line with one line: `ok`, or `busy N` when the client should come back in N seconds."""

    def __init__(self, backend: Backend, limiter: Limiter | None) -> None:
        self.backend = backend
        self.limiter = limiter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):  # cancelled when the program ends
            while line := await reader.readline():
                writer.write(await self.answer(line.decode().strip()))
                await writer.drain()
        writer.close()

    async def answer(self, client: str) -> bytes:
        """Let the limiter decide, then do the work."""
        if self.limiter is None:
            await self.backend.query()
            return b"ok\n"
        try:
            async with self.limiter.admit(client=client, deadline=PATIENCE_S, operation="query"):
                await self.backend.query()
        except TurnedAway as turned_away:
            return f"busy {turned_away.retry_after:.2f}\n".encode()
        return b"ok\n"


async def client(name: str, port: int, fates: Counter[str]) -> None:
    """Ask until there is an answer; come back when the server says, or soon after it said nothing."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{name}\n".encode())
            word, _, seconds = (await asyncio.wait_for(reader.readline(), PATIENCE_S)).decode().partition(" ")
        except (TimeoutError, ConnectionError):
            word, seconds = "timeout", "0.1"
        finally:
            writer.close()
        fates[word.strip()] += 1
        if word.strip() == "ok":
            return
        await asyncio.sleep(float(seconds))


async def storm(clients: int, limiter: Limiter | None) -> dict[str, object]:
    """Let so many clients come at once; return what became of them."""
    backend, fates = Backend(), Counter[str]()
    server = await asyncio.start_server(Server(backend, limiter).serve, "127.0.0.1", 0, backlog=1024)
    port, loop = server.sockets[0].getsockname()[1], asyncio.get_running_loop()
    began = loop.time()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GIVE_UP_S), asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(client(f"host-{number}", port, fates))
    took = loop.time() - began
    server.close()
    return {
        "clients": clients,
        "answered": fates["ok"],
        "timeouts": fates["timeout"],
        "told_to_come_back": fates["busy"],
        "most_at_the_backend": backend.most,
        "seconds": round(took, 2),
        "limiter": limiter.status() if limiter else None,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--limit", default="adaptive", help='"adaptive" or "static:N"')
    parser.add_argument("--without", action="store_true", help="no limiter at all")
    arguments = parser.parse_args()
    limiter = None if arguments.without else Limiter(arguments.limit)
    print(json.dumps(asyncio.run(storm(arguments.clients, limiter)), indent=2))


if __name__ == "__main__":
    main()
