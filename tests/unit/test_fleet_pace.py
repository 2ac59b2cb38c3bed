"""The pace: batches, pauses, latency, guards, windows; the core by itself and its asyncio shell in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops import played
from tidegate.config.windows import DAYS, window_of
from tidegate.errors import FleetError, Stopped
from tidegate.fleet.act import Guard, Readings, Trip
from tidegate.fleet.guards import DatastoreLatency, FailedHosts, WindowGuard
from tidegate.fleet.pace import Go, Halt, Hold, Pace, Rules
from tidegate.fleet.pace_run import Pacer

DISK = DatastoreLatency("disk", 0.020, 0.025)


@dataclass
class Switch:
    """A guard that says what it is told to."""

    name: str = "switch"
    kind: str = "alert"
    on: bool = False

    def judge(self, readings: Readings, now: float) -> Trip | None:
        del readings, now
        return Trip(self.name, "it is on") if self.on else None


def begun(pace: Pace, readings: Readings, now: float) -> int:
    """Begin as many as may; return how many."""
    count = 0
    while isinstance(pace.ask(readings, now), Go):
        pace.begin()
        count += 1
    return count


def test_a_batch_is_finished_before_the_next_one_and_a_pause_follows() -> None:
    pace, readings = Pace(Rules(batch=5, concurrency=3, pause_s=30)), Readings()
    assert begun(pace, readings, 0) == 3
    pace.end(10, ok=True)
    assert begun(pace, readings, 10) == 1
    for _ in range(2):
        pace.end(20, ok=True)
    assert begun(pace, readings, 20) == 1  # the fifth
    assert pace.ask(readings, 20) == Hold(None, "batch 1 is full; 2 of it are under way")
    for _ in range(2):
        pace.end(25, ok=False)
    assert pace.ask(readings, 25) == Hold(55, "pause after batch 1")
    assert begun(pace, readings, 55) == 3
    assert (pace.batch, pace.failed) == (2, 2)


def test_latency_holds_then_halves_then_gives_back() -> None:
    pace, readings = Pace(Rules(batch=50, concurrency=8), [DISK]), Readings()
    readings.add("disk", 0, 0.005)
    assert begun(pace, readings, 0) == 8
    for _ in range(8):
        pace.end(5, ok=True)
    readings.add("disk", 20, 0.021)
    assert isinstance(pace.ask(readings, 20), Hold)
    assert pace.concurrency == 8
    readings.add("disk", 40, 0.030)
    assert isinstance(pace.ask(readings, 41), Hold)
    assert isinstance(pace.ask(readings, 42), Hold)  # the same sample halves once
    assert pace.concurrency == 4
    readings.add("disk", 60, 0.019)
    assert isinstance(pace.ask(readings, 60), Hold)  # in the band
    readings.add("disk", 80, 0.010)
    assert begun(pace, readings, 80) == 5
    readings.add("disk", 100, 0.010)
    readings.add("disk", 120, 0.010)
    assert begun(pace, readings, 120) == 2


def test_samples_that_came_while_nobody_asked_count_too() -> None:
    pace, readings = Pace(Rules(concurrency=8), [DISK]), Readings()
    for place, value in enumerate((0.030, 0.040, 0.010)):
        readings.add("disk", 20.0 * place, value)
    pace.ask(readings, 45)
    assert pace.concurrency == 3  # 8, 4, 2, and one back


def test_no_sample_holds_and_an_old_one_does_not_give_back() -> None:
    pace, readings = Pace(Rules(concurrency=4, patience_s=900), [DISK]), Readings()
    held = pace.ask(readings, 0)
    assert isinstance(held, Hold)
    assert "none is not zero" in held.why
    readings.add("disk", 0, 0.030)
    pace.ask(readings, 1)
    readings.add("disk", 20, 0.010)
    pace.ask(readings, 200)
    assert pace.concurrency == 2


def test_patience_ends_and_begins_anew_when_the_guard_was_quiet() -> None:
    switch = Switch(on=True)
    pace, readings = Pace(Rules(patience_s=100), [switch]), Readings()
    assert pace.ask(readings, 0) == Hold(100, "it is on", "switch")
    switch.on = False
    assert pace.ask(readings, 99) == Go()
    switch.on = True
    assert pace.ask(readings, 100) == Hold(200, "it is on", "switch")
    assert pace.ask(readings, 200) == Halt("switch", "it is on; it has said so for 100 s")


def test_too_many_failures_halt_at_once() -> None:
    pace, readings = Pace(Rules(), [FailedHosts("limit", 1)]), Readings()
    assert begun(pace, readings, 0) == 4
    pace.end(1, ok=False)
    assert pace.ask(readings, 1) == Go()
    pace.end(2, ok=False)
    assert pace.ask(readings, 2) == Halt("limit", "2 failed, and at most 1 may")


def at(hour: int) -> float:
    return datetime(2026, 6, 1, hour, tzinfo=UTC).timestamp()


def test_a_closed_window_halts_or_is_waited_for() -> None:
    night = WindowGuard("night", window_of("night", DAYS, "22:00", "04:00", "UTC"))
    assert isinstance(Pace(Rules(), [night]).ask(Readings(), at(12)), Halt)
    answer = Pace(Rules(wait=True), [night]).ask(Readings(), at(12))
    assert isinstance(answer, Hold)
    assert answer.until == at(22)
    assert isinstance(Pace(Rules(), [night]).ask(Readings(), at(23)), Go)


@given(
    batch=st.integers(1, 8),
    concurrency=st.integers(1, 8),
    steps=st.lists(
        st.tuples(st.sampled_from(["ask", "end", "fail", "sample", "wait"]), st.floats(0, 0.05)), max_size=120
    ),
)
def test_whatever_happens_the_bounds_hold(batch: int, concurrency: int, steps: list[tuple[str, float]]) -> None:
    rules = Rules(batch, concurrency, pause_s=7)
    pace, readings, now, ended = Pace(rules, [DISK]), Readings(), 0.0, -1000.0
    for what, value in steps:
        match what:
            case "ask":
                if isinstance(pace.ask(readings, now), Go):
                    last = readings.last("disk")
                    assert last is not None
                    assert last.value < 0.020
                    assert now - last.at <= 60
                    assert pace.in_flight < pace.concurrency
                    before = pace.batch
                    full = pace.begun == batch
                    pace.begin()
                    assert (pace.batch == before + 1) == full
                    assert not full or (pace.in_flight == 1 and now >= ended + 7)
            case "end" | "fail" if pace.in_flight:
                pace.end(now, ok=what == "end")
                ended = now
            case "sample":
                readings.add("disk", now, value)
            case _:
                now += 1 + value * 1000
        assert 1 <= pace.concurrency <= concurrency
        assert 0 <= pace.in_flight <= concurrency
        assert pace.begun <= batch


class Scripted:
    """A probe that gives one value after the other; ``None`` fails. The last one stays."""

    name = "disk"

    def __init__(self, *values: float | None) -> None:
        self._values = list(values)
        self.asked = 0

    async def sample(self) -> float:
        self.asked += 1
        value = self._values.pop(0) if len(self._values) > 1 else self._values[0]
        if value is None:
            raise FleetError("vCenter has no counters today")
        return value


class Login:
    """A session that remembers how often it was opened and closed."""

    token = "one"

    def __init__(self) -> None:
        self.opened = self.closed = 0

    async def __call__(self) -> Login:
        self.opened += 1
        return self

    async def close(self) -> None:
        self.closed += 1


def clock() -> float:
    return asyncio.get_running_loop().time()


async def spent(pacer: Pacer, count: int, takes: float = 10.0) -> tuple[list[float], int]:
    """Do ``count`` pieces of work at once; return when each began, and how many were under way at the most."""
    starts: list[float] = []
    most = 0
    begin = clock()

    async def one(number: int) -> None:
        nonlocal most
        async with pacer.slot(f"vm{number}"):
            starts.append(clock() - begin)
            most = max(most, pacer.pace.in_flight)
            await asyncio.sleep(takes)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
    return starts, most


def test_slots_keep_batches_and_concurrency() -> None:
    async def story() -> None:
        login = Login()
        async with Pacer(Rules(batch=4, concurrency=2, pause_s=30), login=login, now=clock) as pacer:
            assert pacer.session is login
            starts, most = await spent(pacer, 6)
        assert starts == [0, 0, 10, 10, 50, 50]
        assert most == 2
        assert (login.opened, login.closed) == (1, 1)

    played(story())


def test_who_came_first_begins_first() -> None:
    async def story() -> None:
        order: list[int] = []
        async with Pacer(Rules(concurrency=1), now=clock) as pacer:

            async def one(number: int) -> None:
                async with pacer.slot(str(number)):
                    order.append(number)
                    await asyncio.sleep(1)

            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(one(number))
        assert order == list(range(20))

    played(story())


def test_latency_holds_slots_until_it_falls() -> None:
    async def story() -> None:
        said: list[Hold | None] = []
        probe = Scripted(0.030, 0.024, 0.019, 0.010)  # at 0, 20, 40 and 60 s
        async with Pacer(Rules(concurrency=4), [DISK], [probe], now=clock, says=said.append) as pacer:
            starts, most = await spent(pacer, 3, takes=100)
        assert starts == [60, 60, 60]
        assert most == 3  # halved to two by the first, and one back by the last
        assert said[0] is not None
        assert (said[0].why, said[0].guard) == ("datastore latency is 30 ms, and the guard stops at 20 ms", "disk")
        assert None in said

    played(story())


def test_a_probe_that_fails_stops_the_work_and_its_sentence_is_kept() -> None:
    async def story() -> None:
        async with Pacer(Rules(patience_s=90), [DISK], [Scripted(0.001, None)], now=clock) as pacer:
            await spent(pacer, 1)
            await asyncio.sleep(60)
            assert pacer.status()["troubles"] == {"disk": "vCenter has no counters today"}
            begin = clock()
            with pytest.raises(Stopped, match=r"none is not zero.*vCenter has no counters today"):
                async with pacer.slot("late"):
                    pass
            assert clock() - begin == 90

    played(story())


def test_a_probe_that_breaks_is_no_sample_either() -> None:
    class Broken:
        name = "disk"

        async def sample(self) -> float:
            raise ZeroDivisionError

    async def story() -> None:
        async with Pacer(Rules(), [DISK], [Broken()], now=clock) as pacer:
            assert "ZeroDivisionError" in pacer.troubles["disk"]

    played(story())


def test_what_leaves_the_block_with_an_exception_has_failed_and_is_not_changed() -> None:
    async def story() -> None:
        login = Login()
        pacer = Pacer(Rules(), [DISK], [Scripted(0.0)], login=login, now=clock)
        with pytest.raises(ZeroDivisionError):
            async with pacer, pacer.slot("vm"):
                raise ZeroDivisionError
        assert pacer.pace.failed == 1
        assert pacer.pace.in_flight == 0
        assert login.closed == 1

    played(story())


def test_work_can_say_that_it_failed() -> None:
    async def story() -> None:
        async with Pacer(Rules(), [FailedHosts("limit", 0)], now=clock) as pacer:
            async with pacer.slot("vm") as slot:
                slot.ok = False
            with pytest.raises(Stopped, match="limit: 1 failed"):
                async with pacer.slot("next"):
                    pass

    played(story())


def test_who_leaves_while_waiting_takes_no_slot() -> None:
    async def story() -> None:
        switch = Switch(on=True)
        guards: list[Guard] = [switch]
        async with Pacer(Rules(), guards, now=clock) as pacer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5), pacer.slot("vm"):
                    pass
            assert pacer.pace.in_flight == 0
            switch.on = False
            async with pacer.slot("vm"):
                assert pacer.pace.in_flight == 1

    played(story())


def test_halt_ends_those_who_wait() -> None:
    async def story() -> None:
        async with Pacer(Rules(), [Switch(on=True)], now=clock) as pacer:
            asyncio.get_running_loop().call_later(3, pacer.halt, "operator", "interrupted")
            begin = clock()
            with pytest.raises(Stopped, match="operator: interrupted"):
                async with pacer.slot("vm"):
                    pass
            assert clock() - begin == 3

    played(story())


def test_a_login_that_fails_leaves_nothing_behind() -> None:
    async def refuse() -> Login:
        raise FleetError("vCenter refuses the login")

    async def story() -> None:
        with pytest.raises(FleetError, match="refuses"):
            async with Pacer(Rules(), [DISK], [Scripted(0.0)], login=refuse, now=clock):
                pass

    played(story())


def test_status_says_where_it_stands() -> None:
    async def story() -> None:
        async with Pacer(Rules(), [DISK], [Scripted(0.004)], now=clock) as pacer, pacer.slot("vm"):
            status = pacer.status()
            assert status["in_flight"] == 1
            assert status["concurrency"] == 4
            assert status["readings"]["disk"] == 0.004
            assert status["held"] == ""

    played(story())
