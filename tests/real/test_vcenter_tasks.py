"""Work inside a vCenter through a gate: never more than there are slots, whoever asks, and paced where it is to be.

The lab's front counts what is inside; it ends no task while a test has it hold them, so nothing here depends on time.
"""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fronts import OTHER, PASSWORD, USER, Door, Front, front, gate_text
from gates import RunningGate, gate_process
from tidegate.clients.vmomi import vim

pytestmark = pytest.mark.peer("vcsim")

READER, AUTOMATION = "reader", "automation"
PASSWORD_ENV = "TIDEGATE_TEST_PASSWORD"
MACHINES = 12
TASKS = "[service.vc.vcenter.tasks]\nwait_max = '300s'\n"
BACKUP = f'[service.vc.vcenter.principal.backup]\nusers = ["{OTHER}"]\n'


@dataclass
class Site:
    """A gate before the vCenter, and calls through it, each by a script and in a thread of its own."""

    behind: Front
    gate: RunningGate
    door: Door
    folder: Path
    pool: ThreadPoolExecutor
    machines: list[Any]

    def metric(self, name: str, **labels: str) -> float:
        """Return one of the numbers about tasks."""
        wanted = ",".join(f'{key}="{value}"' for key, value in {"service": "vc", **labels}.items())
        text = self.gate.admin.get("/metrics")[1]
        found = [line for line in text.splitlines() if line.startswith(f"tidegate_tasks_{name}{{{wanted}}}")]
        return float(found[0].rpartition(" ")[2])

    def until_held(self, reason: str, count: int) -> None:
        """Wait until so many calls wait for this."""
        until(lambda: self.metric("held", reason=reason) == count)

    def begun(self, operation: str = "_Task") -> int:
        """Return how many calls of this, or of all that begin tasks, have come to the vCenter."""
        operations = self.behind.counters()["by_operation"]
        return sum(count for name, count in operations.items() if name.endswith(operation))

    def call(self, machine: int, work: Callable[[Any], Any], user: str = USER) -> Future[Any]:
        """Call something of a machine."""
        script = self.door.script(user)
        return self.pool.submit(work, script.of(self.machines[machine]))

    def reload(self, more: str) -> None:
        """Have the gate read another file."""
        self.gate.file.write_text(gate_text(self.folder, self.behind, more))
        report = self.gate.admin.reload()
        assert not report.get("problems"), report


def until(true: Callable[[], bool]) -> None:
    """Wait."""
    while not true():
        time.sleep(0.02)


def reconfigure(machine: Any) -> Any:
    return machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="seen"))


def snapshot(machine: Any) -> Any:
    return machine.CreateSnapshot_Task("backup", "", memory=False, quiesce=False)


def export(machine: Any) -> Any:
    return machine.ExportVm()


def removal(machine: Any) -> Any:
    return machine.snapshot.currentSnapshot.RemoveSnapshot_Task(removeChildren=False)


def settled(site: Site) -> None:
    """Wait until the gate knows that no task is under way."""
    until(lambda: site.metric("running") == 0)


def made(call: Future[Any]) -> None:
    """Wait until the task of a call has ended well."""
    task = call.result()
    until(lambda: task.info.state in ("success", "error"))
    assert task.info.state == "success"


def pace(behind: Front, interval_s: int = 300) -> str:
    """Return a file's words for looks at counters. With another interval the gate looks at once."""
    account = f'{{user = "{READER}", password_env = "{PASSWORD_ENV}", ca = "{behind.authority.ca}"}}'
    return f'[service.vc.vcenter.pace]\ninterval = "{interval_s}s"\naccount = {account}\n'


def takes(behind: Front, ms: int) -> None:
    """Have the only datastore take so long for a request."""
    with Door(behind.address, behind.authority) as door:
        machine = door.script().all(vim.VirtualMachine)[0]
        where = {"host": machine.runtime.host._moId, "datastore": machine.datastore[0]._moId}
        behind.control(simulator={"latency": {**where, "read": ms}})


Start = Callable[[str], Site]


@pytest.fixture
def vcenter(tmp_path: Path) -> Iterator[Front]:
    users = ",".join((USER, OTHER, READER, AUTOMATION))
    inventory = {"cluster": 0, "standalone-host": 1, "vm": MACHINES, "ds": 1}
    with front(tmp_path / "front", users=users, inventory=inventory, host_workers=100) as one:
        yield one


