"""`make bench-library`: what it costs to be admitted by the limiter inside a server, into results/library.json.

Tests: `free` (a slot is free: enter and leave), `held` (four callers and one slot: every call is held first) and `asgi`
(one request through the middleware to an application that answers at once). Peers: what people use for this today,
`asyncio.Semaphore` and aiolimiter, and `nothing`, which is the floor. Neither of them knows clients, deadlines or a
queue that is bounded, so this is the price of those. Peers take turns; every run is a fresh loop.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.metadata
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benches.gate import refuse_debug_build, wait_for_quiet
from benches.process import BenchError
from benches.record import Record, Row
from tidegate import AdmissionMiddleware, Limiter

RESULTS = Path(__file__).parent / "results"
RUNS, COUNT = 5, 50_000
QUICK_RUNS, QUICK_COUNT = 1, 5_000
CALLERS = 4
METRIC = "us_per_admit"
# aiolimiter limits a rate, not how much is in flight: with this one nobody ever waits.
RATE = 1e9

Enter = Callable[[], contextlib.AbstractAsyncContextManager[Any]]


class _Nothing:
    """The floor: an `async with` that does nothing."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def _entry(peer: str, limit: int) -> Enter:
    """Return what makes one `async with` of a peer; to be called inside the loop."""
    if peer == "tidegate":
        limiter = Limiter(f"static:{limit}")
        return lambda: limiter.admit(client="client", operation="operation", deadline=30.0)
    if peer == "semaphore":
        semaphore = asyncio.Semaphore(limit)
        return lambda: semaphore
    if peer == "aiolimiter":
        rate = importlib.import_module("aiolimiter").AsyncLimiter(RATE, 1)  # of the bench group, not in every .venv
        return lambda: rate
    return _Nothing


async def _free(peer: str, count: int) -> float:
    enter = _entry(peer, 64)
    began = time.perf_counter()
    for _ in range(count):
        async with enter():
            pass
    return (time.perf_counter() - began) / count


async def _held(peer: str, count: int) -> float:
    enter = _entry(peer, 1)

    async def caller() -> None:
        for _ in range(count // CALLERS):
            async with enter():
                await asyncio.sleep(0)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return (time.perf_counter() - began) / count


async def _answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _asgi(peer: str, count: int) -> float:
    app: Any = AdmissionMiddleware(_answer, limiter=Limiter("static:64")) if peer == "tidegate" else _answer
    scope = {"type": "http", "client": ("192.0.2.1", 4711), "path": "/"}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    began = time.perf_counter()
    for _ in range(count):
        await app(scope, receive, send)
    return (time.perf_counter() - began) / count


TESTS = {
    "free": (_free, ("tidegate", "semaphore", "aiolimiter", "nothing")),
    "held": (_held, ("tidegate", "semaphore", "nothing")),
    "asgi": (_asgi, ("tidegate", "nothing")),
}


def cells(runs: int) -> Iterator[tuple[str, str, int]]:
    """Yield (test, peer, run): runs forth and back through the peers, one test after the other."""
    for test, (_, peers) in TESTS.items():
        for number in range(1, runs + 1):
            for peer in peers if number % 2 else reversed(peers):
                yield test, peer, number


def ratios(rows: list[Row]) -> Iterator[str]:
    """Yield one line per test: the medians, and ours over each peer's."""
    for test, (_, peers) in TESTS.items():
        middle = {
            peer: statistics.median(values)
            for peer in peers
            if (values := [row.value for row in rows if (row.test, row.peer) == (test, peer) and row.value is not None])
        }
        if ours := middle.get("tidegate"):
            against = ", ".join(f"{ours / middle[peer]:.1f} x {peer}" for peer in middle if peer != "tidegate")
            yield f"{test}: {ours:.2f} us per admit ({against})"


def run(*, quick: bool, fresh: bool) -> None:
    """Measure every cell that the results file does not have yet, and tell the ratios."""
    refuse_debug_build()
    runs, count = (QUICK_RUNS, QUICK_COUNT) if quick else (RUNS, COUNT)
    path = RESULTS / ("library-quick.json" if quick else "library.json")
    packages = {name: importlib.metadata.version(name) for name in ("tidegate", "aiolimiter")}
    settings = {"runs": runs, "count": count, "callers": CALLERS}
    record = Record(path, packages | {"python": sys.version.split()[0]}, settings, fresh=fresh or quick)
    if not quick:
        wait_for_quiet()
    for test, peer, number in cells(runs):
        if record.has(test, peer, number):
            continue
        measure = TESTS[test][0]
        asyncio.run(measure(peer, count // 10))  # warm: imports, allocator, caches
        seconds = asyncio.run(measure(peer, count))
        record.add([Row(test, peer, METRIC, round(seconds * 1e6, 3), "us", number)])
    print(*ratios(record.rows), f"written: {path.relative_to(RESULTS.parent.parent)}", sep="\n", file=sys.stderr)


def main() -> int:
    """Run from the command line: 0 fine, 3 stopped because the figures could not be trusted."""
    parser = argparse.ArgumentParser(prog="python -m benches.library", description="Measure what being admitted costs.")
    parser.add_argument("--quick", action="store_true", help="one short run of each, into library-quick.json")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on where it stopped")
    arguments = parser.parse_args()
    try:
        run(quick=arguments.quick, fresh=arguments.fresh)
    except BenchError as error:
        print(f"bench-library: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
