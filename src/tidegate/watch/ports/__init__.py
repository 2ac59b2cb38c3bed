"""Reads dumps of connections, offline: which bucket of source ports is exhausted, and what would help, in numbers."""

from tidegate.watch.ports.advice import says, what_if
from tidegate.watch.ports.kinds import KINDS, kind_of, read_dump
from tidegate.watch.ports.measures import MEASURES, as_json, measure
from tidegate.watch.ports.model import Bucket, DumpKind, Gauge, Measured, PortReading, WhatIf

__all__ = [  # noqa: RUF022 (in the order of the alphabet, as everywhere)
    "Bucket",
    "DumpKind",
    "Gauge",
    "KINDS",
    "MEASURES",
    "Measured",
    "PortReading",
    "WhatIf",
    "as_json",
    "kind_of",
    "measure",
    "read_dump",
    "says",
    "what_if",
]