@pytest.fixture
def start(vcenter: Front, tmp_path: Path) -> Iterator[Start]:
    with ThreadPoolExecutor(64) as pool, ExitStack() as stack:  # the gate ends first, and with it what waits there

        def begin(more: str) -> Site:
            gate = gate_process(gate_text(tmp_path, vcenter, more), tmp_path, {PASSWORD_ENV: PASSWORD})
            running = stack.enter_context(gate)
            door = stack.enter_context(Door(running.address, vcenter.authority))
            machines = door.script().all(vim.VirtualMachine)
            return Site(vcenter, running, door, tmp_path, pool, machines)

        yield begin


@pytest.fixture
def looking(start: Start, vcenter: Front) -> Callable[[str, int], Site]:
    """Start one whose gate has looked at the counters, and knows where machines are: the datastore takes so long."""

    def begin(more: str, ms: int) -> Site:
        takes(vcenter, ms)
        site = start(more + pace(vcenter))
        until(lambda: site.metric("slow_datastores") == 1)
        return site

    return begin


def look_again(site: Site, more: str, ms: int, interval_s: int) -> None:
    """Have the datastore take so long now, and the gate look at it."""
    takes(site.behind, ms)
    looks = site.behind.counters()["by_operation"]["QueryPerf"]
    site.reload(more + pace(site.behind, interval_s))
    until(lambda: site.behind.counters()["by_operation"]["QueryPerf"] > looks)


def test_no_more_tasks_are_inside_than_there_are_slots(start: Start, vcenter: Front) -> None:
    site = start(TASKS + "start = 3\nmost = 3\n")
    vcenter.control(hold=True)
    calls = [site.call(machine, reconfigure) for machine in range(8)]
    until(lambda: bool(vcenter.counters()["tasks_queued"] == 3))
    site.until_held("task-limit", 5)
    assert (site.begun(), site.metric("running"), site.metric("limit")) == (3, 3, 3)
    vcenter.control(hold=False)
    for call in calls:
        made(call)
    counted = vcenter.counters()
    assert (counted["tasks_done"], counted["expired_in_queue"], site.metric("expired_total")) == (8, 0, 0)
    assert counted["peak_tasks"] <= 3


def test_a_host_that_is_known_begins_with_a_quarter_of_the_slots(looking: Callable[[str, int], Site]) -> None:
    site = looking(TASKS + "start = 8\n", 20)
    site.behind.control(hold=True)
    calls = [site.call(machine, reconfigure) for machine in range(4)]
    site.until_held("host-task-limit", 2)
    assert (site.begun(), site.metric("running"), site.metric("full_hosts")) == (2, 2, 1)
    site.behind.control(hold=False)
    for call in calls:
        made(call)


def test_leases_are_bounded_per_host_and_a_complete_one_makes_room(looking: Callable[[str, int], Site]) -> None:
    site = looking(TASKS + "leases_per_host_max = 2\n", 20)
    leases = [site.call(machine, export).result() for machine in range(2)]
    third = site.call(2, export)
    site.until_held("host-leases", 1)
    assert site.begun("ExportVm") == 2
    leases[0].HttpNfcLeaseComplete()
    leases[1].HttpNfcLeaseAbort()
    third.result().HttpNfcLeaseComplete()
    assert site.behind.counters()["peak_leases"] == 2
    until(lambda: site.metric("leases") == 0)


def test_four_machines_of_a_datastore_have_snapshots_and_a_removal_makes_room(
    looking: Callable[[str, int], Site],
) -> None:
    site = looking(TASKS, 20)
    look_again(site, TASKS, 1, 301)
    for machine in range(4):
        made(site.call(machine, snapshot))
    fifth = site.call(4, snapshot)
    site.until_held("datastore-snapshots", 1)
    assert (site.begun("CreateSnapshot_Task"), site.metric("snapshot_vms")) == (4, 4)
    settled(site)
    made(site.call(0, removal))
    made(fifth)
    until(lambda: site.metric("snapshot_vms") == 4)


