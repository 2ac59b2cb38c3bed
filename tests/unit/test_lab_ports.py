"""The lab's parts around ports: a server that keeps answers back, clients that are counted, a trial without a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tidegate.errors import LabError
from tidegate.lab.ports_clients import Client, Newcomers, Tally, address_of, connect_from
from tidegate.lab.ports_haproxy import haproxy_file
from tidegate.lab.ports_origin import Origin
from tidegate.lab.ports_trial import Moment, Outcome, Terms, Trial, run_to_end, until
from tidegate.lab.ports_verdicts import Gate, Haproxy, Watch

Target = tuple[str, int]


def with_origin(what: Callable[[Origin, Target], Awaitable[None]], idle_s: float | None = None) -> None:
    async def gone(origin: Origin) -> bool:
        return origin.counts.open == 0

    async def play() -> None:
        origin = Origin(["127.0.0.1:0"], idle_s)
        host, _, port = (await origin.start())[0].rpartition(":")
        try:
            await what(origin, (host, int(port)))
        finally:
            origin.close()
            await until(lambda: gone(origin), 5)  # it sees the end of its clients
            await asyncio.sleep(0.001)

    asyncio.run(play())


def test_every_client_has_an_address_of_its_own() -> None:
    assert (address_of(0), address_of(250), address_of(62_500)) == ("127.2.0.1", "127.2.1.1", "127.3.0.1")
    assert len({address_of(number) for number in range(0, 200_000, 7)}) == len(range(0, 200_000, 7))


def test_a_connection_is_kept_and_made_anew_when_the_server_closes_it() -> None:
    async def ask(origin: Origin, target: Target) -> None:
        client = Client(1, target)
        assert [await client.ask(), await client.ask("/health"), await client.ask("/close")] == [200, 200, 200]
        assert (origin.counts.connections, origin.counts.requests) == (1, 3)
        assert await client.ask() == 200
        client.close()
        assert (origin.counts.connections, origin.counts.peak) == (2, 1)

    with_origin(ask)


def test_an_idle_connection_is_closed_by_the_server() -> None:
    async def ask(origin: Origin, target: Target) -> None:
        reader, writer = await asyncio.open_connection(*target)
        assert await reader.read() == b""
        writer.close()
        assert origin.counts.requests == 0

    with_origin(ask, idle_s=0.01)


def test_a_post_that_comes_twice_is_counted() -> None:
    async def ask(origin: Origin, target: Target) -> None:
        client = Client(1, target)
        for number in ("a", "b", "a"):
            assert await client.ask(method="POST", body=b"x", post_id=number) == 200
        client.close()
        assert (origin.counts.requests, origin.counts.duplicate_posts) == (3, 1)

    with_origin(ask)


def test_nobody_listens() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect_from(address_of(3), ("127.0.0.1", 1))
    assert asyncio.run(Client(3, ("127.0.0.1", 1)).ask()) == 0


def test_newcomers_all_have_an_end() -> None:
    async def come(origin: Origin, target: Target) -> None:
        tally, over = Tally(), asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, over.set)
        await Newcomers(target, 100.0, 5.0).keep_coming(tally, over)
        assert tally.sent == tally.fine == origin.counts.connections > 0
        assert tally.failed == 0

    with_origin(come)


class Script:
    """Says who is down, one list after the other; the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    def down(self) -> list[str]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def test_a_server_that_stays_down_was_taken_out_once() -> None:
    watch = Watch(Script([], ["a"], ["a"], ["a", "b"], [], ["a"]))
    for _ in range(9):
        watch.once()
    assert (watch.times, watch.down) == (3, frozenset({"a"}))


def test_a_trial_counts_every_request_and_lets_everybody_go() -> None:
    moments: list[Moment] = []

    async def play(origin: Origin, target: Target) -> None:
        dead: list[str] = []
        look = Script([])
        look.down = lambda: list(dead)  # type: ignore[method-assign]
        terms = Terms(target, patience_s=10, lull_s=0.1)
        trial = Trial(terms, look, origin.release, lambda: dead.append("a"), tell=moments.append)
        seen = await trial.play("held", lambda tally: trial.hold(tally, 30, 0.2))
        assert (seen.false_down, seen.failed) == (0, 0)
        assert seen.sent == seen.fine >= 30
        assert origin.counts.peak >= 30
        assert origin.counts.held == 0
        assert seen.recovered_s is not None
        assert seen.detect_down_s is not None

    with_origin(play)
    assert {moment.stage for moment in moments} >= {"all is well"}


def test_an_error_inside_is_raised_by_itself() -> None:
    async def fails(_: Tally) -> None:
        raise LabError("the server has ended")

    trial = Trial(Terms(("127.0.0.1", 1), 1, lull_s=0), Script([]), lambda: None, lambda: None)
    with pytest.raises(LabError, match="the server has ended"):
        run_to_end(trial.play("broken", fails))
    assert Outcome(0, 1, 1, 0, None, None).sent == 1


def test_a_proxy_that_does_not_answer_takes_nobody_out(tmp_path: Path) -> None:
    assert Haproxy(tmp_path / "none.sock").down() == []
    assert Gate(tmp_path / "none.sock").down() == []


def test_haproxy_has_the_same_range_and_checks(tmp_path: Path) -> None:
    text = haproxy_file(
        "127.0.0.1:1", {"a": "127.0.0.1:2"}, tmp_path / "s", every_ms=500, fall=3, rise=2, first=20_000, last=20_019
    )
    assert "server a 127.0.0.1:2 check inter 500ms fall 3 rise 2 source 127.0.0.1:20000-20019\n" in text
