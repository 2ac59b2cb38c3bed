"""A controller that is killed at every boundary: after each write to the journal, and after each act before its write.

The hosts are files that outlive it and count their restarts themselves. After each death another controller goes on;
in the end no host was restarted twice, and none was forgotten. On SQLite and on a real PostgreSQL.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mortals import AtOnce, begun, control, cut_off, in_a_process
from postgres import Server, postgres
from tidegate.fleet import events as e
from tidegate.fleet.act import Host
from tidegate.fleet.journal import open_journal
from tidegate.fleet.runner import plan_run
from tidegate.fleet.state import Run, fold
from tidegate.lab.fleet import FleetWorld, LabWork, Variant
from tidegate.lab.fleet_hosts import Misbehaviour

pytestmark = [pytest.mark.storm, pytest.mark.timeout(300)]

HOSTS = 3
SPEED = 5000.0
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))]
MISBEHAVING: dict[int, Misbehaviour] = {0: "never", 2: "fails"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory: a killed process loses nothing that it has written, synced or not."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tidegate-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(params=BOTH)
def place(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return str(folder / "fleet.db")
    url: str = request.getfixturevalue("server").url
    return url


class Fleet:
    """A planned run over a world, with its journal."""

    def __init__(self, place: str, folder: Path, variant: Variant, misbehaving: dict[int, Misbehaviour]) -> None:
        self.place, self.folder = place, folder
        self.run = f"r{time.monotonic_ns():x}"
        self.world = FleetWorld(folder, variant, SPEED, hang_s=1.0)
        folder.mkdir()
        hosts = self.world.make(HOSTS, misbehaving)
        # Addresses are unique in the database: unfinished runs of other examples may be in it.
        hosts = [Host(host.name, f"{host.name}.{self.run}", host.cluster, host.labels) for host in hosts]
        policy = e.Policy(size=2, most=3, pause_s=0.01)
        event = asyncio.run(plan_run(LabWork(self.world, AtOnce(self.world)), hosts, policy, at=time.time()))
        journal = open_journal(place)
        journal.plan(self.run, event)
        for phase, one in enumerate(event.phases):
            if one.spec.approval:
                journal.append(self.run, e.Approved(at=time.time(), phase=phase, by="test"))
        journal.close()

    def control(self, writes: int = 0, acts: int = 0) -> int:
        """Let one controller work on it."""
        return in_a_process(control, self.place, self.run, self.folder, writes, acts)

    def append(self, event: e.Event) -> None:
        journal = open_journal(self.place)
        journal.append(self.run, event)
        journal.close()

    def state(self) -> Run:
        journal = open_journal(self.place)
        events = [event for _, event in journal.events(self.run)]
        journal.close()
        return fold(events)

    def look(self, misbehaving: dict[int, Misbehaviour]) -> None:
        """Assert that nobody was restarted twice, and nobody forgotten."""
        run, hosts = self.state(), list(self.world.hosts.all())
        restarted_twice = [host.name for host in hosts if host.starts > 1]
        assert restarted_twice == []
        broken = [n for n, how in misbehaving.items() if how == "fails"]
        assert [n for n, host in enumerate(hosts) if host.state != "running"] == broken
        assert [n for n, host in enumerate(hosts) if host.starts == 0] == broken
        assert len(run.left()) == len(broken)
        assert run.counts() == {
            "verified": HOSTS - len(misbehaving), "failed": len(misbehaving), "skipped": 0, "waiting": 0,
        }  # fmt: skip
        assert run.ended == ("failed" if misbehaving else "finished")


@pytest.mark.parametrize("variant", ["stop-all", "rolling"])
def test_killed_at_every_boundary(place: str, folder: Path, variant: Variant) -> None:
    whole = Fleet(place, folder / "whole", variant, {})
    assert whole.control() == 0
    whole.look({})
    kills = 0
    for kind in ("writes", "acts"):
        for at in range(1, 200):
            fleet = Fleet(place, folder / f"{kind}-{at}", variant, {})
            died = fleet.control(**{kind: at})
            assert fleet.control() == 0
            fleet.look({})
            if not died:
                break
            kills += 1
        else:
            raise AssertionError("it never came to its end")
    acts = HOSTS * (2 if variant == "stop-all" else 1)
    assert kills >= acts + 4 * acts, "there are more boundaries than it was killed at"


# Even who lives for one write only, besides the first, gets on: what is known already is not written again.
@pytest.mark.parametrize("lives", [1, 2, 3, 5, 9])
def test_killed_again_and_again_with_hosts_that_misbehave(place: str, folder: Path, lives: int) -> None:
    fleet = Fleet(place, folder / "fleet", "stop-all", MISBEHAVING)
    kills = 0
    while fleet.control(writes=lives + 1):  # the first write is always that it took the run
        kills += 1
        assert kills < 200
    assert kills >= 25 / lives
    fleet.look(MISBEHAVING)


def test_an_abort_while_controllers_die_starts_what_is_stopped(place: str, folder: Path) -> None:
    for at in (7, 12, 20, 25):
        fleet = Fleet(place, folder / f"fleet-{at}", "stop-all", {})
        assert fleet.control(writes=at) == signal.SIGKILL
        fleet.append(e.AbortAsked(at=time.time(), by="test"))
        while fleet.control(writes=9):
            pass
        hosts = list(fleet.world.hosts.all())
        assert {host.state for host in hosts} == {"running"}
        assert max(host.starts for host in hosts) == 1
        assert all(host.starts == host.stops for host in hosts)
        assert fleet.state().ended == "aborted"


@pytest.mark.peer("postgres")
def test_a_second_controller_takes_over_when_the_first_dies(server: Server, folder: Path) -> None:
    fleet = Fleet(server.url, folder / "fleet", "rolling", {})
    first = begun(control, server.url, fleet.run, fleet.folder, 0, 2)
    assert fleet.control() == 0  # it stands by until the first is dead
    first.join()
    assert first.exitcode in {0, -signal.SIGKILL}
    fleet.look({})


@pytest.mark.peer("postgres")
def test_a_controller_that_loses_its_database_begins_nothing_more(server: Server, folder: Path) -> None:
    fleet = Fleet(server.url, folder / "fleet", "rolling", {})

    assert in_a_process(cut_off, server.url, fleet.run, fleet.folder) == 0
    assert sum(host.starts for host in fleet.world.hosts.all()) <= 2
    assert fleet.control() == 0
    fleet.look({})
