"""From what a probe was told to hits of probe rules. Pure.

A probe is told either a reading of ports, the same as :mod:`tidegate.watch.ports` makes of a dump, or values of
measures that no dump has. A hit's scope begins with the probe's name, as two balancers have servers of one address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.harmless import harmless
from tidegate.watch.live.model import Hit
from tidegate.watch.ports import MEASURES, Measured, PortReading, measure
from tidegate.watch.redact import redacted
from tidegate.watch.rule import Rule

__all__ = ["SIGNATURE", "Told", "hits_of", "measured", "wanted_of"]

SIGNATURE = "probe"
"""What stands for a signature in the hit of a probe rule, which has none."""
_RECORD = 2000
"""Characters of a sentence that are kept."""
_MOST = 1000
"""Hits of one rule in one try."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one try of a probe has brought: readings of ports, and values by measure."""

    readings: tuple[PortReading, ...] = ()
    values: Mapping[str, tuple[Measured, ...]] | None = None


def wanted_of(rules: Iterable[Rule]) -> frozenset[str]:
    """Return the measures that any of the rules compares: nothing else needs to be asked for."""
    return frozenset(rule.probe.measure for rule in rules if rule.probe is not None)


def hits_of(rules: Iterable[Rule], told: Told, *, source: str, place: int, arrival: int) -> tuple[tuple[Hit, ...], int]:
    """Return a hit for each value that is past what a rule allows, the largest first, by rule; and what is left out.

    A rule has the 1000 largest at the most; the others are counted.

    Parameters
    ----------
    source
        The probe, as ``probe.NAME``; it is the stream, too.
    place
        The number of the try.
    arrival
        When it was answered, in nanoseconds since 1970: what a value is true of.
    """
    name = source.partition(".")[2]
    hits: list[Hit] = []
    left_out = 0
    for rule in rules:
        if rule.probe is None:
            continue
        past = [each for each in measured(told, rule.probe.measure) if each.value >= rule.probe.at_least]
        left_out += max(0, len(past) - _MOST)
        for each in past[:_MOST]:
            scope = harmless(f"{name}: {each.scope}")
            values = {"scope": scope, "value": f"{each.value:g}", "probe": name, "host": "", "provider": ""}
            record = harmless(redacted(each.line))[:_RECORD]
            hits.append(Hit(rule.id, SIGNATURE, arrival, arrival, source, source, place, True, values, record))
    return tuple(hits), left_out


def measured(told: Told, name: str) -> list[Measured]:
    """Return a measure of everything that tells it, the largest first."""
    found = [each for reading in told.readings if name in MEASURES for each in measure(reading, name)]
    found += (told.values or {}).get(name, ())
    return sorted(found, key=lambda each: (-each.value, each.scope))
