"""The machine under any order of events: crashes, guards, aborts, pauses, approvals, hosts that fail."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleets import MAINTENANCE, ROLLING, STOP_ALL, FakeWork, Service, hosts_named, planned
from tidegate.fleet import events as e
from tidegate.fleet.act import PhaseSpec, Trip
from tidegate.fleet.events import decode, encode
from tidegate.fleet.machine import Do, Leave, Record, Seen, Wait, decide, phases_of, status_of
from tidegate.fleet.state import fold


def seeded(seed: int) -> random.Random:
    """Return randomness that is the same whenever a test runs."""
    return random.Random(seed)  # noqa: S311 (no secret)


PLANS = {"stop-all": STOP_ALL, "rolling": ROLLING, "maintenance": MAINTENANCE}


@dataclass
class Controller:
    """Drives the machine as the runner does, against services in this process; it can die at any moment."""

    phases: tuple[PhaseSpec, ...]
    count: int
    rng: random.Random
    broken: set[tuple[str, str]]
    never: set[str]
    policy: e.Policy
    steady: bool = False
    now: float = 1000.0
    busy: dict[str, Do] = field(default_factory=dict)
    trips: list[tuple[str, Trip]] = field(default_factory=list)
    asked: set[tuple[int, str]] = field(default_factory=set)
    looked: set[str] = field(default_factory=set)
    left: str = ""

    def __post_init__(self) -> None:
        self.work = FakeWork(self.phases)
        hosts = hosts_named(self.count, clusters=2)
        self.services = self.work.services = {host.name: Service() for host in hosts}
        self.journal: list[e.Event] = [planned(self.work, hosts, policy=self.policy)]
        self.run = fold(self.journal)
        self.write(e.Taken(at=self.now, by="first"))
        self.opened_at: float | None = None

    def write(self, event: e.Event) -> None:
        """Write an event and let it happen; look at what must always hold."""
        if isinstance(event, e.Opened):
            self.check_opening(event)
        self.journal.append(event)
        self.run.apply(decode(encode(event)))
        assert sum(self.run.counts().values()) == self.count

    def check_opening(self, event: e.Opened) -> None:
        assert self.run.batch is None, "two batches in flight"
        spec = self.run.plan.phases[event.phase].spec
        if not spec.batched:
            return
        assert 1 <= len(event.hosts) <= self.policy.most
        if self.run.acted_at is not None:
            pause = self.policy.settle_s if self.policy.steady else self.policy.pause_s
            impatient = self.policy.steady and self.trips
            assert impatient or self.now >= self.run.acted_at + pause, "the pause was not kept"
        if spec.spare_cluster:
            down = {host.name for host in self.run.down(event.phase)} | set(event.hosts)
            for cluster in {host.cluster for host in self.run.plan.hosts}:
                members = {host.name for host in self.run.plan.hosts if host.cluster == cluster}
                assert not members <= down, "a whole cluster"

    def turn(self) -> None:
        """Ask the machine until it waits."""
        for _ in range(1000):
            quiet = None if self.trips else 0.0
            seen = Seen(frozenset(self.busy), tuple(self.trips), quiet, frozenset(self.looked))
            actions = decide(self.run, self.now, seen)
            again = False
            for action in actions:
                match action:
                    case Record(event):
                        self.write(event)
                        again = True
                    case Do(what, phase, host):
                        assert host not in self.busy
                        if what == "act":
                            assert (phase, host) in self.asked, "acted on without done() being asked"
                            self.asked.discard((phase, host))
                            self.looked.discard(host)
                            if not self.run.steps[phase][host].meant:
                                self.write(e.Acting(at=self.now, phase=phase, host=host))
                            assert self.run.steps[phase][host].meant, "an act without its intent in the journal"
                        self.busy[host] = action
                        halved = any(trip.halve for _, trip in self.trips)
                        most = self.run.plan.phases[phase].spec.concurrency
                        assert len(self.busy) <= most
                        if halved and what == "look" and self.run.step(phase, host).state == "planned":
                            assert len(self.busy) <= max(1, most // 2), "not halved"
                    case Leave(why):
                        self.left = why
                        return
                    case Wait():
                        pass
            if not again:
                return
        raise AssertionError("the machine never waits")

    def finish(self, host: str) -> None:
        """Let one host's work come to its end."""
        do = self.busy.pop(host)
        spec, service = self.run.plan.phases[do.phase].spec, self.services[host]
        step = spec.step
        match do.what:
            case "look":
                now = service.evidence()
                again = self.run.steps[do.phase][host].state == "unsure"
                if not again:
                    self.write(e.Looked(at=self.now, phase=do.phase, host=host, evidence=now))
                before = self.run.steps[do.phase][host].before
                assert before is not None
                self.asked.add((do.phase, host))
                self.looked.update({host} if again else ())
                if self.work.done(step, before, now):
                    self.asked.discard((do.phase, host))
                    self.looked.discard(host)
                    self.write(e.Acted(at=self.now, phase=do.phase, host=host, evidence=now, found=True))
            case "act":
                if (step, host) in self.broken:
                    if self.rng.random() < 0.5:
                        self.services[host].running = step in {"start", "exit"} or False
                    self.write(e.Failed(at=self.now, phase=do.phase, host=host, why="broken"))
                    return
                service.do("start" if step == "exit" else step)
                self.write(e.Acted(at=self.now, phase=do.phase, host=host, evidence=service.evidence()))
            case _ if host in self.never and step != "stop":
                self.write(e.Failed(at=self.now, phase=do.phase, host=host, why="has not reconnected"))
            case _:
                self.write(e.Verified(at=self.now, phase=do.phase, host=host))

    def die(self) -> None:
        """Die at any boundary: what was under way happened or did not; then another controller takes the run."""
        for do in self.busy.values():
            if do.what == "act" and self.rng.random() < 0.5:
                step = self.run.plan.phases[do.phase].spec.step
                if (step, do.host) not in self.broken:
                    self.services[do.host].do("start" if step == "exit" else step)
        self.busy.clear()
        self.asked.clear()
        self.looked.clear()
        self.run = fold(decode(encode(event)) for event in self.journal)
        self.write(e.Taken(at=self.now, by="next"))
        self.left = ""

    def resume(self) -> None:
        """Do what an operator does about a run that was left."""
        if self.left == "waiting-approval":
            waiting = [p for p in range(len(self.run.plan.phases)) if self.run.plan.phases[p].spec.approval]
            for phase in waiting:
                self.write(e.Approved(at=self.now, phase=phase, by="me"))
        self.write(e.Taken(at=self.now, by="again"))
        self.left = ""

    def to_the_end(self) -> None:
        """Let guards be quiet and operators friendly until the run has ended."""
        self.trips = []
        for _ in range(4000):
            if self.run.ended:
                return
            if self.left:
                self.resume()
            self.turn()
            if self.busy:
                self.finish(min(self.busy))
            self.now += 10.0
        raise AssertionError(f"the run does not end: {status_of(self.run)}")


