"""What a run does next: (run, now, what is seen) → actions. Pure: no clock, no I/O, no hosts.

In words:

- A run is **planned**. A phase that wants it is **waiting-approval** until a person approves; then it is **running**.
- While it runs there is at the most one batch. Every host of it is looked at (the evidence is recorded), acted on (the
  intent is recorded first), and verified until it is sure. Then the batch is closed, and after the pause the next one
  is opened. Batches grow while nothing happens that a guard or a failed host would tell of.
- A guard that trips stops it before the next host: hosts under way are finished, the batch is closed (**stopping**).
  If hosts are stopped by then (a step began that must be undone), they are started now, in batches with the same
  pauses; each of these batches waits for the guards to be quiet, and when patience is over it goes on with one host at
  a time. Then the run is **stopped** and says why. An operator may resume it.
- An abort is the same (**aborting**), without a way back: the run ends as **aborted**.
- A pause is **pausing** until the hosts under way are finished, then **paused**. Nothing is undone; it is said which
  hosts are stopped.
- When nobody is left it is **finished**, or **failed** when some hosts did.
- A host on which a step began and failed is mended before the next batch begins, where nothing later would mend it.
- After a crash, what was looked at or acted on is unsure: it is looked at, and the evidence decides. That look writes
  nothing unless it finds the step done: every life of a controller that writes more than that it took the run, however
  short it is, writes something that was not known before.
- While a guard asks for half the concurrency, whatever goes on nonetheless (what no such guard stops, and starting what
  is stopped) goes on with half of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from tidegate.fleet import events as e
from tidegate.fleet.act import PhaseSpec, Trip, Work
from tidegate.fleet.batches import halved, next_batch
from tidegate.fleet.state import Run

__all__ = ["Action", "Do", "Leave", "Record", "Seen", "Wait", "decide", "phases_of", "status_of"]

_NEVER_QUIET = ("failed-hosts", "window")
_HEEDED_BY_ALL = ("failed-hosts", "window", "alert")


@dataclass(frozen=True, slots=True)
class Record:
    """Write this event, and let it happen."""

    event: e.Event


@dataclass(frozen=True, slots=True)
class Do:
    """Do this to a host: ``look``, ``act`` or ``verify``."""

    what: str
    phase: int
    host: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before ``until``, or (``None``) before something happens."""

    until: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """The controller's work is over: ``paused``, ``stopped``, ``waiting-approval`` or how the run ended."""

    why: str


Action = Record | Do | Wait | Leave


@dataclass(frozen=True, slots=True)
class Seen:
    """What only the controller knows.

    ``busy`` are the hosts that it is at work on, ``trips`` what guards say now, with their kinds, and ``quiet_since``
    the time since which they have said nothing. ``looked`` are the hosts that were unsure and have been looked at
    again: the act has not happened.
    """

    busy: frozenset[str] = frozenset()
    trips: Sequence[tuple[str, Trip]] = field(default_factory=tuple)
    quiet_since: float | None = None
    looked: frozenset[str] = frozenset()


def phases_of(work: Work) -> tuple[e.Phase, ...]:
    """Return the phases of a run: those of the plan, and one more for each step that no later one undoes."""
    specs = list(work.phases)
    phases = [e.Phase(spec) for spec in specs]
    extras: dict[str, list[int]] = {}
    for place, spec in enumerate(specs):
        undo = work.undo(spec.step)
        later = [at for at in range(place + 1, len(specs)) if specs[at].step == undo]
        if later:
            at = later[0]
            phases[at] = e.Phase(specs[at], (*phases[at].mends, place))
        elif undo is not None:
            extras.setdefault(undo, []).append(place)
    for step, mends in extras.items():
        like = specs[mends[0]]
        spec = PhaseSpec(
            f"{step} again",
            step,
            concurrency=like.concurrency,
            says=f"{step} where {like.step} failed half-way",
            deadline_s=like.deadline_s,
            again_s=like.again_s,
        )
        phases.append(e.Phase(spec, tuple(mends), extra=True))
    return tuple(phases)


def status_of(run: Run) -> str:
    """Return the state of the run, in one word."""
    if run.ended:
        return run.ended
    if run.aborting:
        return "aborting"
    if run.paused:
        return "pausing" if run.batch else "paused"
    if run.stop:
        return "stopping" if run.batch or _next_phase(run) is not None else "stopped"
    if run.batch is None and (phase := _next_phase(run)) is not None and _wants_approval(run, phase):
        return "waiting-approval"
    return "running" if run.taken_by else "planned"


def decide(run: Run, now: float, seen: Seen) -> list[Action]:
    """Return what to do now; ask again after every event, and when something that is seen changes."""
    if run.ended:
        return [Leave(run.ended)]
    if run.batch is None:
        return [_between(run, now, seen)]
    return list(_within(run, now, seen))


