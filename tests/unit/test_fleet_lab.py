"""The lab's fleet: hosts that keep count, the book of their calls, work that misbehaves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from loops import played
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Readings
from tidegate.lab.fleet import FleetWorld, LabGuard, LabProbe, LabWork
from tidegate.lab.fleet_calls import CallBook, Calls, Reconnect, p95_ms, p95_ms_max
from tidegate.lab.fleet_hosts import FleetHosts


def test_a_host_keeps_its_own_count(tmp_path: Path) -> None:
    hosts = FleetHosts(tmp_path)
    inventory = hosts.make(20, seed=3, misbehaving={1: "slow"})
    assert len({host.name for host in inventory}) == 20
    assert {host.cluster for host in inventory} == {"cluster-1", "cluster-2", "cluster-3"}
    one = hosts.read("esx0001.lab")
    hosts.write(one.stopped().stopped())
    assert FleetHosts(tmp_path).read("esx0001.lab").stops == 1
    hosts.write(hosts.read("esx0001.lab").started(5.0).started(6.0))
    again = hosts.read("esx0001.lab")
    assert (again.starts, again.start_time, again.pid != one.pid) == (1, 5.0, True)
    assert hosts.read("esx0002.lab").misbehaves == "slow"
    assert len(list(hosts.all())) == 20
    assert FleetHosts(tmp_path / "b").make(20, seed=3) == inventory


def test_a_folder_tells_of_changes(tmp_path: Path) -> None:
    hosts = FleetHosts.of(tmp_path)
    hosts.make(2, seed=3)
    assert hosts.changed()
    assert hosts.changed(), "its time has a grain: it may have changed again since"
    os.utime(tmp_path / "hosts", (1000, 1000))
    assert hosts.changed()
    assert not hosts.changed()
    hosts.write(hosts.read("esx0001.lab").stopped())
    assert hosts.changed()


def test_the_book_of_calls_is_read_as_far_as_it_has_come(tmp_path: Path) -> None:
    calls, book = Calls(tmp_path), CallBook(tmp_path)
    assert list(calls.read()) == []
    book.write("a", 1, "asked", 10.0)
    assert calls.last("a", 1) == Reconnect("a", 1, 10.0)
    assert calls.last("a", 2) is None
    book.write("a", 1, "answered", 10.5)
    book.write("b", 1, "asked", 10.6)
    book.write("a", 1, "connected", 10.7)
    assert calls.last("a", 1) == Reconnect("a", 1, 10.0, 10.5, connected=True)
    book.write("b", 1, "failed", 11.0, "cut: setContext had no answer")
    book.write("a", 2, "asked", 11.5)
    # A host's old task may have its last word after the new one has begun.
    book.write("a", 1, "failed", 11.6, "its service was stopped")
    assert calls.last("a", 1) == Reconnect("a", 1, 10.0, 10.5, why="its service was stopped")
    assert calls.last("a", 2) == Reconnect("a", 2, 11.5)
    assert calls.last("b", 1) == Reconnect("b", 1, 10.6, 11.0, why="cut: setContext had no answer")
    with (tmp_path / "calls.jsonl").open("ab") as file:
        file.write(b'{"at": 12.0, "host"')
    assert list(calls.read()) == list(Calls(tmp_path).read())
    book.close()


def test_response_times_are_of_calls_that_were_answered_or_wait() -> None:
    calls = [Reconnect(f"h{n}", 1, 10.0, 10.0 + n / 100) for n in range(1, 20)]
    assert p95_ms(calls, 10.5) == pytest.approx(190)
    assert p95_ms(calls, 20.0) == 0.0
    assert p95_ms([*calls, Reconnect("h99", 1, 10.0)], 20.0) == pytest.approx(10_000)
    assert p95_ms([], 1.0) == p95_ms_max([]) == 0.0
    assert p95_ms_max([*calls, Reconnect("late", 1, 30.0, 32.5)]) == pytest.approx(2500)


@pytest.mark.parametrize("variant", ["stop-all", "rolling"])
def test_the_work_of_a_world(tmp_path: Path, variant: str) -> None:
    async def story() -> None:
        now = asyncio.get_running_loop().time
        world = FleetWorld(tmp_path, "rolling" if variant == "rolling" else "stop-all", 10.0)
        inventory = world.make(4, {1: "fails", 2: "hangs"})
        calls, book = Calls(tmp_path), CallBook(tmp_path)
        work = LabWork(FleetWorld.read(tmp_path), calls, now)
        assert work.commands("restart", inventory[0]) == [
            "ssh root@esx0001.lab /etc/init.d/vvold stop",
            "ssh root@esx0001.lab /etc/init.d/vvold start",
        ]
        before = await work.look("restart", inventory[0])
        after = await work.act("restart", inventory[0], before)
        assert work.done("restart", before, after)
        assert not work.done("restart", before, before)
        assert (await work.verify("restart", inventory[0], before)).says == "has not reconnected"
        book.write(inventory[0].name, 1, "asked", now())
        assert not (await work.verify("restart", inventory[0], before)).sure
        book.write(inventory[0].name, 1, "answered", now() + 0.25)
        assert not (await work.verify("restart", inventory[0], before)).ok
        book.write(inventory[0].name, 1, "connected", now() + 0.25)
        assert (await work.verify("restart", inventory[0], before)).says == "connected, after 0.25 s"
        book.write(inventory[0].name, 1, "failed", now() + 0.5, "cut: no answer")
        assert (await work.verify("restart", inventory[0], before)).says == "has not reconnected: cut: no answer"
        assert (await work.verify("start", inventory[3], before)).says == "was never stopped"
        with pytest.raises(FleetError, match="exit code 1"):
            await work.act("restart", inventory[1], before)
        assert (await work.look("restart", inventory[1]))["state"] == "stopped"
        assert (await work.verify("start", inventory[1], before)).says == "its service is stopped"
        with pytest.raises(HostUnreachable, match="gave no answer"):
            await work.act("restart", inventory[2], before)
        assert await LabProbe(calls, now).sample() == 0.0
        assert await LabProbe(calls, lambda: calls.read()[0].came + 0.5).sample() == pytest.approx(0.25)
        book.close()

    played(story())


def test_the_guard_of_a_world() -> None:
    guard, readings = LabGuard(0.5), Readings()
    assert guard.judge(readings, 0.0) is not None
    readings.add("provider", 10.0, 0.2)
    assert guard.judge(readings, 20.0) is None
    assert guard.judge(readings, 71.0) is not None
    readings.add("provider", 80.0, 0.6)
    trip = guard.judge(readings, 80.0)
    assert trip is not None
    assert trip.why == "the provider's p95 is 600 ms, above 500 ms"