WORDS = [*["finish"] * 12, *["wait"] * 4, "die", "trip", "halve", "quiet", "pause", "abort", "resume"]


@dataclass(frozen=True)
class Story:
    """What happens in one example."""

    moves: list[str]
    count: int
    rng: random.Random
    broken: int
    never: int
    steady: bool
    aborts: bool

    def controller(self, phases: tuple[PhaseSpec, ...]) -> Controller:
        names = [host.name for host in hosts_named(self.count)]
        steps = [*(phase.step for phase in phases), "exit"]
        failing = {(self.rng.choice(steps), self.rng.choice(names)) for _ in range(self.broken)}
        policy = e.Policy(size=2, most=4, pause_s=150, steady=self.steady, settle_s=30, patience_s=300)
        return Controller(phases, self.count, self.rng, failing, set(self.rng.sample(names, self.never)), policy)

    def move(self, one: Controller, word: str) -> None:
        """Let one thing happen."""
        match word:
            case "finish" if one.busy:
                one.finish(self.rng.choice(sorted(one.busy)))
            case "wait":
                one.now += self.rng.choice([1.0, 30.0, 150.0, 400.0])
            case "die":
                one.die()
            case "trip" | "halve":
                kind = self.rng.choice(["provider-response", "failed-hosts"])
                one.trips = [(kind, Trip("g", "is loud", halve=word == "halve"))]
            case "quiet":
                one.trips = []
            case "pause" if not one.left:
                one.write(e.PauseAsked(at=one.now, by="me"))
            case "abort" if self.aborts:
                one.write(e.AbortAsked(at=one.now, by="me"))
            case "resume" if one.left:
                one.resume()


