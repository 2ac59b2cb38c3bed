"""A run that goes by vcsim's counters: 20 ms stop it, 25 ms halve what goes on, and no sample is not 0 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import Run, commanding
from fleets import CURRENT, ROLLING, STOP_ALL, FakeWork
from tidegate.fleet.act import Evidence, Host
from tidegate.fleet.plans import WORKS
from vcenters import PASSWORD_ENV, Vcsim, known, vcsim

pytestmark = pytest.mark.peer("vcsim")

FINE = {"LocalDS_0": (3, 5), "LocalDS_1": (1, 5)}
"""Latency in ms, and the age of the sample in seconds, by datastore."""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=1, host=2, standalone_host=0) as running:
        yield running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return commanding(capsys)


@pytest.fixture
def plan(own: Vcsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a plan with the guard; what it does to hosts is done in this process."""
    monkeypatch.setitem(WORKS, "vvold-phased-restart", "fleets:work")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "hosts.toml").write_text("".join(f'[[host]]\nname = "esx{n:02}"\n' for n in range(1, 7)))
    file = tmp_path / "plan.toml"
    file.write_text(
        f"""
[run]
plan = "vvold-phased-restart"
[targets]
inventory = "hosts.toml"
[batch]
size = 6
pause = "1ms"
patience = "1ms"
[vcenter]
address = "127.0.0.1"
port = {own.port}
user = "operator"
password_env = "{PASSWORD_ENV}"
ca = "{own.authority.ca}"
[guard.disk]
kind = "datastore-latency"
"""
    )
    CURRENT.append(FakeWork(ROLLING, name="vvold-phased-restart"))
    yield file
    CURRENT.clear()


def show(own: Vcsim, latency: dict[str, tuple[int, int]]) -> None:
    """Let each datastore have been measured by one host: the age is the host's."""
    hosts, ids = known(own)
    for host, name in zip(hosts, sorted(latency), strict=False):
        ms, age = latency[name]
        own.control("latency", host=host, datastore=ids[name], read=ms, write=min(ms, 1), age=age)


def only(run: Run) -> dict[str, Any]:
    name = run("fleet", "status", "--output", "json").json()["runs"][0]["run"]
    figures: dict[str, Any] = run("fleet", "status", name, "--output", "json").json()
    return figures


def test_19_ms_are_fine(run: Run, own: Vcsim, plan: Path) -> None:
    show(own, FINE | {"LocalDS_1": (17, 60 - 20)})
    assert run("fleet", "restart", plan).code == 0
    assert only(run)["trips"] == []


@pytest.mark.parametrize(
    ("latency", "trip"),
    [
        (FINE | {"LocalDS_1": (20, 5)}, ("datastore latency is 20 ms, and the guard stops at 20 ms", False)),
        (FINE | {"LocalDS_1": (25, 5)}, ("datastore latency is 25 ms, and the guard stops at 20 ms", True)),
        ({}, ("no sample of datastore latency yet; none is not zero (vCenter gives no latency of any", False)),
        (FINE | {"LocalDS_1": (1, 90)}, ("none is not zero (vCenter gives no latency of LocalDS_1)", False)),
        (FINE | {"LocalDS_1": (-1, 5)}, ("none is not zero (vCenter gives no latency of LocalDS_1)", False)),
    ],
    ids=["20 ms", "25 ms", "absent", "stale from the start", "no value"],
)
def test_it_stops_before_the_first_host_and_goes_on_when_it_is_quiet(
    run: Run, own: Vcsim, plan: Path, latency: dict[str, tuple[int, int]], trip: tuple[str, bool]
) -> None:
    show(own, latency)
    ran = run("fleet", "restart", plan)
    assert ran.code == 3
    assert "stopped by the guard disk" in ran.err
    assert trip[0] in ran.err
    assert not CURRENT[-1].services
    figures = only(run)
    assert [one["halve"] for one in figures["trips"]] == [trip[1]]
    show(own, FINE)
    assert run("fleet", "resume", figures["run"]).code == 0
    assert {service.starts for service in CURRENT[-1].services.values()} == {1}
    assert only(run)["max_batch"] == 3, "batches begin with half the size after a trip"


def test_a_datastore_that_does_not_count_is_not_named(run: Run, own: Vcsim, plan: Path) -> None:
    plan.write_text(plan.read_text() + 'datastores = ["LocalDS_0"]\n')
    show(own, FINE | {"LocalDS_1": (1, 90)})
    assert run("fleet", "restart", plan).code == 0


class Crowd(FakeWork):
    """Counts who stops at the same time; nobody goes on before so many do."""

    wanted = 1
    at_once = most = 0
    barrier: asyncio.Barrier | None = None

    async def act(self, step: str, host: Host, before: Evidence) -> Evidence:
        if step != "stop":
            return await super().act(step, host, before)
        self.barrier = self.barrier or asyncio.Barrier(self.wanted)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.barrier.wait()
        self.at_once -= 1
        return await super().act(step, host, before)


@pytest.mark.parametrize(("ms", "at_once"), [(21, 3), (26, 1)])
def test_25_ms_halve_the_concurrency_of_what_no_latency_stops(
    run: Run, own: Vcsim, plan: Path, ms: int, at_once: int
) -> None:
    work = Crowd(STOP_ALL, name="vvold-phased-restart")
    work.wanted = at_once
    CURRENT.append(work)
    show(own, FINE | {"LocalDS_0": (ms, 5)})
    ran = run("fleet", "restart", plan, "--approve")
    assert ran.code == 3
    assert f"datastore latency is {ms} ms" in ran.err
    assert work.most == at_once
    # The guard stops the starts; but what is stopped is started nonetheless, when patience is over.
    assert {(service.stops, service.starts, service.running) for service in work.services.values()} == {(1, 1, True)}
    assert only(run)["stopped"] == {}


def test_a_vcenter_that_goes_away_trips_and_says_so(run: Run, own: Vcsim, plan: Path) -> None:
    show(own, FINE)
    own.kill()
    ran = run("fleet", "restart", plan)
    assert ran.code == 3
    assert "does not answer" in ran.err
    assert not CURRENT[-1].services
