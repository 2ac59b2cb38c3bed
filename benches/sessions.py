"""`make bench-sessions`: what a vCenter sees of scripts and of an API storm, straight, through HAProxy and the gate.

Run 1 of every cell comes first, then run 2, and so on, with the peers forth and back. Interrupted, it goes on where it
stopped; `--fresh` begins anew. `--quick` looks once, into results/sessions-quick.json only. README.md beside this file
has the method.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches import peers, sessions_storm
from benches.command import command
from benches.load import percentile, pin_to_client_cpu
from benches.peers.sessions import BEST, PACKAGES, PEERS
from benches.process import BenchError, chosen_from, install_missing
from benches.record import Record, Row, digest
from benches.sessions_storm import Storm
from benches.sessions_world import Stage
from benches.trust import refuse_debug_build, tell, wait_for_quiet
from benches.turns import Cell, measure_all, turns
from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Caller, Calls
from tidegate.lab.vcenter_scenario import PASSWORD, USER, VcenterScenario
from tidegate.lab.vcenter_session import Session

RESULTS = Path(__file__).parent / "results"
TESTS = ("scripts", "S6", "memory")
THEIRS = (
    "benches/peers/sessions/haproxy.cfg",
    *(f"benches/sessions_{name}.py" for name in ("storm", "world")),
    *(f"src/tidegate/lab/vcenter_{name}.py" for name in ("caller", "habits", "scenario", "scripts", "session")),
    "tests/vcsim",
)
"""What the figures of the other peers depend on: with another commit of the gate they stay as they are."""
_GRACE_S = 10.0
_WARM = 50
_AT_ONCE = 20


@dataclass(frozen=True)
class Settings:
    """Which tests, how often, and how large each is."""

    runs: int = 5
    window_s: float = 60.0
    scripts: int = 200
    storm: Storm = field(default_factory=Storm)
    sessions: int = 1000
    """Of the test of memory."""


QUICK = Settings(runs=1, window_s=40.0, storm=sessions_storm.QUICK, sessions=400)


@dataclass(frozen=True)
class Bench:
    """One benchmark."""

    settings: Settings

    def measure(self, test: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one test of one peer, once. The run is the seed."""
        how: dict[str, Callable[[str, int], Iterator[tuple[str, float | None, str]]]] = {
            "scripts": self._scripts,
            "S6": self._storm,
            "memory": self._memory,
        }
        return [Row(test, peer, metric, value, unit, run) for metric, value, unit in how[test](peer, run)]

    def _scripts(self, peer: str, run: int) -> Iterator[tuple[str, float | None, str]]:
        scenario = VcenterScenario(self.settings.scripts, seed=run, pyvmomi=0, window_s=self.settings.window_s)
        with Stage(peer, scenario, BEST["scripts"], scenario.window_s) as stage:
            spec = scenario.scripts_spec(stage.world.folder, stage.address)
            child, _ = stage.child("scripts", "vcenter_scripts", spec)
            cpu_us = stage.cpu_us()
            child.say({"cmd": "go"})
            final = stage.heard("scripts", "final", scenario.window_s + _GRACE_S)
            yield from _costs(stage, cpu_us, final["calls"])
            yield from _counted(stage.counts())
        yield "failed_calls", final["failed_calls"], "1"
        yield "scripts_not_done", self.settings.scripts - final["done"], "1"
        yield "p99_ms", _p99(final["durations_ms"]), "ms"

    def _storm(self, peer: str, run: int) -> Iterator[tuple[str, float | None, str]]:
        storm = self.settings.storm
        scenario = VcenterScenario(speed=storm.speed, seed=run)
        with Stage(peer, scenario, BEST["S6"], storm.patience_s / storm.speed, storm.told()) as stage:
            cpu_us = stage.cpu_us()
            ca = str(stage.world.folder / "ca.pem")
            seen = asyncio.run(sessions_storm.play(storm, stage.target(), ca, run))
            yield from _costs(stage, cpu_us, sum(calls.made for calls in seen.all()))
            yield from _counted(stage.counts())
        yield "failed_calls", sum(calls.failed for calls in seen.all()), "1"
        yield "failed_calls_of_others", seen.monitors.failed + seen.scripts.failed, "1"
        yield "p99_ms", _p99([1000 * s for calls in seen.all() for s in calls.durations_s]), "ms"
        yield "p99_poll_ms", _p99([1000 * s for s in seen.monitors.durations_s]), "ms"

    def _memory(self, peer: str, run: int) -> Iterator[tuple[str, float | None, str]]:
        count = self.settings.sessions
        room = {"sessions_max": 2 * count, "session_idle_s": 1800.0}
        with Stage(peer, VcenterScenario(speed=1, seed=run), BEST["S6"], 30.0, room) as stage:
            if stage.proxy is None:
                return
            asyncio.run(_log_in(stage, _WARM))
            before = stage.proxy.private_bytes()
            asyncio.run(_log_in(stage, count))
            grown = stage.proxy.private_bytes() - before
        yield "bytes_per_downstream_session", round(grown / count), "B"