STORIES = st.builds(
    Story,
    moves=st.lists(st.sampled_from(WORDS), max_size=80),
    count=st.integers(4, 9),
    rng=st.integers(0, 2**16).map(seeded),
    broken=st.integers(0, 2),
    never=st.integers(0, 1),
    steady=st.booleans(),
    aborts=st.booleans(),
)


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=150)
@given(story=STORIES)
def test_whatever_happens(plan: str, story: Story) -> None:
    one = story.controller(PLANS[plan])
    for word in story.moves:
        if one.run.ended:
            break
        story.move(one, word)
        if not one.left:
            one.turn()
    one.to_the_end()
    look_at_the_end(one)


def look_at_the_end(one: Controller) -> None:
    """Assert what must hold of every run that has ended."""
    left, last = set(one.run.left()), one.phases[-1].step
    for name, service in one.services.items():
        assert service.running or name in left, "stopped, and nobody says so"
        assert service.starts <= 1, "restarted twice"
        assert service.running or {(last, name), ("start", name), ("exit", name)} & one.broken, "stopped for no reason"
    if one.run.aborting:
        assert one.run.ended == "aborted"
    else:
        assert one.run.counts()["waiting"] == 0
        assert (one.run.ended == "finished") == (not one.run.failed and not left)
    assert fold(decode(encode(event)) for event in one.journal) == one.run


def test_extra_phases_are_for_steps_that_nothing_later_undoes() -> None:
    phases = phases_of(FakeWork(STOP_ALL))
    assert [(one.spec.step, one.mends, one.extra) for one in phases] == [("stop", (), False), ("start", (0,), False)]
    phases = phases_of(FakeWork(ROLLING))
    assert [(one.spec.step, one.mends, one.extra) for one in phases] == [
        ("restart", (), False),
        ("start", (0,), True),
    ]


def test_a_stop_that_was_undone_and_is_begun_again_is_undone_again() -> None:
    one = Controller(STOP_ALL, 4, seeded(1), {("stop", "esx01")}, set(), e.Policy(size=2, most=4, pause_s=150))
    one.turn()
    one.resume()
    one.turn()
    one.finish("esx01")
    one.turn()
    assert one.busy["esx01"].what == "act"
    one.die()  # it was begun, and did not happen
    one.trips = [("alert", Trip("g", "firing"))]
    while not one.left:
        one.turn()
        if one.busy:
            one.finish(min(one.busy))
        one.now += 10
    assert one.left == "stopped"
    assert one.run.step(1, "esx01").state == "verified"
    assert one.services["esx01"].stops == 0
    one.broken.clear()
    one.trips = []
    one.resume()
    one.turn()
    assert one.run.step(0, "esx01").state == "planned"
    one.to_the_end()
    assert one.run.ended == "finished"
    assert {service.starts for service in one.services.values()} == {1}


