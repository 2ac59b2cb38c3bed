"""Many clients before few connections: idle fan-in (T1), one-shot clients (T2), CPU per request with pooling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benches.load import CONNECTIONS, IdleClients, offer, one_shots
from benches.mux_world import SERVER_PORT, TARGET, Stage
from benches.process import BenchError, Process
from benches.record import Row

WARM_UP = 100
MANY = 6000
SERVER = f"127.0.0.1:{SERVER_PORT}"
# A fixed rate that takes longer than this was not held.
SLOWEST = 1.05


@dataclass(frozen=True)
class Fan:
    """How long and how many: seconds between the two waves, requests per second, seconds."""

    stay_s: float = 5.0
    stay_6000_s: float = 15.0
    one_shot_rate: int = 500
    one_shot_s: float = 4.0
    rate: int = 4000
    rate_s: float = 5.0


QUICK = Fan(stay_s=1.0, stay_6000_s=1.0, one_shot_s=1.0, rate=1000, rate_s=1.0)


def idle(test: str, peer: str, run: int, clients: int, fan: Fan) -> Iterator[Row]:
    """T1: so many clients send one request each and stay; later each sends another one."""
    with Stage() as stage:
        origin = stage.origin("origin", [SERVER])
        proxy = stage.proxy(peer, [SERVER])
        there = IdleClients(TARGET[1], tls=False)
        try:
            there.add(WARM_UP)
            before = proxy.private_bytes()
            there.add(clients - WARM_UP)
            time.sleep(fan.stay_6000_s if clients >= MANY else fan.stay_s)
            grown = proxy.private_bytes() - before
            there.again()
            seen = stage.counts(origin)
        finally:
            there.close()
    if seen["requests"] != 2 * clients:
        raise BenchError(f"{2 * clients} requests were sent, and {seen['requests']} came to the server")
    yield Row(test, peer, "backend_connections", seen["peak"], "connections", run)
    yield Row(test, peer, "connects_per_1000_requests", _per_1000(seen), "connections", run)
    yield Row(test, peer, "bytes_per_idle_client", round(grown / (clients - WARM_UP)), "B", run)


def one_shot(test: str, peer: str, run: int, fan: Fan) -> Iterator[Row]:
    """T2: every client sends one request over a connection of its own, and leaves."""
    with Stage() as stage:
        origin = stage.origin("origin", [SERVER])
        proxy = stage.proxy(peer, [SERVER])
        one_shots(TARGET[1], fan.one_shot_rate, 1.0, stage.world.folder)
        first, before = stage.counts(origin), proxy.cpu_us()
        sent = one_shots(TARGET[1], fan.one_shot_rate, fan.one_shot_s, stage.world.folder)
        spent, last = proxy.cpu_us() - before, stage.counts(origin)
    seen = {key: last[key] - first[key] for key in ("connections", "requests")}
    yield Row(test, peer, "connects_per_1000_requests", _per_1000(seen), "connections", run)
    yield Row(test, peer, "cpu_us_per_request", round(spent / sent, 2), "us", run)


def keep_alive(test: str, peer: str, run: int, fan: Fan, fast: Path) -> Iterator[Row]:
    """CPU time per request at the fixed rate of bench-gate, with pooling: nothing limits connections to the server."""
    with Stage() as stage:
        proxy = stage.proxy(peer, [stage.fast_origin(fast)])
        _offer(proxy, fan.rate, 1.0, stage)
        us = _offer(proxy, fan.rate, fan.rate_s, stage)
    yield Row(test, peer, "cpu_us_per_request", round(us, 2), "us", run)


def _offer(proxy: Process, rate: int, seconds: float, stage: Stage) -> float:
    """Return the CPU time of the proxy per request, in microseconds."""
    before = proxy.cpu_us()
    seen = offer(TARGET[1], rate, seconds, stage.world.folder, tls=False)
    if seen.took_s > SLOWEST * seconds + 0.2:
        raise BenchError(f"the rate was not held: {seconds:g} s of requests took {seen.took_s:.1f} s")
    return (proxy.cpu_us() - before) / max(CONNECTIONS, seen.requests)


def _per_1000(seen: dict[str, int]) -> float:
    return round(1000 * seen["connections"] / max(1, seen["requests"]), 2)
