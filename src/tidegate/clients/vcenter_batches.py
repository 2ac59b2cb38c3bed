"""Work on many virtual machines in batches, for scripts: the next batch begins when vCenter can take it.

::

    batches = in_batches(vms, size=20)
    for batch in batches:
        for vm in batch:
            batch.watch(vm.CreateSnapshot_Task("nightly", "", False, False))
    for name, why in batches.failed: ...

KB 440879: "batching, 20 to 50 VMs at a time". A batch begins when every task of the one before has ended and no
datastore of its machines is at 20 ms or more (:mod:`tidegate.clients.brake`). What is under way is never broken off.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate.clients.brake import Brake
from tidegate.clients.vcenter_latency import INTERVAL_S, Names, fresh, learn, query
from tidegate.clients.vcenter_read import read_these
from tidegate.clients.vcenter_session import fault_words
from tidegate.clients.vmomi import id_of, stub_of, vim, vmodl
from tidegate.errors import FleetError, Stopped, UsageError

__all__ = ["Batch", "Batches", "in_batches"]

_LOG = logging.getLogger(__name__)
_SIZE_MAX = 50
_POLL_S = 2.0
_PATIENCE_S = 900.0
_TASKS_S = 3600.0
_PAGE = 250


@dataclass(slots=True)
class Batch:
    """Some machines, and the tasks that were begun for them."""

    number: int
    vms: Sequence[Any]
    tasks: list[Any] = field(default_factory=list)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.vms)

    def __len__(self) -> int:
        return len(self.vms)

    def watch(self, task: Any) -> Any:
        """Let the next batch wait for this task; it is given back."""
        self.tasks.append(task)
        return task


class Batches:
    """The batches, one after the other; made by :func:`in_batches`.

    Parameters
    ----------
    now, sleep
        The clock (only differences count) and how to wait; given by tests.

    Attributes
    ----------
    failed
        Name of the machine and what vCenter said, of every task that has failed so far.
    """

    def __init__(
        self,
        vms: Sequence[Any],
        size: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.failed: list[tuple[str, str]] = []
        self._vms, self._size = vms, size
        self._now, self._sleep = now, sleep
        self._brake = Brake()
        self._names: Names | None = None

    def __iter__(self) -> Iterator[Batch]:
        if not self._vms:
            return
        stub = stub_of(self._vms[0])
        content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        for start in range(0, len(self._vms), self._size):
            batch = Batch(start // self._size + 1, self._vms[start : start + self._size])
            self._calm(stub, content, batch)
            yield batch
            self._ended(content, batch)

    def _calm(self, stub: Any, content: Any, batch: Batch) -> None:
        """Wait until no datastore of the batch holds it."""
        until = self._now() + _PATIENCE_S
        datastores, hosts = _storage(content, batch.vms)
        said = ""
        while True:
            self._brake.note(self._latencies(stub, content, datastores, hosts))
            why = self._brake.why(datastores)
            if not why:
                return
            if why != said:
                _LOG.warning("batch %d waits: %s", batch.number, why)
                said = why
            if self._now() >= until:
                raise Stopped(f"batch {batch.number} has not begun: {why}, for {_PATIENCE_S:.0f} s now", slug="latency")
            self._sleep(INTERVAL_S)

    def _latencies(self, stub: Any, content: Any, datastores: set[str], hosts: set[str]) -> dict[str, float]:
        """Return the worst fresh latency of each of these datastores, of the hosts that mount them."""
        try:
            return self._sampled(stub, content, datastores, hosts)
        except FleetError as error:
            self._names = None  # hosts come and go: what the ids stand for is asked anew
            if error.slug != "host-left":
                raise
        return self._sampled(stub, content, datastores, hosts)

    def _sampled(self, stub: Any, content: Any, datastores: set[str], hosts: set[str]) -> dict[str, float]:
        if self._names is None or not datastores <= set(self._names.datastores.values()):
            self._names = learn(content, _PAGE)
        known = self._names.hosts
        names = replace(self._names, hosts={key: known[key] for key in hosts if key in known})
        return fresh(query(stub, content, names), datastores)

    def _ended(self, content: Any, batch: Batch) -> None:
        """Wait until every task has ended."""
        until = self._now() + _TASKS_S
        pending = {id_of(task): task for task in batch.tasks}
        while pending:
            infos = {id_of(task): seen.get("info") for task, seen in _there(content, pending.values(), ("info",))}
            for key in list(pending):
                info = infos.get(key)
                if info is None:
                    self.failed.append((key, "vCenter does not know this task any more"))
                elif info.state == vim.TaskInfo.State.error:
                    self.failed.append((info.entityName or key, fault_words(info.error)))
                elif info.state != vim.TaskInfo.State.success:
                    continue
                del pending[key]
            if pending and self._now() >= until:
                raise Stopped(
                    f"{len(pending)} tasks of batch {batch.number} have not ended within {_TASKS_S:.0f} s; they go on",
                    slug="tasks",
                )
            if pending:
                self._sleep(_POLL_S)


def in_batches(vms: Sequence[Any], *, size: int = 20) -> Batches:
    """Return the machines in batches, each of which begins when the one before has ended and storage is calm.

    Parameters
    ----------
    vms
        pyVmomi's virtual machines, of one vCenter.
    size
        How many make a batch: 1 to 50; KB 440879 advises 20 to 50.

    Raises
    ------
    UsageError
        When a batch would be too large, or these are no virtual machines.
    Stopped
        While iterating: when a datastore has held a batch for 15 min, or tasks have not ended within an hour.
    FleetError
        While iterating: when vCenter has no counters of datastore latency.
    """
    if not 1 <= size <= _SIZE_MAX:
        raise UsageError(f"a batch of {size} is not possible: 1 to {_SIZE_MAX}", hint="KB 440879: 20 to 50")
    for one in vms:
        if not isinstance(one, vim.VirtualMachine):
            raise UsageError(f"in_batches wants pyVmomi's virtual machines, not {type(one).__name__}")
    return Batches(list(vms), size)


def _there(content: Any, things: Iterable[Any], paths: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    """Return properties of those that are still there, with one call."""
    left = {id_of(thing): thing for thing in things}
    while True:
        try:
            return read_these(content, list(left.values()), paths)
        except vmodl.fault.ManagedObjectNotFound as fault:
            if fault.obj is None or left.pop(id_of(fault.obj), None) is None:
                raise


def _storage(content: Any, vms: Sequence[Any]) -> tuple[set[str], set[str]]:
    """Return the names of the datastores that these machines are on, and the ids of the hosts that mount them."""
    stores = [store for _, seen in _there(content, vms, ("datastore",)) for store in seen.get("datastore") or ()]
    found = _there(content, stores, ("name", "host"))
    hosts = {id_of(mount.key) for _, seen in found for mount in seen.get("host") or ()}
    return {seen["name"] for _, seen in found if "name" in seen}, hosts