@dataclass
class Mortal(Controller):
    """Dies after so many writes, again and again; that it took the run is not counted."""

    life: int = 1
    left_to_live: int = 1 << 30

    def write(self, event: e.Event) -> None:
        super().write(event)
        if not isinstance(event, e.Taken):
            self.left_to_live -= 1
            if self.left_to_live == 0:
                raise InterruptedError

    def live(self) -> None:
        """Live once, to the end of the run or of this life; what is under way ends in any order."""
        self.left_to_live = self.life
        try:
            while not self.run.ended:
                if self.left:
                    self.resume()
                self.turn()
                if self.busy:
                    self.finish(self.rng.choice(sorted(self.busy)))
                self.now += 10.0
        except InterruptedError:
            self.die()


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=40)
@given(story=STORIES, life=st.integers(1, 6))
def test_a_controller_that_dies_after_every_few_writes_gets_on(plan: str, story: Story, life: int) -> None:
    of = story.controller(PLANS[plan])
    one = Mortal(of.phases, of.count, of.rng, of.broken, of.never, of.policy, life=life)
    lives = 0
    while not one.run.ended:
        one.live()
        lives += 1
        # Per host and phase: looked at, meant, acted on, verified, once each (twice where it failed); and batches.
        assert lives < 2 * 8 * one.count * len(one.run.plan.phases), "it only looks again and again"
    look_at_the_end(one)


def test_a_quiet_run_grows_its_batches_and_a_guard_stops_it_and_halves_them() -> None:
    policy = e.Policy(size=5, most=10, pause_s=150)
    one = Controller((PhaseSpec("restart", "restart", concurrency=10),), 40, seeded(1), set(), set(), policy)
    one.to_the_end()
    assert [size for _, size in one.run.batches] == [5, 7, 10, 10, 8]

    one = Controller((PhaseSpec("restart", "restart", concurrency=10),), 40, seeded(1), set(), set(), policy)
    one.trips = [("datastore-latency", Trip("g", "26 ms", halve=True))]
    one.turn()
    assert one.left == "stopped"
    one.to_the_end()
    assert [size for _, size in one.run.batches][:3] == [2, 3, 4]


def test_from_25_ms_on_what_goes_on_does_so_with_half_its_concurrency() -> None:
    policy = e.Policy(size=4, most=4, pause_s=150, patience_s=0)
    stop = PhaseSpec("stop all", "stop", batched=False, concurrency=8)
    one = Controller((stop, PhaseSpec("start", "start", concurrency=4)), 8, seeded(1), set(), set(), policy)
    one.trips = [("datastore-latency", Trip("g", "26 ms", halve=True))]
    one.turn()
    assert len(one.busy) == 4, "stopping all is not stopped by it"
    one.trips = [("datastore-latency", Trip("g", "21 ms"))]
    one.turn()
    assert len(one.busy) == 8
    while one.run.batch:
        one.finish(min(one.busy))
        one.turn()
    assert one.run.stop is not None
    one.to_the_end()
    assert {service.starts for service in one.services.values()} == {1}


def test_the_status_in_words() -> None:
    one = Controller(STOP_ALL, 4, seeded(1), set(), set(), e.Policy(size=2, most=4, pause_s=150))
    assert status_of(fold(one.journal[:1])) == "waiting-approval"
    one.turn()
    assert one.left == status_of(one.run) == "waiting-approval"
    one.resume()
    one.turn()
    assert status_of(one.run) == "running"
    while any(service.running for service in one.services.values()):
        one.finish(min(one.busy))
        one.turn()
    one.write(e.PauseAsked(at=one.now, by="me"))
    assert status_of(one.run) == "pausing"
    while not one.left:
        one.turn()
        if one.busy:
            one.finish(min(one.busy))
    assert one.left == status_of(one.run) == "paused"
    assert set(one.run.left()) == set(one.services)
    one.resume()
    one.trips = [("provider-response", Trip("slow", "3 s"))]
    one.turn()
    one.now += 1
    assert status_of(one.run) == "stopping"
    one.write(e.AbortAsked(at=one.now, by="me"))
    assert status_of(one.run) == "aborting"
    one.to_the_end()
    assert status_of(one.run) == one.run.ended == "aborted"
    assert not one.run.left()
