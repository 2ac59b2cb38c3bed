"""The asyncio limiter: what is admitted, held and turned away, who leaves, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops import VirtualLoop, played
from tidegate import Admission, Limiter, TurnedAway, _core
from tidegate.errors import GateError, UsageError
from tidegate.gate.driver import Driver
from tidegate.gate.limiter import Ticket


async def work(limiter: Limiter, seconds: float = 1.0, **facts: Any) -> str:
    """Do some work; return "done" or the reason for which it was turned away."""
    try:
        async with limiter.admit(**facts):
            await asyncio.sleep(seconds)
    except TurnedAway as turned_away:
        return turned_away.reason
    return "done"


async def held(limiter: Limiter, count: int) -> None:
    """Let tasks run until so many calls are held."""
    for _ in range(1000):
        if limiter.status()["held_total"] == count:
            return
        await asyncio.sleep(0)
    raise AssertionError(limiter.status())


def idle(limiter: Limiter) -> bool:
    """Whether nothing is held or in flight, and every call has met its fate."""
    status = limiter.status()
    counters = status["counters"]
    fates = counters["admitted"] + counters["turned_away_total"] + counters["client_gone"]
    return bool(status["in_flight"] == 0 and status["held_total"] == 0 and counters["arrived"] == fates)


def test_no_more_than_the_limit_are_in_flight_and_all_are_served() -> None:
    async def play() -> None:
        limiter = Limiter("static:3")
        fates = await asyncio.gather(*(work(limiter, client=f"host-{n}") for n in range(20)))
        assert Counter(fates) == {"done": 20}
        assert limiter.status()["in_flight_max"] == 3
        assert idle(limiter)

    played(play())


def test_first_come_first_served_across_clients() -> None:
    async def play() -> None:
        limiter, order = Limiter("static:1"), []

        async def one(number: int) -> None:
            async with limiter.admit(client=str(number)):
                order.append(number)
                await asyncio.sleep(1)

        await asyncio.gather(*(one(number) for number in range(8)))
        assert order == list(range(8))

    played(play())


def test_a_deadline_that_passes_while_held_turns_away() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        first = asyncio.ensure_future(work(limiter, 100.0))
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        with pytest.raises(TurnedAway) as told:
            async with limiter.admit(deadline=5.0):
                raise AssertionError("it was admitted")
        assert told.value.reason in _core.reasons()
        assert told.value.reason == "deadline"
        assert told.value.retry_after >= 1.0
        assert asyncio.get_running_loop().time() == pytest.approx(began + 5.0, abs=0.1)  # of virtual time
        assert await first == "done"
        assert idle(limiter)

    played(play())


def test_a_deadline_in_the_past_is_too_late_and_one_far_away_is_none() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        assert await work(limiter, deadline=-1.0) == "too-late"
        assert await work(limiter, deadline=1e12) == "done"

    played(play())


def test_one_client_cannot_fill_the_queue() -> None:
    async def play() -> None:
        limiter = Limiter("static:1", admission=Admission(held_per_client_max=2))
        fates = await asyncio.gather(*(work(limiter, client="greedy") for _ in range(6)))
        assert Counter(fates) == {"done": 3, "client-cap": 3}
        strangers = await asyncio.gather(*(work(limiter) for _ in range(6)))
        assert Counter(strangers) == {"done": 6}  # each is a client of its own

    played(play())


def test_the_queue_is_bounded() -> None:
    async def play() -> None:
        limiter = Limiter("static:1", admission=Admission(held_max=4))
        fates = await asyncio.gather(*(work(limiter, client=str(n)) for n in range(10)))
        assert Counter(fates) == {"done": 5, "queue-full": 5}
        assert limiter.status()["counters"]["turned_away"]["queue-full"] == 5

    played(play())


def test_a_probe_has_a_place_of_its_own_and_bulk_waits() -> None:
    async def play() -> None:
        limiter, order = Limiter("static:1"), []

        async def one(kind: Any) -> None:
            async with limiter.admit(client=kind, kind=kind):
                order.append(kind)
                await asyncio.sleep(1)

        first = asyncio.ensure_future(work(limiter, 5.0))
        await asyncio.sleep(0)
        await asyncio.gather(first, one("bulk"), one("poll"), one("open"), one("probe"))
        assert order == ["probe", "open", "poll", "bulk"]

    played(play())


def test_a_session_goes_on_before_another_opens() -> None:
    async def play() -> None:
        limiter, order = Limiter("static:1"), []

        async def opening(client: str, seconds: float) -> None:
            async with limiter.admit(client=client, kind="open") as ticket:
                order.append(f"open {client}")
                await asyncio.sleep(seconds)
                ticket.opened(f"token-{client}")

        async def going_on(client: str) -> None:
            async with limiter.admit(client=client, session=f"token-{client}"):
                order.append(f"call {client}")

        await opening("a", 1.0)
        busy = asyncio.ensure_future(opening("b", 1.0))
        await asyncio.sleep(0)
        await asyncio.gather(busy, opening("c", 1.0), going_on("a"))
        assert order == ["open a", "open b", "call a", "open c"]

    played(play())


def test_a_cancelled_wait_leaves_the_queue() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        first = asyncio.ensure_future(work(limiter, 10.0))
        second = asyncio.ensure_future(work(limiter))
        await held(limiter, 1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert limiter.status()["counters"]["client_gone"] == 1
        assert limiter.status()["held_total"] == 0
        assert await first == "done"
        assert idle(limiter)

    played(play())


def test_a_wait_that_is_cancelled_in_the_moment_of_its_admission_gives_the_slot_back() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        first = limiter.admit()
        assert first.arrive()
        second = asyncio.ensure_future(work(limiter))
        await held(limiter, 1)
        first.done()  # admits the second, whose task has not run since
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert limiter.status()["counters"]["incomplete"] == 1
        # And the other way round: cancelled first, admitted before its task hears of it.
        third = limiter.admit()
        assert third.arrive()
        fourth = asyncio.ensure_future(work(limiter))
        await held(limiter, 1)
        fourth.cancel()
        third.done()
        with pytest.raises(asyncio.CancelledError):
            await fourth
        assert await work(limiter) == "done"
        assert idle(limiter)

    played(play())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "answered"), (ValueError("x"), "broken"), (asyncio.CancelledError(), "incomplete")],
)
def test_what_leaves_the_body_is_the_outcome(error: BaseException | None, outcome: str) -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        with contextlib.suppress(ValueError, asyncio.CancelledError):
            async with limiter.admit():
                if error:
                    raise error
        assert limiter.status()["counters"][outcome] == 1
        assert idle(limiter)

    played(play())


def test_the_body_may_say_that_it_was_overload() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        async with limiter.admit() as ticket:
            ticket.overload()
        with contextlib.suppress(ZeroDivisionError):
            async with limiter.admit() as ticket:
                ticket.overload()
                raise ZeroDivisionError
        assert limiter.status()["counters"]["overload"] == 2

    played(play())


def test_a_slot_is_kept_as_long_as_the_body_runs() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        long = asyncio.ensure_future(work(limiter, 7200.0))  # far beyond any timeout of the gate
        await asyncio.sleep(7000.0)
        assert limiter.status()["in_flight"] == 1
        assert await work(limiter) == "deadline"
        assert await long == "done"

    played(play())


def test_nothing_is_left_behind() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        limiter = Limiter("static:2", admission=Admission(held_max=3))
        await asyncio.gather(*(work(limiter, client=str(n), deadline=2.5) for n in range(9)))
        assert idle(limiter)
        assert loop.timers() == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(0)
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Ticket)]

    played(play())


def test_observe_counts_and_lets_everything_pass() -> None:
    async def play() -> None:
        limiter = Limiter("static:1", mode="observe")
        assert Counter(await asyncio.gather(*(work(limiter) for _ in range(5)))) == {"done": 5}
        status = limiter.status()
        assert status["in_flight_max"] == 5
        assert status["counters"]["would_hold"] == 4

    played(play())


def test_a_limiter_belongs_to_one_loop() -> None:
    limiter = Limiter("static:1")
    assert limiter.status()["counters"]["arrived"] == 0  # before its first call, too
    played(work(limiter))
    with pytest.raises(UsageError, match="another event loop") as told:
        played(work(limiter))
    assert told.value.hint


def test_a_ticket_is_good_for_one_call() -> None:
    async def play() -> None:
        limiter = Limiter("static:1")
        ticket = limiter.admit()
        ticket.done()  # before anything: nothing to give back
        async with ticket:
            pass
        with pytest.raises(UsageError, match="one call"):
            async with ticket:
                raise AssertionError("twice")
        ticket.done()
        assert limiter.status()["counters"]["unknown_call"] == 0
        assert idle(limiter)

    played(play())


@pytest.mark.parametrize("limit", ["", "8", "static:0", "static:65537", "static:x", "adaptive:3"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="is not a limit") as told:
        Limiter(limit)
    assert "static:" in told.value.hint


@pytest.mark.parametrize(
    "facts",
    [{"kind": "urgent"}, {"cost": 0.0}, {"cost": 1001.0}, {"cost": math.nan}, {"deadline": math.nan},
     {"deadline": math.inf}],
)  # fmt: skip
def test_an_impossible_call_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Limiter("static:1").admit(**facts)


def test_bounds_that_contradict_each_other_are_refused_where_they_are_written() -> None:
    admission = Admission.model_validate({"retry_after_min": "9s", "retry_after_max": "1s"})
    with pytest.raises(GateError, match="retry_after_min"):
        Limiter("static:1", admission=admission)
    with pytest.raises(GateError, match="admission"):
        Driver(b"{}")


def test_an_adaptive_limit_is_found() -> None:
    async def play() -> int:
        limiter = Limiter()
        in_flight = 0

        async def one(number: int) -> None:
            nonlocal in_flight
            async with limiter.admit(client=str(number), operation="work"):
                in_flight += 1
                await asyncio.sleep(0.01 * (1 + max(0, in_flight - 10)))  # ten at a time, more help nobody
                in_flight -= 1

        for _ in range(10):
            await asyncio.gather(*(one(number) for number in range(200)))
        assert limiter.status()["limit_mode"] != "static"
        assert idle(limiter)
        return int(limiter.status()["in_flight_max"])

    assert 1 <= played(play()) <= 256


_STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["open", "poll", "call", "bulk", "probe", "renew"]),
              st.sampled_from([None, 0.5, 3.0]), st.sampled_from(["work", "fail", "cancel"])),
    max_size=40,
)  # fmt: skip


@given(steps=_STEPS, limit=st.integers(1, 4))
def test_whatever_happens_every_call_meets_one_fate(
    steps: list[tuple[int, Any, float | None, str]], limit: int
) -> None:
    async def play() -> None:
        limiter = Limiter(f"static:{limit}", admission=Admission(held_max=10, held_per_client_max=3), seed=1)

        async def one(client: int, kind: Any, deadline: float | None, what: str) -> None:
            async with limiter.admit(client=str(client), kind=kind, deadline=deadline):
                await asyncio.sleep(1 if what == "work" else 2)
                if what == "fail":
                    raise ValueError

        tasks = []
        for number, (client, kind, deadline, what) in enumerate(steps):
            task = asyncio.ensure_future(one(client, kind, deadline, what))
            tasks.append(task)
            if what == "cancel":
                asyncio.get_running_loop().call_later(0.3 * (number % 7), task.cancel)
            await asyncio.sleep(0.1 * (number % 3))
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, None | ValueError | TurnedAway | asyncio.CancelledError) for end in ends)
        assert limiter.status()["in_flight_max"] <= limit + 1  # the probes' own place
        assert limiter.status()["counters"]["unknown_call"] == 0
        assert idle(limiter)

    played(play())
