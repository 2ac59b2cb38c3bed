"""Batches of machines at vcsim: tasks that are watched, storage that is waited for, and what ends the wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.clients.vcenter import in_batches, shared_session
from tidegate.clients.vcenter_batches import Batches
from tidegate.clients.vcenter_latency import INTERVAL_S
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import id_of, vim
from tidegate.errors import Stopped, UsageError
from vcenters import PASSWORD_ENV, Vcsim, known, vcsim

pytestmark = pytest.mark.peer("vcsim")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=1, host=2, standalone_host=0, vm=7, ds=1) as one:
        yield one


@pytest.fixture
def content(running: Vcsim, tmp_path: Path) -> Iterator[Any]:
    with shared_session(
        "127.0.0.1",
        user="operator",
        port=running.port,
        password_env=PASSWORD_ENV,
        ca=running.authority.ca,
        cache=tmp_path / "cache",
    ) as found:
        yield found


def machines(content: Any) -> list[Any]:
    return [thing for thing, _ in read_all(content, vim.VirtualMachine, ("name",), 100)]


class Clock:
    """Time passes only while somebody waits; ``meanwhile`` happens at those moments."""

    def __init__(self) -> None:
        self.at = 0.0
        self.waits: list[float] = []
        self.meanwhile: dict[int, Any] = {}

    def now(self) -> float:
        return self.at

    def sleep(self, for_s: float) -> None:
        self.at += for_s
        self.waits.append(for_s)
        if (happens := self.meanwhile.get(len(self.waits))) is not None:
            happens()


def test_every_machine_once_and_the_next_batch_after_the_tasks(content: Any) -> None:
    vms = machines(content)
    batches = in_batches(vms, size=3)
    seen: list[tuple[int, int]] = []
    tasks: list[Any] = []
    for batch in batches:
        assert all(task.info.state == "success" for task in tasks)
        tasks += [batch.watch(vm.CreateSnapshot_Task("night", "", False, False)) for vm in batch]
        seen.append((batch.number, len(batch)))
    assert seen == [(1, 3), (2, 3), (3, 1)]
    assert all(task.info.state == "success" for task in tasks)
    assert batches.failed == []
    assert len([vm for vm in vms if vm.snapshot is not None]) == 7


def test_tasks_that_fail_are_told(content: Any) -> None:
    vms = machines(content)
    batches = in_batches(vms[:2])
    for batch in batches:
        for vm in batch:
            batch.watch(vm.PowerOnVM_Task(None))
    # They run already. (The simulator names a machine by its id; vCenter by its name.)
    said = sorted((name, why.rpartition(".")[2]) for name, why in batches.failed)
    assert said == sorted((id_of(vm), "InvalidPowerState") for vm in vms[:2])


def test_a_task_that_vcenter_has_forgotten_is_told(content: Any) -> None:
    batches = in_batches(machines(content)[:1])
    for batch in batches:
        batch.watch(vim.Task("task-made-up", content.rootFolder._stub))
    assert batches.failed == [("task-made-up", "vCenter does not know this task any more")]


def test_a_busy_datastore_holds_the_next_batch(running: Vcsim, content: Any, caplog: pytest.LogCaptureFixture) -> None:
    hosts, datastores = known(running)
    (name, key), *_ = datastores.items()

    def latency(ms: int, age: int = 5) -> None:
        running.control("latency", host=hosts[0], datastore=key, read=ms, write=1, age=age)

    clock = Clock()
    clock.meanwhile = {1: lambda: latency(19), 2: lambda: latency(3, age=90), 3: lambda: latency(3)}
    begun = []
    for batch in Batches(machines(content), 5, now=clock.now, sleep=clock.sleep):
        begun.append((batch.number, len(clock.waits)))
        if batch.number == 1:
            latency(31)
    # The second began after three waits: 31 ms, 19 ms (not yet below 18), and a sample that was too old.
    assert begun == [(1, 0), (2, 3)]
    assert clock.waits == [INTERVAL_S] * 3
    assert [record.message for record in caplog.records if "waits" in record.message] == [
        f"batch 2 waits: the latency of {name} is 31 ms",
        f"batch 2 waits: the latency of {name} was 20 ms or more; it must fall below 18",
        f"batch 2 waits: the newest sample of {name} is old or no value; none is not zero",
    ]


def test_a_datastore_that_stays_busy_ends_it(running: Vcsim, content: Any) -> None:
    hosts, datastores = known(running)
    (name, key), *_ = datastores.items()
    running.control("latency", host=hosts[0], datastore=key, read=31, write=1, age=5)
    clock = Clock()
    with pytest.raises(Stopped, match=f"batch 1 has not begun: the latency of {name} is 31 ms, for 900 s now"):
        next(iter(Batches(machines(content), 20, now=clock.now, sleep=clock.sleep)))
    assert clock.at == 900.0


def test_tasks_that_never_end_end_it(running: Vcsim, content: Any) -> None:
    hosts, _ = known(running)
    running.control("task", host=hosts[0], name="VirtualMachine.createSnapshot", user="x")
    (task,) = content.taskManager.recentTask[-1:]
    clock = Clock()
    batches = iter(Batches(machines(content), 1, now=clock.now, sleep=clock.sleep))
    next(batches).watch(task)
    with pytest.raises(Stopped, match="1 tasks of batch 1 have not ended within 3600 s; they go on"):
        next(batches)


@pytest.mark.parametrize("size", [0, -1, 51])
def test_a_batch_has_a_size_that_vcenter_can_take(size: int) -> None:
    with pytest.raises(UsageError, match="is not possible: 1 to 50"):
        in_batches([], size=size)


def test_names_are_no_machines() -> None:
    with pytest.raises(UsageError, match="not str"):
        in_batches(["vm-1"])
    assert list(in_batches([])) == []
