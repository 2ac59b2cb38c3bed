"""The guards: pure rules over what probes have read. (readings, now) → a reason not to go on, or ``None``.

A guard named ``disk`` reads the samples named ``disk``; :mod:`tidegate.fleet.probes` writes them. The rules, in words:

every guard
    No sample, or one that is older than 60 s, is a reason by itself: *no sample is not 0 ms*. So is a value that no
    probe can mean (negative, not a number): vCenter gives -1 where it has none. 60 s are three of vCenter's real-time
    intervals of 20 s (issue 5: "a sample older than 60 s or absent is a guard, not 0 ms").
hysteresis
    Where a value is measured, a guard that has tripped is quiet again only below nine tenths of its threshold; between
    the two it stays as it is, so it never flaps within that band. It remembers by the samples that readings keep.
``provider-response``
    Stops at ``stop_above`` (2 s) and more. KB 412434: "wait 2–3 minutes, look at response times" between batches; the
    number is ours: a fifth of the 10 s between two polls of a host.
``error-rate``
    Stops when ``stop_above`` (0.05) of the calls or more have failed. The number is ours.
``datastore-latency``
    At 20 ms and more nothing new begins; at 25 ms and more concurrency is halved as well. KB 440879: "enforce datastore
    latency thresholds (e.g., 20ms to 25ms)". A run of hosts is stopped by both, and may be resumed; what goes on in it
    nonetheless (stopping all, which no latency stops, and starting what is stopped) does so with half its concurrency
    from the second on. Paced work waits at the first, and does with half its concurrency after the second. A datastore
    whose newest sample is old, or of which vCenter gives -1, trips it even where the plan names no datastores; one of
    which vCenter has no sample at all (vSAN has none) counts only where the plan names it.
``failed-hosts``
    Stops when more than ``at_most`` (0) hosts have failed. The samples are written by the runner, as ``hosts-failed``.
``alert``
    Stops while the alert fires: a sample of 1 and more is "fires", 0 is "does not".
``window``
    Stops while the window is closed. The clock is its only reading, so it needs no sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from tidegate.clients.hysteresis import RELEASE, held
from tidegate.config.broken import Broken
from tidegate.config.urls import broken_url
from tidegate.config.windows import Window, window_of
from tidegate.fleet.act import Guard, Readings, Sample, Trip
from tidegate.fleet.guard_tables import (
    AlertTable,
    DatastoreLatencyTable,
    ErrorRateTable,
    FailedHostsTable,
    GuardTable,
    ProviderResponseTable,
    UrlTable,
    WindowTable,
)

__all__ = [
    "AlertGuard",
    "DatastoreLatency",
    "FailedHosts",
    "Level",
    "Measured",
    "WindowGuard",
    "broken_guards",
    "guards_of",
]

FRESH_S = 60.0
"""Oldest sample that counts, in seconds."""

HOSTS_FAILED = "hosts-failed"
"""The readings that the runner writes itself."""


class Level(IntEnum):
    """What one sample of a datastore's latency asks for."""

    QUIET = 0
    """Concurrency may grow again."""
    STOP = 1
    """Nothing new; concurrency stays."""
    HALVE = 2
    """Nothing new, and half the concurrency."""


def _newest(readings: Readings, name: str, now: float, what: str) -> Sample | str:
    """Return the newest sample that counts, else the sentence that says why there is none."""
    sample = readings.last(name)
    if sample is None:
        return f"there is no sample of {what} yet; none is not zero"
    age = now - sample.at
    if abs(age) > FRESH_S:
        when = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s ahead of the clock"
        return f"the newest sample of {what} is {when}; none is not zero"
    if not math.isfinite(sample.value) or sample.value < 0:
        return f"the newest sample of {what} is no value: {sample.value}"
    return sample


def _held(readings: Readings, name: str, now: float, threshold: float) -> bool:
    """Return whether the threshold was reached and its value has not fallen out of the band since."""
    tripped = False
    for sample in readings.since(name, -math.inf):
        if sample.at <= now + FRESH_S:
            tripped = held(tripped, sample.value, threshold)
    return tripped


def _said(value: float, unit: str) -> str:
    match unit:
        case "ms":
            return f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.1f} ms"
        case "s":
            return f"{value:.1f} s"
        case _:
            return f"{value:.1%}"


