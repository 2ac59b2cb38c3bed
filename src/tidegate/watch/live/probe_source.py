"""A probe as a source: asks one device on a schedule, and hands on what is past what the rules allow.

A try that fails, or is not over in time, is a gap from the last moment that was seen to now, never a value: nothing is
concluded from silence. Nothing is asked that no rule compares.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from tidegate.errors import TidegateError
from tidegate.harmless import harmless
from tidegate.watch.live.model import Batch, Gap, Json
from tidegate.watch.live.probe_hits import Told, hits_of, measured, wanted_of
from tidegate.watch.live.probe_schedule import Turn, after, first
from tidegate.watch.redact import redacted
from tidegate.watch.rule import RuleSet

__all__ = ["Probe", "ProbeOptions", "ProbeSource"]

_FORMAT = 1
"""Of a position."""
_REASON = 300
"""Characters of a reason that are kept."""
_SHOWN = 5
"""Values of a measure in the view: the largest."""


class Probe(Protocol):
    """One device that can be asked, without changing it."""

    address: str
    """What people call it."""
    measures: frozenset[str]
    """What it can tell; rules that compare something else do not concern it."""

    async def ask(self, wanted: frozenset[str]) -> Told:
        """Return what it says now of the measures ``wanted``.

        Raises
        ------
        TidegateError
            With a sentence, when it does not answer, refuses, or says what nobody can read.
        """

    async def close(self) -> None:
        """End the session and the connections, if there are any; may be asked again afterwards."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How often a probe is asked, and how long one try may take.

    Parameters
    ----------
    every_s, timeout_s
        Seconds; above 0.
    clock
        Nanoseconds since 1970; given by tests, as ``now`` (nanoseconds that never go back) and ``sleep`` (seconds).
    """

    every_s: float = 60.0
    timeout_s: float = 15.0
    clock: Callable[[], int] = time.time_ns
    now: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class ProbeSource:
    """Asks ``probe`` as long as it runs.

    Parameters
    ----------
    name
        ``probe.NAME``: its source and its only stream.
    """

    def __init__(self, name: str, probe: Probe, rules: RuleSet, options: ProbeOptions | None = None) -> None:
        self.name = name
        self.options = options or ProbeOptions()
        self._probe = probe
        self._place = 0
        self._seen: int | None = None
        self._turn = Turn(0)
        self._trouble = ""
        self._values: Json = {}
        self._left_out = 0
        self.use(rules)

    def use(self, rules: RuleSet) -> None:
        """Compare with other rules from the next try on."""
        self._rules = tuple(rule for rule in rules.rules if rule.probe and rule.probe.measure in self._probe.measures)
        self._wanted = wanted_of(self._rules)

    async def run(self, put: Callable[[Batch], Awaitable[None]], saved: Mapping[str, Json]) -> None:
        """Ask until cancelled; ``put`` takes a batch for each try, answered or not.

        A place is the number of a try. The first ever is the second in which it is made, so that a store that was
        thrown away does not make an old key come again.
        """
        begun = self.options.clock()
        stored = saved.get(self.name, {})
        self._place = int(stored["next"]) if stored.get("format") == _FORMAT else begun // 10**9
        self._seen = begun
        every = round(self.options.every_s * 1e9)
        self._turn = first(self.name, every, self.options.now())
        try:
            while True:
                await self.options.sleep(max(0, self._turn.due - self.options.now()) / 1e9)
                batch = await self._try() if self._wanted else None
                answered = batch is None or not batch.gaps
                self._turn = after(self._turn, self.name, every, self.options.now(), answered=answered)
                if batch is not None:
                    await put(batch)
        finally:
            with suppress(TidegateError, OSError, TimeoutError):
                async with asyncio.timeout(self.options.timeout_s):
                    await self._probe.close()

    def view(self) -> Json:
        """Return how the probe fares.

        No ``troubles`` while it answers; ``values``: the largest of each measure in the last try; ``left_out``: values
        past a rule's threshold that were too many to be hits.
        """
        idle = "" if self._wanted else "no rule compares anything that it can tell"
        return {
            "name": self.name,
            "address": self._probe.address,
            "every_s": self.options.every_s,
            "tries": self._turn.tries,
            "failures": self._turn.failures,
            "streams": 1,
            "lag_bytes": 0,
            "troubles": [why for why in (self._trouble, idle) if why],
            "values": self._values,
            "left_out": self._left_out,
        }

    async def _try(self) -> Batch:
        """Ask once: hits where it is answered, a gap where it is not."""
        place, since = self._place, self._seen
        told, self._trouble = await self._ask()
        at = self.options.clock()
        self._place, self._seen = place + 1, at
        hits, self._left_out = hits_of(self._rules, told, source=self.name, place=place, arrival=at)
        gap = Gap(self.name, "probe_failed", self._trouble, at if since is None else min(since, at), at)
        self._values = {
            name: [{"scope": each.scope, "value": each.value} for each in measured(told, name)[:_SHOWN]]
            for name in sorted(self._wanted)
        }
        return Batch(
            source=self.name,
            stream=self.name,
            name=self._probe.address,
            data=b"",
            base=place,
            arrival=at,
            position={"format": _FORMAT, "next": place + 1},
            live=True,
            gaps=(gap,) if self._trouble else (),
            idle=True,
            hits=hits,
        )

    async def _ask(self) -> tuple[Told, str]:
        """Return what was told, and why it was not."""
        try:
            async with asyncio.timeout(self.options.timeout_s):
                return await self._probe.ask(self._wanted), ""
        except TimeoutError:
            why = f"{self._probe.address}: no answer within {self.options.timeout_s:g} s"
        except TidegateError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 (a device may say anything, and its probe must not end the watch)
            why = f"{self._probe.address}: its answer makes no sense ({type(error).__name__}: {error})"
        return Told(), harmless(redacted(" ".join(why.split())))[:_REASON]
