"""The same events for every peer of `bench-watch`, and which alerts they must raise, by offline windows.

`count`: each host fails now and then, and of some hosts far more often, as KB 440879 counts (more than 10 within 5
minutes), but host by host. `distinct`: hosts fail at one of twenty providers; now and then all hosts at the same
one within a minute, each three times (KB 412434: five hosts within 60 s). All in order of time, in microseconds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.watch.windows import Event, Window, episodes

__all__ = ["RULES", "BenchRule", "Made", "expected", "make", "write"]

SECOND = 1_000_000
PROVIDERS = 20
_STORM_EVERY_S = 600
_CALM_S = 120.0
"""Between two failures of a host that has no storm, on average."""


@dataclass(frozen=True)
class BenchRule:
    """A window: ``threshold`` is the number that may not be passed (count), or that must be there (distinct)."""

    kind: str
    over_s: int
    threshold: int

    def window(self) -> Window:
        """Return the window that is judged offline."""
        over = self.over_s * 10**9
        if self.kind == "count":
            return Window("count", ("hit",), over, more_than=self.threshold)
        return Window("distinct", ("hit",), over, at_least=self.threshold)


RULES = {"count": BenchRule("count", 300, 10), "distinct": BenchRule("distinct", 60, 5)}


@dataclass(frozen=True)
class Made:
    """One event: microseconds since the beginning, what the window is kept apart by, and the value that counts."""

    us: int
    key: str
    value: str


def make(test: str, hosts: int, seconds: int, seed: int) -> list[Made]:
    """Return the events of a test, in order of time."""
    rng = random.Random(seed)  # noqa: S311 (which host fails when, no secret)
    parts = _count(rng, hosts, seconds) if test == "count" else _distinct(rng, hosts, seconds)
    return sorted(parts, key=lambda event: event.us)


def _count(rng: random.Random, hosts: int, seconds: int) -> Iterator[Made]:
    names = [f"esx-{number:04d}" for number in range(hosts)]
    for name in names:
        yield from (Made(us, name, name) for us in _times(rng, 0, seconds, _CALM_S))
    for begin in range(0, seconds, _STORM_EVERY_S):
        for name in rng.sample(names, hosts // 20):
            yield from (Made(us, name, name) for us in _times(rng, begin, min(seconds, begin + 200), 5.0))


def _distinct(rng: random.Random, hosts: int, seconds: int) -> Iterator[Made]:
    names = [f"esx-{number:04d}" for number in range(hosts)]
    providers = [f"vasa-{number}" for number in range(PROVIDERS)]
    for provider in providers:
        yield from (Made(us, provider, rng.choice(names)) for us in _times(rng, 0, seconds, 30.0))
    for begin in range(0, seconds, _STORM_EVERY_S):
        provider = rng.choice(providers)
        for name in names:
            for _ in range(3):
                yield Made((begin * SECOND) + rng.randrange(60 * SECOND), provider, name)


def _times(rng: random.Random, begin: int, end: int, mean_s: float) -> Iterator[int]:
    at = begin + rng.expovariate(1 / mean_s)
    while at < end:
        yield round(at * SECOND)
        at += rng.expovariate(1 / mean_s)


def expected(test: str, events: list[Made]) -> dict[str, int]:
    """Return when each key was alerted for the first time, in microseconds: in that all peers agree."""
    seen = (Event(event.us * 1000, "hit", (event.key,), event.value) for event in events)
    first: dict[str, int] = {}
    for episode in episodes(RULES[test].window(), seen):
        first.setdefault(episode.scope[0], episode.at // 1000)
    return first


def write(path: Path, events: list[Made]) -> None:
    """Write events for the peers: one a line, its parts separated by tabs."""
    path.write_text("".join(f"{event.us}\t{event.key}\t{event.value}\n" for event in events))