@dataclass(frozen=True, slots=True)
class Measured:
    """``provider-response`` (seconds) and ``error-rate`` (0 to 1): stops at ``stop`` and more."""

    name: str
    kind: str
    stop: float
    what: str
    unit: str

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Return why the run must not go on."""
        sample = _newest(readings, self.name, now, self.what)
        if isinstance(sample, str):
            return Trip(self.name, sample)
        if not _held(readings, self.name, now, self.stop):
            return None
        return Trip(self.name, _because(self.what, sample.value, self.stop, self.unit))


def _because(what: str, value: float, stop: float, unit: str) -> str:
    if value >= stop:
        return f"{what} is {_said(value, unit)}, and the guard stops at {_said(stop, unit)}"
    release = _said(stop * RELEASE, unit)
    return f"{what} was {_said(stop, unit)} or more and is {_said(value, unit)}; it must fall below {release}"


@dataclass(frozen=True, slots=True)
class DatastoreLatency:
    """``datastore-latency``, in seconds: the worst host of the worst datastore."""

    name: str
    stop: float
    halve: float
    kind: str = "datastore-latency"

    def level(self, value: float) -> Level:
        """Return what one sample asks of who works with a concurrency."""
        if not value < self.halve:  # what is no number counts as too much
            return Level.HALVE
        return Level.QUIET if value < self.stop * RELEASE else Level.STOP

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Return why nothing new may begin."""
        sample = _newest(readings, self.name, now, "datastore latency")
        if isinstance(sample, str):
            return Trip(self.name, sample)
        if _held(readings, self.name, now, self.stop):
            why = _because("datastore latency", sample.value, self.stop, "ms")
            return Trip(self.name, why, halve=_held(readings, self.name, now, self.halve))
        return None


@dataclass(frozen=True, slots=True)
class FailedHosts:
    """``failed-hosts``."""

    name: str
    at_most: int
    kind: str = "failed-hosts"

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Return why the run must not go on."""
        sample = _newest(readings, HOSTS_FAILED, now, "failed hosts")
        if isinstance(sample, str):
            return Trip(self.name, sample)
        if sample.value <= self.at_most:
            return None
        return Trip(self.name, f"{sample.value:.0f} failed, and at most {self.at_most} may")


@dataclass(frozen=True, slots=True)
class AlertGuard:
    """``alert``."""

    name: str
    kind: str = "alert"

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Return why the run must not go on."""
        sample = _newest(readings, self.name, now, "the alert")
        if isinstance(sample, str):
            return Trip(self.name, sample)
        return Trip(self.name, "the alert fires") if sample.value > 0 else None


@dataclass(frozen=True, slots=True)
class WindowGuard:
    """``window``."""

    name: str
    window: Window
    kind: str = "window"

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Return why the run must not go on, and when it may."""
        del readings  # the clock is its only reading
        if self.window.is_open(now):
            return None
        opens = datetime.fromtimestamp(self.window.next_open(now), self.window.zone)
        return Trip(self.name, f"the window is closed; it opens {opens:%a %Y-%m-%d %H:%M} {self.window.zone_name}")


def guards_of(tables: Mapping[str, GuardTable]) -> list[Guard]:
    """Return the guards of a plan that :func:`broken_guards` finds nothing wrong with."""
    return [_guard(name, table) for name, table in tables.items()]


def _guard(name: str, table: GuardTable) -> Guard:
    match table:
        case ProviderResponseTable():
            return Measured(name, table.kind, table.stop_above.seconds, "the provider's response time", "s")
        case ErrorRateTable():
            return Measured(name, table.kind, table.stop_above, "the share of calls that fail", "%")
        case DatastoreLatencyTable():
            return DatastoreLatency(name, table.stop_above.seconds, table.halve_above.seconds)
        case FailedHostsTable():
            return FailedHosts(name, table.at_most)
        case AlertTable():
            return AlertGuard(name)
        case WindowTable():
            return WindowGuard(name, window_of(name, table.days, table.opens, table.closes, table.zone))


def broken_guards(tables: Mapping[str, GuardTable]) -> Iterator[Broken]:
    """Give every rule that the tables break."""
    for name, table in tables.items():
        at = ("guard", name)
        match table:
            case ProviderResponseTable() | ErrorRateTable():
                yield from _one_of(at, table, {"gate": table.gate, "url": table.url})
            case AlertTable():
                yield from _one_of(at, table, {"file": table.file, "url": table.url})
            case DatastoreLatencyTable() if table.halve_above < table.stop_above:
                message = f"is less than stop_above, which is {table.stop_above}"
                yield Broken((*at, "halve_above"), message, "nothing new begins long before work is halved")
            case WindowTable():
                try:
                    window_of(name, table.days, table.opens, table.closes, table.zone)
                except ValueError as error:
                    yield Broken(at, *_halves(str(error)))
            case _:
                pass


def _one_of(at: tuple[str, str], table: UrlTable, sources: Mapping[str, object]) -> Iterator[Broken]:
    wrong = broken_url(table.url) if table.url is not None else None
    if wrong is not None:
        yield Broken((*at, "url"), *wrong)
    tokens = [key for key in ("token_env", "token_file") if getattr(table, key) is not None]
    if len(tokens) > 1:
        yield Broken((*at, "token_file"), "stands beside token_env", "keep one of the two")
    elif tokens and not (table.url or "").lower().startswith("https://"):
        yield Broken((*at, tokens[0]), "would be shown to everybody on the way", "a token needs an https:// url")
    given = [key for key, value in sources.items() if value is not None]
    if len(given) != 1:
        both = " and ".join(sources)
        message = f"has {both} both" if given else f"has nothing to read: neither {' nor '.join(sources)}"
        yield Broken(at, message, f"write one of {', '.join(sources)}")


def _halves(sentence: str) -> tuple[str, str]:
    message, _, hint = sentence.partition("; ")
    return message, hint