def test_no_snapshot_begins_on_a_datastore_that_takes_20_ms(looking: Callable[[str, int], Site]) -> None:
    site = looking(TASKS, 20)
    held = site.call(0, snapshot)
    site.until_held("datastore-latency", 1)
    made(site.call(1, reconfigure))
    look_again(site, TASKS, 19, 301)
    assert (site.begun("CreateSnapshot_Task"), site.metric("slow_datastores")) == (0, 1), "not a tenth faster"
    look_again(site, TASKS, 17, 302)
    made(held)
    assert site.metric("slow_datastores") == 0


def test_one_that_takes_25_ms_may_have_half_as_many(looking: Callable[[str, int], Site]) -> None:
    site = looking(TASKS, 25)
    calls = [site.call(machine, snapshot) for machine in range(4)]
    site.until_held("datastore-latency", 4)
    look_again(site, TASKS, 17, 301)
    site.until_held("datastore-snapshots", 1)
    assert site.begun("CreateSnapshot_Task") == 3, "half of four, and one more with the look that found it fast"
    look_again(site, TASKS, 17, 302)
    for call in calls:
        made(call)


def window(outside: str, opens_h: int) -> str:
    """Return a window of two hours that opens in so many; it is never nearer than an hour to an end of it."""
    begin = datetime.now(UTC) + timedelta(hours=opens_h)
    end = begin + timedelta(hours=2)
    hours = f'from = "{begin:%H:%M}"\nto = "{end:%H:%M}"\nzone = "UTC"\noutside = "{outside}"\n'
    return f'{TASKS}{BACKUP}[window.night]\nprincipals = ["backup"]\n{hours}'


def test_work_outside_of_its_window_is_held_and_goes_when_it_opens(start: Start) -> None:
    site = start(window("hold", 6))
    held = site.call(0, snapshot, OTHER)
    site.until_held("window", 1)
    made(site.call(1, snapshot))
    assert site.begun("CreateSnapshot_Task") == 1, "an operator's"
    site.reload(window("hold", -1))
    made(held)


def test_or_is_turned_away_until_it_opens(start: Start) -> None:
    site = start(window("turn-away", 6))
    with pytest.raises(http.client.HTTPException, match="503"):
        site.call(0, snapshot, OTHER).result()
    assert (site.begun(), site.metric("turned_away_calls_total", reason="window")) == (0, 1)
    site.reload(window("turn-away", -1))
    made(site.call(0, snapshot, OTHER))


def test_a_bulk_principal_has_so_many_machines_in_work(start: Start) -> None:
    site = start(f"{TASKS}{BACKUP}vms_max = 2\n")
    for machine in range(2):
        made(site.call(machine, snapshot, OTHER))
    third = site.call(2, snapshot, OTHER)
    site.until_held("vms-in-work", 1)
    made(site.call(3, snapshot))
    made(site.call(0, reconfigure, OTHER))
    assert (site.begun("CreateSnapshot_Task"), site.metric("vms")) == (3, 3), "two of the backup, one of the operator"
    settled(site)
    made(site.call(0, removal, OTHER))
    made(third)


def test_neither_backup_nor_automation_nor_an_operator_starves(start: Start, vcenter: Front) -> None:
    automation = f'[service.vc.vcenter.principal.automation]\nusers = ["{AUTOMATION}"]\n'
    site = start(f"{TASKS}start = 4\nmost = 4\n{BACKUP}{automation}")
    vcenter.control(hold=True)
    gone: list[str] = []

    def work(user: str) -> Callable[[Any], Any]:
        def begin(machine: Any) -> Any:
            task = reconfigure(machine)
            gone.append(user)
            return task

        return begin

    calls = [site.call(n % MACHINES, work(OTHER), OTHER) for n in range(16)]
    until(lambda: site.metric("running") == 3 and site.metric("held", reason="bulk-share") == 13)
    calls += [site.call(n % MACHINES, work(AUTOMATION), AUTOMATION) for n in range(16)]
    calls += [site.call(n % MACHINES, work(USER)) for n in range(4)]
    until(lambda: site.metric("arrived_calls_total") == 36)
    assert site.metric("running") == 4, "the last slot is an operator's"
    vcenter.control(hold=False)
    for call in calls:
        made(call)
    first, half = Counter(gone[:12]), Counter(gone[:24])
    assert first[USER] >= 2, "an operator goes among the first"
    assert half[USER] == 4
    assert min(half[OTHER], half[AUTOMATION]) >= 6, half
    assert vcenter.counters()["peak_tasks"] <= 4
