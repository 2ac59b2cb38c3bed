"""Is a healthy server blamed? Exhausted source ports (T4), a middlebox at its limit (T5), a proxy that lags (T11).

In all three the servers are well the whole time; what is wrong lies on this side of them. Then one of them really dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass

from benches.mux_world import SERVER_PORT, TARGET, Stage, kernel_ports, middlebox
from benches.peers.mux import Monitor
from benches.process import Process
from benches.record import Row
from tidegate.lab.ports_clients import Tally
from tidegate.lab.ports_trial import Outcome, Terms, Trial, run_to_end
from tidegate.lab.world import Child

RANGE = (20000, 20019)
"""Twenty ports, as in the measurements of KB 425869's failure."""
PER_SERVER = RANGE[1] - RANGE[0] + 1
BOX_MOST = 20
MANY = 20
"""Servers of T11."""
# A starved proxy: stopped for longer than its monitors wait, then let go for a moment. Its servers answer in HEALTH_S.
STOPPED_S, LET_GO_S, HEALTH_S = 0.7, 0.02, 0.03


@dataclass(frozen=True)
class Blame:
    """For how long things are wrong, and how often the monitors look, in seconds."""

    hold_s: float = 8.0
    lag_s: float = 5.0
    interval_s: float = 0.5
    up_within_s: float = 20.0


QUICK = Blame(hold_s=3.0, lag_s=3.0, up_within_s=8.0)


def exhausted(test: str, peer: str, run: int, blame: Blame) -> Iterator[Row]:
    """T4: a range of 20 ports, and more clients than that who hold a connection to each of two servers."""
    yield from _held_rows((test, peer, run), blame, nullcontext(), RANGE)


def at_its_limit(test: str, peer: str, run: int, blame: Blame) -> Iterator[Row]:
    """T5: ports enough, but a middlebox resets every connection beyond 20 to each server."""
    box = middlebox([SERVER_PORT, SERVER_PORT + 1], BOX_MOST)
    yield from _held_rows((test, peer, run), blame, box, None)


def _held_rows(
    about: tuple[str, str, int], blame: Blame, box: AbstractContextManager[None], ports: tuple[int, int] | None
) -> Iterator[Row]:
    peer = about[1]
    with Stage() as stage:
        servers = [f"127.0.0.1:{SERVER_PORT + number}" for number in (0, 1)]
        origins = [stage.origin(f"s{number}", [address]) for number, address in enumerate(servers)]
        # Who is told a range uses that one; the others get the same as the kernel's.
        own = peer in {"tidegate", "haproxy-always"}
        with ExitStack() as while_held, kernel_ports(*ports) if ports and not own else nullcontext():
            while_held.enter_context(box)
            stage.proxy(peer, servers, ports=ports, monitor=Monitor("tcp", blame.interval_s))
            trial = _trial(stage, peer, origins, blame)

            async def held(tally: Tally) -> None:
                await trial.hold(tally, 2 * PER_SERVER, blame.hold_s, while_held.close)

            seen = run_to_end(trial.play("connections are held", held))
    yield from _rows(about, seen)


def lagging(test: str, peer: str, run: int, blame: Blame) -> Iterator[Row]:
    """T11: the proxy gets next to no CPU time for some seconds, before twenty servers that are asked GET /health."""
    with Stage() as stage:
        servers = [f"127.0.1.{number}:{SERVER_PORT}" for number in range(1, MANY + 1)]
        victim = stage.origin("victim", servers[:1], health_s=HEALTH_S)
        well = stage.origin("well", servers[1:], health_s=HEALTH_S)
        proxy = stage.proxy(peer, servers, monitor=Monitor("http", blame.interval_s))

        async def starved(_: Tally) -> None:
            loop = asyncio.get_running_loop()
            end = loop.time() + blame.lag_s
            while loop.time() < end:
                _signal(proxy, signal.SIGSTOP)
                await asyncio.sleep(STOPPED_S)
                _signal(proxy, signal.SIGCONT)
                await asyncio.sleep(LET_GO_S)
            await asyncio.sleep(1)  # what was decided in the last moment is seen

        seen = run_to_end(_trial(stage, peer, [victim, well], blame).play("the proxy lags", starved))
    yield from _rows((test, peer, run), seen)


def _trial(stage: Stage, peer: str, origins: list[Child], blame: Blame) -> Trial:
    def release() -> None:
        for origin in origins:
            origin.say({"cmd": "release"})

    terms = Terms(TARGET, patience_s=max(blame.hold_s, blame.lag_s) + 30, up_within_s=blame.up_within_s)
    # nginx's log tells when it takes a server out, not when it takes it back.
    return Trial(terms, stage.look(peer), release, origins[0].process.kill, tells_up=peer != "nginx")


def _rows(about: tuple[str, str, int], seen: Outcome) -> Iterator[Row]:
    yield Row(*about[:2], "false_down", seen.false_down, "times", about[2])
    yield Row(*about[:2], "failed_requests", seen.failed, "requests", about[2])
    for metric, seconds in (("recovered_s", seen.recovered_s), ("detect_down_s", seen.detect_down_s)):
        yield Row(*about[:2], metric, None if seconds is None else round(seconds, 2), "s", about[2])


def _signal(proxy: Process, signum: int) -> None:
    for pid in proxy.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
