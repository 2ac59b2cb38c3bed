"""The pace of work on many virtual machines. Pure: (what has begun and ended, readings, now) → go, hold or halt.

The rules, in words; the numbers are KB 440879's ("batching, 20 to 50 VMs at a time", "20ms to 25ms"):

- Work begins in batches. When a batch is full the next one begins after everything of this one has ended, and a pause.
- No more than ``concurrency`` are under way at a time. Each sample of datastore latency at the upper threshold halves
  that number, down to one; each sample below nine tenths of the lower one gives one back.
- While a guard says no, nothing begins: the work *holds*. It halts when a guard has said no for longer than
  ``patience``; at once where waiting does not help (too many failed) or was not asked for (a window that is closed).
- What is under way is never broken off by a guard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.fleet.act import Guard, Readings, Trip
from tidegate.fleet.guards import HOSTS_FAILED, DatastoreLatency, Level, WindowGuard

__all__ = ["Answer", "Go", "Halt", "Hold", "Pace", "Rules"]


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of a pace.

    Parameters
    ----------
    batch
        How many make a batch.
    concurrency
        How many are under way at a time, at the most.
    pause_s
        From the end of a batch to the beginning of the next, in seconds.
    patience_s
        How long a guard may say no before the work halts.
    wait
        Whether to wait for a window that is closed, instead of halting.
    """

    batch: int = 20
    concurrency: int = 4
    pause_s: float = 30.0
    patience_s: float = 900.0
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """One more may begin; the asker says :meth:`Pace.begin` next."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing may begin before ``until``, or (``None``) before something ends or is read.

    ``guard`` is the one that says no; empty where the work itself is what is waited for.
    """

    until: float | None
    why: str
    guard: str = ""


@dataclass(frozen=True, slots=True)
class Halt:
    """Nothing more will begin."""

    guard: str
    why: str


Answer = Go | Hold | Halt


class Pace:
    """What has begun and ended, and what may begin next."""

    def __init__(self, rules: Rules, guards: Sequence[Guard] = ()) -> None:
        self.rules = rules
        self.guards = tuple(guards)
        self.concurrency = rules.concurrency
        """How many may be under way now."""
        self.in_flight = 0
        self.batch = 1
        """The number of the batch."""
        self.begun = 0
        """How many of it have begun."""
        self.failed = 0
        self._ended_at = 0.0
        self._held_since: float | None = None
        self._noted: dict[str, float] = {}

    def ask(self, readings: Readings, now: float) -> Answer:
        """Return whether one more may begin."""
        self._adapt(readings, now)
        readings.add(HOSTS_FAILED, now, self.failed)
        trips = [(guard, trip) for guard in self.guards if (trip := guard.judge(readings, now)) is not None]
        for guard, trip in trips:
            if guard.kind == "failed-hosts" or (guard.kind == "window" and not self.rules.wait):
                return Halt(trip.guard, trip.why)
        if (hold := self._full(now)) is not None:
            return hold
        for guard, trip in trips:
            if isinstance(guard, WindowGuard):
                return Hold(guard.window.next_open(now), trip.why, trip.guard)
        if trips:
            return self._patient(trips[0][1], now)
        self._held_since = None
        return Go()

    def begin(self) -> None:
        """Note that one has begun."""
        if self.begun >= self.rules.batch:
            self.batch, self.begun = self.batch + 1, 0
        self.begun += 1
        self.in_flight += 1
        self._held_since = None

    def end(self, now: float, *, ok: bool) -> None:
        """Note that one has ended."""
        self.in_flight -= 1
        self.failed += not ok
        self._ended_at = now

    def _full(self, now: float) -> Hold | None:
        if self.begun >= self.rules.batch:
            if self.in_flight:
                return Hold(None, f"batch {self.batch} is full; {self.in_flight} of it are under way")
            if now < (until := self._ended_at + self.rules.pause_s):
                return Hold(until, f"pause after batch {self.batch}")
        if self.in_flight >= self.concurrency:
            return Hold(None, f"{self.in_flight} are under way, and {self.concurrency} may be")
        return None

    def _patient(self, trip: Trip, now: float) -> Hold | Halt:
        if self._held_since is None:
            self._held_since = now
        until = self._held_since + self.rules.patience_s
        if now >= until:
            return Halt(trip.guard, f"{trip.why}; it has said so for {self.rules.patience_s:g} s")
        return Hold(until, trip.why, trip.guard)

    def _adapt(self, readings: Readings, now: float) -> None:
        """Let each sample that is new change the concurrency."""
        disks = [guard for guard in self.guards if isinstance(guard, DatastoreLatency)]
        quiet = all(disk.judge(readings, now) is None for disk in disks)
        for disk in disks:
            noted = self._noted.get(disk.name)
            for sample in readings.since(disk.name, noted if noted is not None else 0.0):
                if noted is not None and sample.at <= noted:
                    continue
                self._noted[disk.name] = sample.at
                level = disk.level(sample.value)
                if level is Level.HALVE:
                    self.concurrency = max(1, self.concurrency // 2)
                elif level is Level.QUIET and quiet:
                    self.concurrency = min(self.rules.concurrency, self.concurrency + 1)
