"""A run as its events tell it: apply them in order and this is how it stands (pure).

A host, in each phase, is ``planned → looked → acting → acted → verified``, or ``failed`` or ``skipped``, each with a
reason. After a controller died, what was ``looked`` or ``acting`` is ``unsure`` until somebody has looked again. A
second look writes nothing, so that a controller that dies after every few writes still gets on.

Nothing here refuses an event: events are facts. What may happen next is for ``machine``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tidegate.errors import FleetError
from tidegate.fleet import events as e
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.batches import cluster_sizes, grown, halved

__all__ = ["Batch", "Run", "Step", "fold"]

TRIES_MAX = 2
"""How often a host is taken through a phase that undoes, at the most."""


@dataclass(slots=True)
class Step:
    """One host in one phase."""

    state: str = "planned"
    since: float = 0.0
    before: Evidence | None = None
    """What was recorded before the first act; what every later look is held against."""
    why: str = ""
    began: bool = False
    """Whether an act was begun, ever: it may have happened."""
    meant: bool = False
    """Whether the intent to act is the last that was written of the host: the act needs no second one."""
    happened: bool = False
    happened_at: float = 0.0
    tries: int = 0


@dataclass(slots=True)
class Batch:
    """The batch in flight.

    ``todo`` has not begun, ``going`` is under way, each in the order of the batch: a batch may have thousands of hosts,
    and is looked at after every event.
    """

    phase: int
    hosts: tuple[str, ...]
    mending: bool
    at: float
    loud: bool = False
    """Whether a guard tripped or a host failed since it was opened."""
    todo: dict[str, None] = field(default_factory=dict)
    going: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    """How a run stands."""

    plan: e.Planned
    approved: set[int] = field(default_factory=set)
    steps: list[dict[str, Step]] = field(default_factory=list)
    """Per phase, by host; a host without one is ``planned``."""
    batch: Batch | None = None
    batches: list[tuple[int, int]] = field(default_factory=list)
    """Phase and number of hosts of every batch that was opened."""
    size: int = 0
    acted_at: float | None = None
    """When a host of a batched phase was last acted on."""
    closed_at: float = 0.0
    """When the last batch was closed."""
    mending_from: float = 0.0
    """When the run was stopped or aborted: patience counts from here."""
    taken_by: str = ""
    paused: bool = False
    stop: e.Tripped | None = None
    aborting: bool = False
    trips: list[e.Tripped] = field(default_factory=list)
    ended: str = ""
    at: float = 0.0
    hosts: dict[str, Host] = field(init=False)
    sizes: dict[str, int] = field(init=False)
    failed: set[str] = field(default_factory=set)
    """Hosts that failed in some phase."""
    _waiting: dict[tuple[int, bool], list[Host]] = field(default_factory=dict, compare=False, repr=False)
    """What :meth:`waiting` has found out since the last event: it is asked every second of a pause."""

    def __post_init__(self) -> None:
        self.steps = [{} for _ in self.plan.phases]
        self.size = self.plan.policy.size
        self.at = self.closed_at = self.mending_from = self.plan.at
        self.hosts = {host.name: host for host in self.plan.hosts}
        self.sizes = cluster_sizes(self.plan.hosts)

    def step(self, phase: int, host: str) -> Step:
        """Return the host's step in this phase."""
        return self.steps[phase].get(host) or Step()

    def due(self, phase: int, host: str) -> bool:
        """Return whether ``phase`` must still happen to the host because a phase that it undoes began."""
        here, one = self.step(phase, host), self.plan.phases[phase]
        if here.happened:
            return False
        begun = [other for other in one.mends if self.step(other, host).began]
        if one.extra:
            begun = [other for other in begun if self.step(other, host).state in {"failed", "skipped", "planned"}]
        return bool(begun)

    def waiting(self, phase: int, *, mending: bool = False) -> list[Host]:
        """Return who is still to be taken through ``phase``, in the order of the run; who failed once comes last.

        ``mending``: only those for whom it undoes something.
        """
        found = self._waiting.get((phase, mending))
        if found is None:
            found = self._waiting[phase, mending] = self._find_waiting(phase, mending)
        return found

    def _find_waiting(self, phase: int, mending: bool) -> list[Host]:
        one = self.plan.phases[phase]
        first, again = [], []
        for name, host in self.hosts.items():
            step = self.step(phase, name)
            due = bool(one.mends) and self.due(phase, name)
            if step.state == "planned":
                if due or not (mending or one.extra or self._out(phase, name)):
                    first.append(host)
            elif due and step.state in {"failed", "skipped"} and step.tries < TRIES_MAX:
                again.append(host)
        return first + again

    def down(self, phase: int) -> list[Host]:
        """Return who is down because a step of ``phase`` began and neither came out well nor was undone."""
        return [
            self.hosts[name]
            for name, step in self.steps[phase].items()
            if step.began and step.state != "verified" and not self._mended(phase, name)
        ]

    def left(self) -> dict[str, float]:
        """Return the hosts that are still stopped (or in maintenance), and since when."""
        found: dict[str, float] = {}
        for phase, one in enumerate(self.plan.phases):
            for name in self.hosts if one.mends else ():
                if self.due(phase, name):
                    begun = [step for other in one.mends if (step := self.step(other, name)).began]
                    found[name] = min(step.happened_at or step.since for step in begun)
        return found

    def outcome(self, host: str) -> str:
        """Return ``verified``, ``failed``, ``skipped`` or ``waiting``: the run as a whole, for one host."""
        states = [self.step(phase, host).state for phase in range(len(self.steps))]
        for word in ("failed", "skipped"):
            if word in states:
                return word
        plain = [state for state, one in zip(states, self.plan.phases, strict=True) if not one.extra]
        return "verified" if plain[-1] == "verified" else "waiting"

    def why(self, host: str) -> str:
        """Return the first reason for which the host failed or was skipped."""
        return next((step.why for steps in self.steps if (step := steps.get(host)) and step.why), "")

    def counts(self) -> dict[str, int]:
        """Return how many hosts there are of each outcome; they add up to all."""
        counts = dict.fromkeys(("verified", "failed", "skipped", "waiting"), 0)
        for host in self.hosts:
            counts[self.outcome(host)] += 1
        return counts

    def _out(self, phase: int, host: str) -> bool:
        """Return whether the host takes no part in ``phase``, because of what came before."""
        return any(
            self.step(earlier, host).state != "verified"
            for earlier in range(phase)
            if not self.plan.phases[earlier].extra
        )

    def _mended(self, phase: int, host: str) -> bool:
        return any(phase in one.mends and self.step(later, host).happened for later, one in enumerate(self.plan.phases))

    def apply(self, event: e.Event) -> None:
        """Let one event happen."""
        self.at = event.at
        self._waiting.clear()
        match event:
            case e.Approved():
                self.approved.add(event.phase)
            case e.Taken():
                self._taken(event)
            case e.PauseAsked():
                self.paused = True
            case e.AbortAsked():
                self.aborting, self.mending_from = True, event.at
            case e.Tripped():
                self.trips.append(event)
                self.size = halved(self.size)
                if self.batch:
                    self.batch.loud = True
                self.stop, self.mending_from = event, event.at
            case e.Opened():
                self._opened(event)
            case e.Closed():
                self._closed(event)
            case e.Ended():
                self.ended = event.how
            case _:
                self._of_host(event)

    def _taken(self, event: e.Taken) -> None:
        self.taken_by, self.paused, self.stop = event.by, False, None
        for steps in self.steps:
            for step in steps.values():
                if step.state in {"looked", "acting"}:
                    step.state = "unsure"

    def _opened(self, event: e.Opened) -> None:
        todo = dict.fromkeys(event.hosts)
        self.batch = Batch(event.phase, event.hosts, event.mending, event.at, todo=todo)
        self.batches.append((event.phase, len(event.hosts)))
        for name in event.hosts:
            step = self.steps[event.phase].setdefault(name, Step(since=event.at))
            step.tries += 1
            step.state, step.meant = "planned", False
            if name in self.failed and not any(
                self.step(phase, name).state == "failed" for phase in range(len(self.steps))
            ):
                self.failed.discard(name)

    def _closed(self, event: e.Closed) -> None:
        batch, policy = self.batch, self.plan.policy
        if batch is None:
            return
        for name in batch.hosts:
            step = self.steps[batch.phase][name]
            if step.state in {"planned", "looked", "unsure"}:
                step.state, step.tries = "planned", step.tries - 1
        if self.plan.phases[batch.phase].spec.batched and not batch.loud:
            self.size = grown(self.size, policy.most)
        self.closed_at, self.batch = event.at, None

    def _of_host(self, event: e.Event) -> None:
        if not isinstance(event, e.Looked | e.Acting | e.Acted | e.Verified | e.Failed | e.Skipped):
            return
        step = self.steps[event.phase].setdefault(event.host, Step())
        step.since, step.meant = event.at, isinstance(event, e.Acting)
        match event:
            case e.Looked():
                step.state = "looked"
                if step.before is None:
                    step.before = event.evidence
            case e.Acting():
                step.state, step.began = "acting", True
                self._undone_anew(event)
            case e.Acted():
                step.state, step.happened, step.happened_at = "acted", True, event.at
                if self.plan.phases[event.phase].spec.batched:
                    self.acted_at = event.at
            case e.Verified():
                step.state = "verified"
            case e.Failed() | e.Skipped():
                step.state = "skipped"
                step.why = step.why or event.why
                if isinstance(event, e.Failed):
                    step.state = "failed"
                    self._has_failed(event.host)
        self._moved(event.phase, event.host, step.state)

    def _has_failed(self, host: str) -> None:
        self.failed.add(host)
        if self.batch:
            self.batch.loud = True

    def _moved(self, phase: int, host: str, state: str) -> None:
        """Keep the batch's own lists."""
        batch = self.batch
        if batch is None or batch.phase != phase:
            return
        batch.todo.pop(host, None)
        if state in {"verified", "failed", "skipped"}:
            batch.going.pop(host, None)
        else:
            batch.going[host] = None

    def _undone_anew(self, event: e.Acting) -> None:
        """Forget what undid an earlier try of this step: it is due again."""
        for phase, one in enumerate(self.plan.phases):
            if event.phase in one.mends:
                self.steps[phase].pop(event.host, None)


def fold(events: Iterable[e.Event]) -> Run:
    """Return the run that ``events`` tell of.

    Raises
    ------
    FleetError
        When they do not begin with a plan.
    """
    everything: Iterator[e.Event] = iter(events)
    first = next(everything, None)
    if not isinstance(first, e.Planned):
        raise FleetError("the journal of this run does not begin with its plan", hint="look whether the file is whole")
    run = Run(first)
    for event in everything:
        run.apply(event)
    return run
