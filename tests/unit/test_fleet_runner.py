"""The runner on a virtual clock: what it does to hosts, when it stops, what it writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleets import MAINTENANCE, ROLLING, STOP_ALL, FakeWork, Service, hosts_named
from loops import played
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet import events as e
from tidegate.fleet.act import Evidence, Host, PhaseSpec, Readings, Trip
from tidegate.fleet.journal import JournalLost, RunRow
from tidegate.fleet.machine import status_of
from tidegate.fleet.runner import Pace, Runner, Tools, plan_run
from tidegate.fleet.state import Run, fold


@dataclass
class Memory:
    """A journal in this process; it can be lost after some writes."""

    rows: list[e.Event] = field(default_factory=list)
    lost_after: int | None = None
    place: str = "memory"

    def plan(self, run: str, event: e.Planned) -> None:
        del run
        self.rows.append(event)

    def append(self, run: str, event: e.Event) -> int:
        del run
        if self.lost_after is not None and len(self.rows) >= self.lost_after:
            raise JournalLost("the journal memory does not answer")
        self.rows.append(e.decode(e.encode(event)))
        return len(self.rows)

    def events(self, run: str, after: int = 0) -> list[tuple[int, e.Event]]:
        del run
        return list(enumerate(self.rows, start=1))[after:]

    @contextmanager
    def lock(self, run: str) -> Iterator[None]:
        del run
        yield

    def held(self, run: str) -> bool:
        raise NotImplementedError

    def runs(self) -> list[RunRow]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def of(self, kind: type[e.Event]) -> list[Any]:
        return [row for row in self.rows if isinstance(row, kind)]


@dataclass
class Limit:
    """A guard: the newest reading must not be above ``most``."""

    most: float
    reading: str = "rt"
    name: str = "slow"
    kind: str = "provider-response"

    def judge(self, readings: Readings, now: float) -> Trip | None:
        last = readings.last(self.reading)
        if last is None or now - last.at > 60:
            return Trip(self.name, "no sample for 60 s")
        return Trip(self.name, f"{last.value:g} is above {self.most:g}") if last.value > self.most else None


@dataclass
class Gauge:
    """A probe that tells what it was told."""

    values: Callable[[float], float | None]
    name: str = "rt"

    async def sample(self) -> float:
        await asyncio.sleep(0.01)
        value = self.values(asyncio.get_running_loop().time())
        if value is None:
            raise HostUnreachable("no answer")
        return value


class SlowWork(FakeWork):
    """Every act takes ten seconds."""

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        await asyncio.sleep(10)
        return await super().act(step, host, before)


async def inline(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


START = 1_000_000.0
POLICY = e.Policy(size=2, most=4, pause_s=150, patience_s=600)


def runner(journal: Memory, work: FakeWork, **tools: Any) -> Runner:
    clock = asyncio.get_running_loop().time
    return Runner(journal, "r1", work, Tools(clock=clock, call=inline, by="test", **tools))


def drive(
    journal: Memory,
    work: FakeWork,
    *,
    count: int = 6,
    policy: e.Policy = POLICY,
    also: Callable[[Runner], Any] | None = None,
    **tools: Any,
) -> str:
    async def all_of_it() -> str:
        if not journal.rows:
            clock = asyncio.get_running_loop().time
            journal.plan("r1", await plan_run(work, hosts_named(count, clusters=2), policy, at=clock()))
        one = runner(journal, work, **tools)
        if also is None:
            return await one.drive()
        async with asyncio.TaskGroup() as group:
            group.create_task(also(one))
            return await one.drive()

    return played(all_of_it())


def test_a_rolling_restart_from_plan_to_end() -> None:
    journal, work = Memory(), FakeWork(ROLLING)
    assert drive(journal, work, count=9) == "finished"
    run = fold(journal.rows)
    assert run.counts() == {"verified": 9, "failed": 0, "skipped": 0, "waiting": 0}
    assert [len(event.hosts) for event in journal.of(e.Opened)] == [2, 3, 4]
    assert {service.starts for service in work.services.values()} == {1}
    closed = [event.at for event in journal.of(e.Closed)]
    opened = [event.at for event in journal.of(e.Opened)]
    assert all(after - before >= 149.9 for before, after in zip(closed, opened[1:], strict=False))
    assert work.log[-1][0] == "close"
    for host in hosts_named(9):
        kinds = [type(row).__name__ for row in journal.rows if getattr(row, "host", "") == host.name]
        assert kinds == ["Looked", "Acting", "Acted", "Verified"]


def test_stop_all_waits_for_approval_then_stops_all_and_starts_in_batches() -> None:
    journal, work = Memory(), FakeWork(STOP_ALL, notes=("vvold stops on all hosts",))
    assert drive(journal, work) == "waiting-approval"
    assert not any(what == "act" for what, _, _ in work.log)
    journal.append("r1", e.Approved(at=START, phase=0, by="me"))
    assert drive(journal, work) == "finished"
    steps = [step for what, step, _ in work.log if what == "act"]
    assert steps == ["stop"] * 6 + ["start"] * 6
    assert fold(journal.rows).plan.notes == ("vvold stops on all hosts",)


def test_a_guard_stops_before_the_next_host_and_can_be_resumed() -> None:
    journal, work = Memory(), FakeWork(ROLLING)
    gauge = Gauge(lambda now: 0.1 if now < START + 100 else 9.0)
    assert drive(journal, work, guards=[Limit(2.0)], probes=[gauge]) == "stopped"
    run = fold(journal.rows)
    assert run.stop is not None
    assert (run.stop.guard, run.stop.why) == ("slow", "9 is above 2")
    assert run.counts()["verified"] == 2
    assert journal.of(e.Sampled)
    assert drive(journal, work, guards=[Limit(2.0)], probes=[Gauge(lambda _: 0.1)]) == "finished"
    assert {service.starts for service in work.services.values()} == {1}


def test_a_probe_that_reads_nothing_says_why() -> None:
    journal = Memory()
    gauge = Gauge(lambda _: None, name="slow")
    assert drive(journal, FakeWork(ROLLING), guards=[Limit(2.0, reading="slow")], probes=[gauge]) == "stopped"
    assert [trip.why for trip in journal.of(e.Tripped)] == ["no sample for 60 s (no answer)"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "what it read is odd: KeyError: 'unit_s'"),
        ("[]", "what it read is odd: TypeError: list indices must be integers or slices, not str"),
        ('{"unit_s": "many"}', "what it read is odd: ValueError: could not convert string to float: 'many'"),
        ('{"unit_s": NaN}', "what it read is no value: nan"),
        ('{"unit_s": Infinity}', "what it read is no value: inf"),
    ],
)
def test_a_probe_that_reads_something_odd_ends_no_run(text: str, says: str) -> None:
    """It is odd in the middle of the second batch: the hosts under way come to their end, then the guard stops."""
    journal, work = Memory(), SlowWork(ROLLING)
    gauge = Gauge(lambda now: 0.1 if now < START + 175 else float(json.loads(text)["unit_s"]), name="slow")
    assert drive(journal, work, guards=[Limit(2.0, reading="slow")], probes=[gauge]) == "stopped"
    run = fold(journal.rows)
    assert run.counts() == {"verified": 5, "failed": 0, "skipped": 0, "waiting": 1}
    assert [trip.why for trip in journal.of(e.Tripped)] == [f"no sample for 60 s ({says})"]
    assert all(row.value == 0.1 for row in journal.of(e.Sampled))


def test_no_sample_is_not_zero() -> None:
    journal, work = Memory(), FakeWork(ROLLING)
    assert drive(journal, work, guards=[Limit(2.0)], probes=[Gauge(lambda _: None)]) == "stopped"
    assert not any(what == "act" for what, _, _ in work.log)


def test_a_guard_after_stop_all_leaves_nothing_stopped() -> None:
    journal, work = Memory(), FakeWork(STOP_ALL)
    drive(journal, work)
    journal.append("r1", e.Approved(at=START, phase=0, by="me"))
    gauge = Gauge(lambda now: 9.0 if START + 50 < now < START + 400 else 0.1)
    assert drive(journal, work, guards=[Limit(2.0)], probes=[gauge]) == "stopped"
    run = fold(journal.rows)
    assert run.counts()["verified"] == 6
    assert not run.left()
    assert all(service.running and service.starts == 1 for service in work.services.values())
    mending = [event for event in journal.of(e.Opened) if event.mending]
    assert mending
    assert mending[0].at >= START + 400
    assert max(len(event.hosts) for event in mending) <= 2
    assert drive(journal, work, guards=[Limit(2.0)], probes=[Gauge(lambda _: 0.1)]) == "finished"


def test_an_abort_from_elsewhere_starts_what_is_stopped_and_touches_nobody_else() -> None:
    journal, work = Memory(), SlowWork(STOP_ALL)
    drive(journal, work)
    journal.append("r1", e.Approved(at=START, phase=0, by="me"))

    async def abort(one: Runner) -> None:
        await asyncio.sleep(5)
        assert status_of(one.run) == "running"
        journal.append("r1", e.AbortAsked(at=START + 5, by="elsewhere"))

    assert drive(journal, work, also=abort) == "aborted"
    run = fold(journal.rows)
    assert run.counts() == {"verified": 3, "failed": 0, "skipped": 0, "waiting": 3}
    assert all(service.running for service in work.services.values())
    assert [service.starts for service in work.services.values()] == [1, 1, 1]  # the others were not even looked at


def test_ctrl_c_pauses_after_the_hosts_under_way() -> None:
    journal, work = Memory(), SlowWork(ROLLING)

    async def pause(one: Runner) -> None:
        await asyncio.sleep(5)
        one.ask_pause()

    assert drive(journal, work, also=pause) == "paused"
    assert fold(journal.rows).counts() == {"verified": 2, "failed": 0, "skipped": 0, "waiting": 4}
    assert drive(journal, work) == "finished"
    assert {service.starts for service in work.services.values()} == {1}


def test_hosts_that_fail_are_failed_hosts() -> None:
    journal = Memory()
    work = FakeWork(
        ROLLING,
        broken={("restart", "esx02"): "exit 1: vvold is sulking"},
        never=frozenset({"esx04"}),
        skip={"esx05": "enters maintenance mode"},
    )

    class Odd(FakeWork):
        async def look(self, step: str, host: Host) -> Evidence:
            if host.name == "esx06":
                raise ValueError("a defect")
            return await super().look(step, host)

    odd = Odd(ROLLING, broken=work.broken, never=work.never, skip=work.skip)
    assert drive(journal, odd) == "failed"
    run = fold(journal.rows)
    assert run.counts() == {"verified": 2, "failed": 3, "skipped": 1, "waiting": 0}
    assert run.why("esx02") == "exit 1: vvold is sulking"
    assert run.why("esx04") == "has not reconnected, 60 s after the restart"
    assert run.why("esx05") == "enters maintenance mode"
    assert run.why("esx06") == "unexpected ValueError: a defect"
    # what began and failed is mended before the next batch: start finds it running
    assert run.step(1, "esx02").state == "verified"


def test_a_lost_journal_begins_nothing_more_and_says_who_is_in_doubt() -> None:
    journal, work = Memory(), SlowWork(ROLLING)
    drive_until = 8  # planned, taken, opened, looked ×2, acting ×2, acted
    journal.lost_after = drive_until
    with pytest.raises(JournalLost, match="does not answer") as caught:
        drive(journal, work)
    assert "esx02" in caught.value.hint
    assert sum(service.starts for service in work.services.values()) == 2
    journal.lost_after = None
    assert drive(journal, work) == "finished"
    assert {service.starts for service in work.services.values()} == {1}


def test_a_lost_journal_says_who_is_still_stopped() -> None:
    journal, work = Memory(lost_after=40), FakeWork(STOP_ALL)
    drive(journal, work)
    journal.append("r1", e.Approved(at=START, phase=0, by="me"))
    with pytest.raises(JournalLost) as caught:
        drive(journal, work)
    stopped = {name for name, service in work.services.items() if not service.running}
    assert stopped
    assert "STILL STOPPED: " in caught.value.hint
    assert all(name in caught.value.hint for name in stopped)
    journal.lost_after = None
    assert drive(journal, work) == "finished"
    assert {service.starts for service in work.services.values()} == {1}


@pytest.mark.parametrize("key", ["host_id", "boot_id"])
@pytest.mark.parametrize("phases", [STOP_ALL, ROLLING])
def test_two_names_of_one_host_are_one_host(phases: tuple[PhaseSpec, ...], key: str) -> None:
    class Aliases(FakeWork):
        """esx02 and esx05 are names of esx01."""

        def _service(self, host: Host) -> Service:
            real = {"esx02": "esx01", "esx05": "esx01"}.get(host.name, host.name)
            return self.services.setdefault(real, Service())

        async def look(self, step: str, host: Host) -> Evidence:
            real = {"esx02": "esx01", "esx05": "esx01"}.get(host.name, host.name)
            return {**await super().look(step, host), "host_id": None, key: f"of {real}"}

    journal, work = Memory(), Aliases(phases)
    if phases is STOP_ALL:
        drive(journal, work)
        journal.append("r1", e.Approved(at=START, phase=0, by="me"))
    assert drive(journal, work) == "failed"
    run = fold(journal.rows)
    assert {service.starts for service in work.services.values()} == {1}
    assert run.failed == {"esx02", "esx05"}
    assert run.why("esx05").startswith("esx05 and esx01 are the same host")
    assert not run.left()


def test_a_host_keeps_its_name_when_another_controller_goes_on() -> None:
    class Twins(FakeWork):
        async def look(self, step: str, host: Host) -> Evidence:
            return {**await super().look(step, host), "boot_id": "one"}

    journal, work = Memory(lost_after=5), Twins(ROLLING)
    with pytest.raises(JournalLost):  # planned, taken, opened, esx01 looked at, esx02 failed
        drive(journal, work, count=2)
    journal.lost_after = None
    assert drive(journal, work, count=2) == "failed"
    assert fold(journal.rows).failed == {"esx02"}
    assert [what for what, _, host in work.log if what == "act"] == ["act"]


class Reminded(FakeWork):
    """Keeps what it is told of earlier controllers, and says in every verdict whether it was."""

    def __init__(self) -> None:
        super().__init__(ROLLING)
        self.told: list[tuple[str, Evidence]] = []

    def remember(self, host: Host, evidence: Evidence) -> None:
        self.told.append((host.name, evidence))


def test_a_controller_that_takes_over_tells_the_work_all_that_was_recorded() -> None:
    journal, first = Memory(), Reminded()
    gauge = Gauge(lambda now: 0.1 if now < START + 100 else 9.0)
    assert drive(journal, first, guards=[Limit(2.0)], probes=[gauge]) == "stopped"
    assert first.told == []
    recorded = [
        (row.host, row.evidence) for row in journal.rows if isinstance(row, (e.Looked, e.Acted, e.Verified, e.Failed))
    ]
    second = Reminded()
    second.services = first.services
    assert drive(journal, second) == "finished"
    assert len(recorded) == 6
    assert second.told == recorded


def test_until_it_is_steady() -> None:
    journal, work = Memory(), FakeWork(ROLLING)
    policy = e.Policy(size=3, most=3, pause_s=150, steady=True, settle_s=30, patience_s=600)
    gauge = Gauge(lambda now: 9.0 if START + 3 < now < START + 80 else 0.1)
    assert drive(journal, work, policy=policy, guards=[Limit(2.0)], probes=[gauge]) == "finished"
    second = journal.of(e.Opened)[1].at - START
    assert 110 <= second <= 130
    assert not journal.of(e.Tripped)
    journal = Memory()
    gauge = Gauge(lambda now: 9.0 if now > START + 3 else 0.1)
    assert drive(journal, FakeWork(ROLLING), policy=policy, guards=[Limit(2.0)], probes=[gauge]) == "stopped"
    assert journal.of(e.Tripped)[0].at >= START + 600


def test_a_phase_that_would_take_a_whole_cluster_is_refused() -> None:
    async def plan(count: int) -> None:
        await plan_run(FakeWork(MAINTENANCE), hosts_named(count, clusters=2), POLICY, at=0.0)

    played(plan(4))
    with pytest.raises(FleetError, match="would take a whole cluster out of service: the cluster c0 has one host only"):
        played(plan(3))


def test_a_run_that_has_ended_is_left_alone() -> None:
    journal, work = Memory(), FakeWork(ROLLING)
    drive(journal, work)
    before = len(journal.rows)
    assert drive(journal, work) == "finished"
    assert len(journal.rows) == before


def test_the_work_is_asked_again_until_it_is_sure() -> None:
    class Unsure(FakeWork):
        asked = 0

        async def verify(self, step: str, host: Host, before: Evidence) -> Any:
            self.asked += 1
            if self.asked < 4:
                self.never = frozenset({host.name})
            else:
                self.never = frozenset()
            return await super().verify(step, host, before)

    work = Unsure((PhaseSpec("restart", "restart", deadline_s=60, again_s=5),), services={"esx01": Service()})
    journal = Memory()
    seen: list[str] = []

    def watch(run: Run, event: e.Event) -> None:
        assert run.at == event.at
        seen.append(type(event).__name__)

    assert drive(journal, work, count=1, watch=watch, pace=Pace(tick_s=0.5)) == "finished"
    assert journal.of(e.Verified)[0].at - journal.of(e.Acted)[0].at == pytest.approx(15)
    assert seen[-2:] == ["Closed", "Ended"]
