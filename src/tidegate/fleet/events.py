"""What happens in a run, as it stands in the journal: one frozen record per event, to JSON and back.

An event is a fact: it was true when it was written. ``Acting`` is the one that is written *before* what it tells of,
together with the evidence that ``Looked`` recorded: whoever finds it last in a journal must look before acting.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.errors import FleetError
from tidegate.fleet.act import Evidence, Host, PhaseSpec

__all__ = [
    "AbortAsked",
    "Acted",
    "Acting",
    "Approved",
    "Closed",
    "Ended",
    "Event",
    "Failed",
    "Looked",
    "Opened",
    "PauseAsked",
    "Phase",
    "Planned",
    "Policy",
    "Sampled",
    "Skipped",
    "Taken",
    "Tripped",
    "Verified",
    "decode",
    "encode",
]

FORMAT = 1
"""Of the journal and of every event in it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase as the run counts it.

    ``mends`` are the phases that this one undoes (``start`` after ``stop``); an ``extra`` phase is not of the plan: it
    exists only to undo, for hosts on which a step began and failed.
    """

    spec: PhaseSpec
    mends: tuple[int, ...] = ()
    extra: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """Batches and pauses, in seconds."""

    size: int
    most: int
    pause_s: float
    steady: bool = False
    settle_s: float = 30.0
    patience_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all events have: when, in seconds since 1970."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """The first event of every run; it holds all that is needed to go on without the files it was made from."""

    plan: str
    file: str
    text: str
    hosts: tuple[Host, ...]
    phases: tuple[Phase, ...]
    policy: Policy
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved(Event):
    """A person approved a phase."""

    phase: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(Event):
    """A controller took the run, for the first time or again: pauses and stops are over, what was in doubt is."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """A batch begins. ``mending``: it only undoes, after an abort or a guard."""

    phase: int
    hosts: tuple[str, ...]
    mending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfHost(Event):
    phase: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(_OfHost):
    """What the host was like; the first one of a phase is the evidence that every later look is held against.

    A look after a crash that finds nothing done writes none.
    """

    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Acting(_OfHost):
    """The step is about to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted(_OfHost):
    """The step has happened. ``found``: a look said so, nothing was done."""

    evidence: Evidence = field(default_factory=dict)
    found: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(_OfHost):
    """And it came out well."""

    says: str = ""
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(_OfHost):
    """The host failed in this phase."""

    why: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(_OfHost):
    """Nothing was done to the host in this phase."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Event):
    """The batch is over; who has not begun in it waits again."""

    phase: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped(Event):
    """A guard said no; ``halve``: and that what goes on nonetheless does so with half its concurrency."""

    guard: str
    why: str
    halve: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseAsked(Event):
    """An operator wants the run to pause after the hosts that are being worked on."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortAsked(Event):
    """An operator wants no further host touched; what is stopped is started first."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """The last event: ``finished``, ``failed`` (some hosts did) or ``aborted``."""

    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(Event):
    """What a probe read; for the report, decides nothing."""

    name: str
    value: float


_KINDS: dict[str, type[Event]] = {
    "planned": Planned,
    "approved": Approved,
    "taken": Taken,
    "opened": Opened,
    "looked": Looked,
    "acting": Acting,
    "acted": Acted,
    "verified": Verified,
    "failed": Failed,
    "skipped": Skipped,
    "closed": Closed,
    "tripped": Tripped,
    "pause-asked": PauseAsked,
    "abort-asked": AbortAsked,
    "ended": Ended,
    "sampled": Sampled,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}

FOREIGN = (Approved, AbortAsked, PauseAsked)
"""Events that may be written by who does not hold the run's lock: wishes."""


def encode(event: Event) -> str:
    """Return the event as one line of JSON."""
    return json.dumps({"kind": _NAMES[type(event)], **dataclasses.asdict(event)}, sort_keys=True)


def decode(text: str) -> Event:
    """Return the event of one line of JSON.

    Raises
    ------
    FleetError
        When this version of tidegate does not know such an event.
    """
    try:
        value: dict[str, Any] = json.loads(text)
        kind = _KINDS[value.pop("kind")]
        if kind is Planned:
            value["hosts"] = tuple(Host(**host) for host in value["hosts"])
            value["phases"] = tuple(_phase(phase) for phase in value["phases"])
            value["policy"] = Policy(**value["policy"])
            value["notes"] = tuple(value["notes"])
        elif kind is Opened:
            value["hosts"] = tuple(value["hosts"])
        return kind(**value)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FleetError(
            "the journal holds an event that this version of tidegate does not know",
            hint="go on with the version that began the run",
        ) from None


def _phase(value: Mapping[str, Any]) -> Phase:
    spec = dict(value["spec"])
    if spec["heeds"] is not None:
        spec["heeds"] = tuple(spec["heeds"])
    return Phase(PhaseSpec(**spec), tuple(value["mends"]), value["extra"])
