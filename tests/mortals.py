"""Controllers that die: each in a process of its own, by SIGKILL, at the n-th write to the journal or the n-th act.

The processes come from a fork server that has no threads: a fork of the test's own process would inherit whatever its
threads had locked.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from tidegate.fleet import events as e
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.journal import Journal, JournalLost, open_journal, stand_by
from tidegate.fleet.runner import Pace, Runner, Tools
from tidegate.lab.fleet import FleetWorld, LabWork
from tidegate.lab.fleet_calls import Reconnect

__all__ = ["AtOnce", "begun", "control", "cut_off", "event", "hold_lock", "in_a_process"]

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["mortals"])


class AtOnce:
    """Hosts without a provider: whoever is started is connected at once, but one that never reconnects is not."""

    def __init__(self, world: FleetWorld) -> None:
        self._hosts = world.hosts

    def last(self, host: str, start: int) -> Reconnect | None:
        now = self._hosts.read(host)
        if now.misbehaves == "never" or now.starts != start:
            return None
        return Reconnect(host, start, now.start_time, now.start_time, connected=True)


class Fatal:
    """Kills this process, with the signal that nobody can catch, when it has counted down."""

    def __init__(self, after: int) -> None:
        self.left = after

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class FatalJournal:
    """A journal whose controller dies after a write."""

    def __init__(self, journal: Journal, fatal: Fatal) -> None:
        self._journal, self._fatal = journal, fatal

    def append(self, run: str, event: e.Event) -> int:
        number = self._journal.append(run, event)
        self._fatal.count()
        return number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)


class FatalWork(LabWork):
    """Work whose controller dies after an act, before anybody has written that it happened."""

    fatal: Fatal

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        after = await super().act(step, host, before)
        self.fatal.count()
        return after


def control(place: str, run: str, folder: Path, writes: int = 0, acts: int = 0) -> None:
    """Be a controller until there is nothing more to do, or until death."""
    world = FleetWorld.read(folder)
    work = FatalWork(world, AtOnce(world))
    work.fatal = Fatal(acts)
    opened = open_journal(place)
    journal: Any = FatalJournal(opened, Fatal(writes))
    tools = Tools(by=str(os.getpid()), pace=Pace(tick_s=0.05))
    with stand_by(opened, run, sleep=lambda _: time.sleep(0.005)):
        asyncio.run(Runner(journal, run, work, tools).drive())
    opened.close()


def cut_off(url: str, run: str, folder: Path) -> None:
    """Be a controller whose database hangs up while its first hosts are being acted on; it must notice, and say so."""

    class Cut(LabWork):
        async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
            after = await super().act(step, host, before)
            with psycopg.connect(url, autocommit=True) as base:
                base.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> ''")
            return after

    world = FleetWorld.read(folder)
    runner = Runner(open_journal(url), run, Cut(world, AtOnce(world)), Tools(pace=Pace(tick_s=0.05)))
    try:
        asyncio.run(runner.drive())
    except JournalLost as error:
        if "does not answer" in error.message and "what became of esx" in error.hint:
            return
        raise
    raise AssertionError("it did not notice")


def hold_lock(place: str, run: str, ready: Any) -> None:
    """Hold a run's lock until death."""
    with open_journal(place).lock(run):
        ready.set()
        signal.pause()


def event() -> Any:
    """Return an event that processes share."""
    return _PROCESSES.Event()


def begun(what: Callable[..., None], *arguments: object) -> Any:
    """Return a process in which it has begun."""
    process = _PROCESSES.Process(target=what, args=arguments)
    process.start()
    return process


def in_a_process(what: Callable[..., None], *arguments: object) -> int:
    """Do it in a process of its own; return the signal that it died of, else 0."""
    process = begun(what, *arguments)
    process.join()
    code: int = process.exitcode
    process.close()
    assert code <= 0, "the controller failed"
    return -code
