"""The lab's fleet: hosts that keep count, a provider that slows down past its knee, work that misbehaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loops import played
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Readings
from tidegate.lab.fleet import FleetWorld, LabGuard, LabProbe, LabWork
from tidegate.lab.fleet_hosts import FleetHosts
from tidegate.lab.fleet_provider import FleetProvider, p95_ms


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


def test_the_provider_does_most_at_its_knee() -> None:
    provider = FleetProvider()
    rates = [provider.rate(n) for n in range(1, 60)]
    assert 6 <= rates.index(max(rates)) + 1 <= 10
    alone = provider.serve([("a", 0.0)], 10.0)
    assert alone[0].answered == pytest.approx(provider.unit_s)
    batch = provider.serve([(f"h{n}", 0.0) for n in range(10)], 10.0)
    storm = provider.serve([(f"h{n}", 0.0) for n in range(300)], 1000.0)
    assert all(call.answered is not None for call in storm)
    assert p95_ms(storm, 200.0, 200.0) > 50 * p95_ms(batch, 5.0, 5.0)
    assert [call.answered for call in provider.serve([("a", 1.0)], 1.0)] == [None]
    assert provider.serve([], 1.0) == []
    assert p95_ms([], 1.0) == 0.0


def test_time_does_not_change_what_has_been_answered() -> None:
    provider = FleetProvider()
    calls = [(f"h{n}", 0.01 * n) for n in range(12)]
    whole = {call.host: call.answered for call in provider.serve(calls, 100.0)}
    for moment in (0.0, 0.05, 0.1, 0.2, 0.3):
        for call in provider.serve(calls, moment):
            if call.answered is not None:
                assert call.answered == pytest.approx(whole[call.host])


@pytest.mark.parametrize("variant", ["stop-all", "rolling"])
def test_the_work_of_a_world(tmp_path: Path, variant: str) -> None:
    async def story() -> None:
        now = asyncio.get_running_loop().time
        world = FleetWorld(tmp_path, "rolling" if variant == "rolling" else "stop-all", 10.0)
        inventory = world.make(4, {1: "fails", 2: "hangs", 3: "never"})
        work = LabWork(FleetWorld.read(tmp_path), now)
        assert work.commands("restart", inventory[0]) == [
            "ssh root@esx0001.lab /etc/init.d/vvold stop",
            "ssh root@esx0001.lab /etc/init.d/vvold start",
        ]
        before = await work.look("restart", inventory[0])
        after = await work.act("restart", inventory[0], before)
        assert work.done("restart", before, after)
        assert not work.done("restart", before, before)
        assert not (await work.verify("restart", inventory[0], before)).sure
        await asyncio.sleep(1)
        assert (await work.verify("restart", inventory[0], before)).ok
        with pytest.raises(FleetError, match="exit code 1"):
            await work.act("restart", inventory[1], before)
        assert (await work.look("restart", inventory[1]))["state"] == "stopped"
        assert (await work.verify("start", inventory[1], before)).says == "its service is stopped"
        with pytest.raises(HostUnreachable, match="gave no answer"):
            await work.act("restart", inventory[2], before)
        await work.act("restart", inventory[3], before)
        await asyncio.sleep(5)
        assert (await work.verify("restart", inventory[3], before)).says == "has not reconnected"
        assert await LabProbe(world, now).sample() == 0.0
        assert world.p95_ms_max(now()) > 0

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