def _costs(stage: Stage, before_us: float, calls: int) -> Iterator[tuple[str, float | None, str]]:
    if stage.proxy is not None:
        yield "cpu_us_per_call", round((stage.cpu_us() - before_us) / calls, 1), "us"


def _counted(counts: dict[str, Any]) -> Iterator[tuple[str, float | None, str]]:
    yield "upstream_logins", counts["logins"], "1"
    yield "peak_sessions", counts["peak_sessions"], "1"
    yield "expired_tokens", counts["expired_in_queue"], "1"


def _p99(values_ms: list[float]) -> float | None:
    return percentile(sorted(round(10 * value) for value in values_ms), 0.99) / 10 if values_ms else None


async def _log_in(stage: Stage, count: int) -> None:
    """Log in so often, read once each, and forget the session and its connection."""
    target, calls, room = stage.target(), Calls(), asyncio.Semaphore(_AT_ONCE)

    async def one() -> None:
        async with room:
            caller = Caller(target, calls, patience_s=30)
            session = await Session.begin(caller, calls, USER, PASSWORD)
            await session.machines()
            caller.close()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
    except* CallFailed as failed:
        raise BenchError(f"a login failed: {failed.exceptions[0]}") from None


def cells(settings: Settings, chosen: tuple[str, ...], tests: tuple[str, ...]) -> Iterator[Cell]:
    """Yield what is measured, in turn; without a proxy there is no memory of one."""

    def names(test: str) -> list[str]:
        return [peer for peer in PEERS if peer in chosen and not (test == "memory" and peer == "direct")]

    return turns(settings.runs, tests, names)


def fixed(settings: Settings) -> dict[str, Any]:
    """Return what must be the same for a results file to be gone on with, as JSON has it."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return {**value, "lab": digest(THEIRS)}


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet."""
    settings = QUICK if arguments.quick else Settings()
    chosen = chosen_from(arguments.peers, PEERS, "peer")
    tests = chosen_from(arguments.tests, TESTS, "test")
    if "tidegate" in chosen:
        refuse_debug_build()
    install_missing(PACKAGES)
    path = RESULTS / ("sessions-quick.json" if arguments.quick else "sessions.json")
    record = Record(
        path,
        peers.versions("tidegate", "haproxy"),
        fixed(settings),
        fresh=arguments.fresh or arguments.quick,
        any_commit=lambda row: row.peer != "tidegate",
    )
    pin_to_client_cpu()
    if not arguments.quick:
        wait_for_quiet()
    measure_all(record, cells(settings, chosen, tests), Bench(settings).measure, width=13)
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}")


if __name__ == "__main__":
    sys.exit(command("sessions", "Measure sessions at a vCenter.", "each once, into sessions-quick.json", run))
