"""Requests that meet a connection about to end (T8), and a proxy that is reloaded and replaced under load (T9)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benches.mux_world import SERVER_PORT, TARGET, Stage
from benches.peers import BIN
from benches.peers.mux import Site, begin
from benches.process import BenchError, Process
from benches.record import Row
from tidegate.lab.ports_clients import Client, Tally
from tidegate.lab.ports_trial import run_to_end

SERVER = f"127.0.0.1:{SERVER_PORT}"
IDLE_S, JITTER_S = 1.0, 0.05
"""The server closes a connection that was idle for so long."""
CLOSE_LAG_S = 0.005
"""So long the end of a connection is on its way, as in a network, which loopback is not."""
ANSWER_S = 0.2
"""An answer takes so long, so that all clients of a burst have a connection at once."""
BODY = b"x" * 64
TAIL_S = 0.5
RENEWED_WITHIN_S = 15.0


@dataclass(frozen=True)
class Race:
    """Clients and bursts of T8; rate, connections, reloads and restarts of T9, and seconds between two of them."""

    clients: int = 200
    bursts: int = 12
    rate: int = 500
    connections: int = 50
    reloads: int = 20
    restarts: int = 5
    between_s: float = 0.5


QUICK = Race(clients=100, bursts=4, reloads=2, restarts=1, between_s=0.5)


def stale(test: str, peer: str, run: int, race: Race) -> Iterator[Row]:
    """T8: all clients ask at once, every idle time of the server anew; every other request is a POST."""
    with Stage() as stage:
        origin = stage.origin(
            "origin", [SERVER], idle_s=IDLE_S, jitter_s=JITTER_S, close_lag_s=CLOSE_LAG_S, health_s=ANSWER_S, seed=run
        )
        stage.proxy(peer, [SERVER])
        tally = run_to_end(_bursts(race))
        seen = stage.counts(origin)
    yield Row(test, peer, "failed_requests", round(1e5 * tally.failed / tally.sent, 1), "per 100000", run)
    yield Row(test, peer, "duplicate_posts", seen["duplicate_posts"], "requests", run)
    yield Row(test, peer, "requests", tally.sent, "requests", run)


async def _bursts(race: Race) -> Tally:
    tally, clients = Tally(), [Client(number, TARGET) for number in range(race.clients)]

    async def one(client: Client, burst: int) -> None:
        tally.sent += 1
        post = (client.number + burst) % 2 == 0
        # Clients come within the jitter of the server: some before it closes, some after, some meanwhile.
        await asyncio.sleep(2 * JITTER_S * client.number / race.clients)
        async with asyncio.timeout(20):
            if post:
                tally.count(await client.ask("/health", method="POST", body=BODY, post_id=f"{client.number}-{burst}"))
            else:
                tally.count(await client.ask("/health"))

    for burst in range(race.bursts):
        began = time.monotonic()
        await asyncio.gather(*(one(client, burst) for client in clients))
        await asyncio.sleep(max(0.0, began + ANSWER_S + IDLE_S - time.monotonic()))
    for client in clients:
        client.close()
    return tally


def renewed(test: str, peer: str, run: int, race: Race) -> Iterator[Row]:
    """T9: reloads, then restarts of the program without loss as the peer knows them, under a constant load."""
    with Stage() as stage:
        stage.origin("origin", [SERVER])
        proxy = stage.proxy(peer, [SERVER], detached=True)
        hands = _Hands(peer, Site(stage.world.folder, [SERVER]), stage.proxies)
        tally = run_to_end(_under_load(race, hands, proxy))
    yield Row(test, peer, "failed_requests", tally.failed, "requests", run)
    yield Row(test, peer, "requests", tally.sent, "requests", run)
    yield Row(test, peer, "reloads", hands.reloads, "times", run)
    yield Row(test, peer, "restarts", hands.restarts, "times", run)


async def _under_load(race: Race, hands: _Hands, proxy: Process) -> Tally:
    tally, over = Tally(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(race.connections):
            group.create_task(_keep_asking(number, race, tally, over))
        await asyncio.sleep(TAIL_S)
        for _ in range(race.reloads):
            await asyncio.to_thread(hands.reload, proxy)
            await asyncio.sleep(race.between_s)
        for _ in range(race.restarts):
            if await asyncio.to_thread(hands.restart, proxy):
                await asyncio.sleep(race.between_s)
        await asyncio.sleep(TAIL_S)
        over.set()
    return tally


async def _keep_asking(number: int, race: Race, tally: Tally, over: asyncio.Event) -> None:
    """Ask at a fixed rate over one connection, which is made anew when the proxy has closed it between two requests."""
    client, every = Client(number, TARGET), race.connections / race.rate
    next_at = time.monotonic() + every * number / race.connections
    while not over.is_set():
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))
        next_at += every
        tally.sent += 1
        try:
            async with asyncio.timeout(10):
                tally.count(await client.ask())
        except TimeoutError:
            tally.count(0)
    client.close()


class _Hands:
    """How each peer reads its file again, and how a new program takes over from the old one."""

    def __init__(self, peer: str, site: Site, proxies: list[Process]) -> None:
        self._peer, self._site, self._proxies = peer, site, proxies
        self.reloads = self.restarts = self._epoch = 0

    def reload(self, proxy: Process) -> None:
        """Reload once, and wait until it is done."""
        match self._peer:
            case "tidegate":
                self._tidegate("reload")
            case "nginx":
                os.kill(int((self._site.folder / "nginx.pid").read_text()), signal.SIGHUP)
            case "envoy":
                self._next_envoy()
            case _:
                os.kill(proxy.popen.pid, signal.SIGUSR2)
        self.reloads += 1

    def restart(self, proxy: Process) -> bool:
        """Let a new program take over; return whether the peer knows how."""
        match self._peer:
            case "tidegate":
                if not self._knows_restart():
                    return False
                self._tidegate("restart")
            case "nginx":
                self._next_nginx()
            case "envoy":
                self._next_envoy()
            case _:
                os.kill(proxy.popen.pid, signal.SIGUSR2)  # the master executes the program anew
        self.restarts += 1
        return True

    def _tidegate(self, command: str) -> None:
        admin = self._site.folder / "admin.sock"
        ran = subprocess.run(
            [BIN / "tidegate", "gate", command, "--admin", admin], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise BenchError(f"tidegate gate {command} failed: {ran.stderr.strip()[-200:]}")

    def _knows_restart(self) -> bool:
        asked = subprocess.run([BIN / "tidegate", "gate", "restart", "--help"], capture_output=True, check=False)
        return asked.returncode == 0

    def _next_envoy(self) -> None:
        """Start the next epoch, which takes the listeners over from the one before."""
        self._epoch += 1
        self._proxies.append(begin(self._peer, self._site, self._epoch))
        before = self._proxies[-2]
        _wait(lambda: before.popen.poll() is not None, "Envoy's predecessor does not end")

    def _next_nginx(self) -> None:
        """Let the master start the new program with its listeners, and end the old one when that runs."""
        pid_file: Path = self._site.folder / "nginx.pid"
        old = int(pid_file.read_text())
        os.kill(old, signal.SIGUSR2)

        def taken_over() -> bool:
            with contextlib.suppress(OSError, ValueError):
                return int(pid_file.read_text()) != old
            return False

        _wait(taken_over, "nginx's new program does not start")
        os.kill(old, signal.SIGQUIT)


def _wait(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + RENEWED_WITHIN_S
    while not condition():
        if time.monotonic() > give_up:
            raise BenchError(what)
        time.sleep(0.02)
