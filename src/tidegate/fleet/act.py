"""The seam between a run and what it does: hosts, evidence, built-in plans, probes and guards.

A built-in plan is a :class:`Work`: it looks at a host, changes it, and judges what became of it. It knows nothing of
batches, journals or pauses: the runner calls it, and the machine decides when. Every method that talks to a host is
bounded by timeouts of its own and raises a :class:`~tidegate.errors.FleetError` when it fails; a host that fails is a
failed host, never a failed run.

Times here are seconds since 1970 (the runner's clock is injected; nobody else reads one).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

__all__ = [
    "Evidence", "Guard", "Host", "PhaseSpec", "Probe", "Readings", "Remembers", "Sample", "Trip", "Verdict", "Work",
]  # fmt: skip

Evidence = Mapping[str, str | int | float | bool | None]
"""What is known of a host's service, as JSON: ``boot_id``, ``pid``, ``start_time``, ``state``, …

Three keys have a meaning for the runner. A non-empty text under ``skip`` ("enters maintenance mode") has the host
skipped and reported before anything is done to it. Two hosts of a run with the same ``host_id`` (the machine's own), or
the same ``boot_id`` (the kernel's, another one at every boot), are one host under two names: nothing is done under the
second.
"""


@dataclass(frozen=True, slots=True)
class Host:
    """One target of a run.

    Parameters
    ----------
    name
        What people call it; unique in the run.
    address
        What the transport connects to; a host (by this address) is in one unfinished run at the most.
    cluster
        The cluster that it belongs to; empty when none is known.
    labels
        From the inventory: ``moid``, ``nsx_id``, ``bound_vvols`` ("12"), ``cluster_size`` ("8"), …
    """

    name: str
    address: str
    cluster: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a host after a step says.

    ``sure=False``: not known yet, to be looked at again until the phase's deadline has passed (then it is a failure,
    with ``says``).
    """

    ok: bool
    sure: bool
    says: str
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """One phase of a run: one step, done to every host.

    Parameters
    ----------
    name, step
        What people call the phase, and the word that the :class:`Work` is called with.
    batched
        Batches with pauses (starts, maintenance); otherwise all hosts are one batch of bounded concurrency (stop all).
    concurrency
        How many hosts are worked on at the same time, at the most (a batch may be smaller).
    approval
        Whether a person must approve before it begins.
    says
        One sentence for who approves.
    deadline_s, again_s
        How long :meth:`Work.verify` may stay unsure, and how often it is asked.
    spare_cluster
        Never every host of a cluster at once; hosts on which the step is still to be undone count.
    heeds
        Kinds of guards that can stop it; ``None``: all when ``batched``, else ``failed-hosts``, ``window`` and
        ``alert`` (a provider that does not answer must not forbid to stop what storms it).
    """

    name: str
    step: str
    batched: bool = True
    concurrency: int = 10
    approval: bool = False
    says: str = ""
    deadline_s: float = 300.0
    again_s: float = 5.0
    spare_cluster: bool = False
    heeds: tuple[str, ...] | None = None


class Work(Protocol):
    """What a built-in plan gives to the runner; one object per run and controller."""

    @property
    def name(self) -> str:
        """The plan's name: ``vvold-phased-restart``."""

    @property
    def phases(self) -> Sequence[PhaseSpec]:
        """The phases, in order. They must be the same whenever the same plan is read: the journal counts them."""

    async def prepare(self, hosts: Sequence[Host]) -> list[str]:
        """Look at everything once, before the run is planned; change nothing.

        Returns
        -------
        list[str]
            Warnings, and what an operator must know before approving.

        Raises
        ------
        FleetError
            To refuse the run.
        """

    async def look(self, step: str, host: Host) -> Evidence:
        """Return what is known of the host; never changes anything."""

    def done(self, step: str, before: Evidence, now: Evidence) -> bool:
        """Return whether ``step`` has happened already since ``before`` was recorded (pure).

        Asked before every act: with ``now`` equal to ``before`` at the first one, after a crash or a failure with the
        evidence that was recorded before the first act, and a fresh look.
        """

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        """Do it, once; return what is known of the host afterwards."""

    async def verify(self, step: str, host: Host, before: Evidence) -> Verdict:
        """Look at what became of the host; called every ``again_s`` until it is sure or ``deadline_s`` have passed."""

    def commands(self, step: str, host: Host) -> list[str]:
        """Return every command or request of the step, in words that a person can run."""

    def undo(self, step: str) -> str | None:
        """Return the step that must still happen to a host on which ``step`` began, whatever ends the run.

        ``stop`` → ``start``. Where it is the step of a later phase it is due until that has happened; elsewhere (one
        step that enters and leaves maintenance) it is due only on a host on which ``step`` began and failed.
        """

    async def close(self) -> None:
        """Give back connections and sessions, and whatever was opened (TSM-SSH)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value that a probe has read."""

    at: float
    value: float


class Readings:
    """The newest samples of every probe, by name.

    The runner itself writes ``hosts-failed`` (how many so far) before guards are asked.
    """

    def __init__(self, keep: int = 600) -> None:
        self._keep = keep
        self._samples: dict[str, deque[Sample]] = {}

    def add(self, name: str, at: float, value: float) -> None:
        """Remember a sample; the oldest goes when there are too many."""
        self._samples.setdefault(name, deque(maxlen=self._keep)).append(Sample(at, value))

    def last(self, name: str) -> Sample | None:
        """Return the newest sample."""
        samples = self._samples.get(name)
        return samples[-1] if samples else None

    def since(self, name: str, at: float) -> list[Sample]:
        """Return the samples that are not older than ``at``, oldest first."""
        return [sample for sample in self._samples.get(name, ()) if sample.at >= at]

    def names(self) -> list[str]:
        """Return the names that have samples."""
        return sorted(self._samples)


@dataclass(frozen=True, slots=True)
class Trip:
    """A guard's no.

    It stops a run before its next host. ``halve=True``: what goes on nonetheless does so with half its concurrency.
    """

    guard: str
    why: str
    halve: bool = False


@runtime_checkable
class Remembers(Protocol):
    """A work that must know what an earlier controller recorded, to put back what that one has opened."""

    def remember(self, host: Host, evidence: Evidence) -> None:
        """Take what was recorded of a host, in whatever phase; called for everything, oldest first."""


class Guard(Protocol):
    """A rule that stops a run (pure)."""

    @property
    def name(self) -> str:
        """The name of its table: ``[guard.NAME]``."""

    @property
    def kind(self) -> str:
        """``provider-response``, ``error-rate``, ``datastore-latency``, ``failed-hosts``, ``alert`` or ``window``."""

    def judge(self, readings: Readings, now: float) -> Trip | None:
        """Return why the run must not go on, or ``None``. No sample, or one older than 60 s, is a reason."""


class Probe(Protocol):
    """Reads one value for guards."""

    @property
    def name(self) -> str:
        """The name of its readings."""

    async def sample(self) -> float:
        """Read it once, within a timeout of its own.

        Raises
        ------
        FleetError
            When there is nothing to read; the runner then adds no sample, and the guard trips in time.
        """