def _within(run: Run, now: float, seen: Seen) -> Iterator[Action]:
    """Go on with the batch in flight."""
    batch = run.batch
    assert batch is not None  # noqa: S101 (decide has looked)
    spec, steps = run.plan.phases[batch.phase].spec, run.steps[batch.phase]
    if not (batch.mending or run.stop or run.aborting or run.paused) and _unbegun(run, seen):
        trip = _tripped(spec, seen)
        if trip is not None:
            yield Record(e.Tripped(at=now, guard=trip.guard, why=trip.why, halve=trip.halve))
            return
    holding = run.paused or ((run.stop is not None or run.aborting) and not batch.mending)
    idle = True
    for name in batch.going:
        if name in seen.busy:
            idle = False
            continue
        unsure = "act" if name in seen.looked else "look"
        what = {"unsure": unsure, "looked": "act", "acted": "verify"}.get(steps[name].state)
        if what is None or (holding and what == "act"):
            continue
        idle = False
        yield Do(what, batch.phase, name)
    looked_at = sum(name in batch.todo for name in seen.busy)
    idle = idle and not looked_at
    if not holding:
        most = halved(spec.concurrency) if any(trip.halve for _, trip in seen.trips) else spec.concurrency
        room = max(0, most - len(batch.going) - looked_at)
        fresh = list(islice((name for name in batch.todo if name not in seen.busy), room))
        yield from (Do("look", batch.phase, name) for name in fresh)
        idle = idle and not fresh and not batch.todo
    yield Record(e.Closed(at=now, phase=batch.phase)) if idle else Wait(None)


def _unbegun(run: Run, seen: Seen) -> bool:
    """Return whether a host of the batch is still to be acted on."""
    batch = run.batch
    if batch is None:
        return False
    steps = run.steps[batch.phase]
    return any(name not in seen.busy for name in batch.todo) or any(
        (steps[name].state == "looked" or name in seen.looked) and name not in seen.busy for name in batch.going
    )


def _between(run: Run, now: float, seen: Seen) -> Action:
    """Open the next batch, or say why not yet."""
    if run.paused:
        return Leave("paused")
    mending = run.aborting or run.stop is not None
    phase = _next_phase(run)
    if phase is None:
        return _over(run, now)
    if _wants_approval(run, phase):
        return Leave("waiting-approval")
    spec = run.plan.phases[phase].spec
    loud = _tripped(spec, seen, mending=mending)
    if (until := _pause_over(run, spec, now, seen, loud) or _patience(run, now, loud)) is not None:
        return until
    if loud and not mending:
        return Record(e.Tripped(at=now, guard=loud.guard, why=loud.why, halve=loud.halve))
    size = 1 if loud else run.size if spec.batched else len(run.hosts)
    return _open(run, now, phase, size, mending=mending)


def _over(run: Run, now: float) -> Action:
    """End, or leave, when nobody is left to be taken through any phase."""
    if run.stop and not run.aborting:
        return Leave("stopped")
    how = "aborted" if run.aborting else "failed" if run.failed or run.left() else "finished"
    return Record(e.Ended(at=now, how=how))


def _open(run: Run, now: float, phase: int, size: int, *, mending: bool) -> Action:
    spec = run.plan.phases[phase].spec
    waiting = run.waiting(phase, mending=mending)
    sizes = run.sizes if spec.spare_cluster else None
    hosts = next_batch(waiting, size, sizes=sizes, down=run.down(phase))
    if not hosts:
        why = f"every other host of the cluster {waiting[0].cluster} that could be spared is down already"
        return Record(e.Skipped(at=now, phase=phase, host=waiting[0].name, why=why))
    return Record(e.Opened(at=now, phase=phase, hosts=tuple(host.name for host in hosts), mending=mending))


def _pause_over(run: Run, spec: PhaseSpec, now: float, seen: Seen, loud: Trip | None) -> Wait | None:
    """Return how long the pause before a batch of this phase still lasts."""
    policy = run.plan.policy
    if not spec.batched or run.acted_at is None:
        return None
    mending = run.aborting or run.stop is not None
    if not policy.steady:
        over = run.acted_at + policy.pause_s
        return Wait(over, "the pause between batches") if now < over else None
    if loud and not mending and now < run.closed_at + policy.patience_s:
        return Wait(run.closed_at + policy.patience_s, f"not steady: {loud.why}")
    if loud:
        return None
    since = max(run.closed_at, run.acted_at, now if seen.quiet_since is None else seen.quiet_since)
    over = since + policy.settle_s
    return Wait(over, "until it is steady") if now < over else None


def _patience(run: Run, now: float, loud: Trip | None) -> Wait | None:
    """Return how long a batch that only undoes still waits for a guard to be quiet."""
    until = run.mending_from + run.plan.policy.patience_s
    if loud is None or not (run.aborting or run.stop) or now >= until:
        return None
    return Wait(until, f"the guard {loud.guard} is not quiet: {loud.why}")


def _next_phase(run: Run) -> int | None:
    """Return the phase that comes next: what mends goes first, where nothing later would."""
    mending = run.aborting or run.stop is not None
    places = range(len(run.plan.phases))
    for phase in sorted(places, key=lambda place: (not run.plan.phases[place].extra, place)):
        if (run.plan.phases[phase].mends or not mending) and run.waiting(phase, mending=mending):
            return phase
    return None


def _wants_approval(run: Run, phase: int) -> bool:
    mending = run.aborting or run.stop is not None
    return run.plan.phases[phase].spec.approval and phase not in run.approved and not mending


def _tripped(spec: PhaseSpec, seen: Seen, *, mending: bool = False) -> Trip | None:
    """Return what a guard that this phase heeds says.

    What no waiting makes quiet (failed hosts, a window that has closed) does not keep hosts stopped.
    """
    heeded = spec.heeds if spec.heeds is not None or spec.batched else _HEEDED_BY_ALL
    trips = [trip for kind, trip in seen.trips if heeded is None or kind in heeded]
    if mending:
        trips = [trip for kind, trip in seen.trips if trip in trips and kind not in _NEVER_QUIET]
    return trips[0] if trips else None
