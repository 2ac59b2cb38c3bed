"""What fleets need of a vCenter: its hosts, what they are doing, maintenance mode, services, running tasks.

Scripts find here what they need to share one session (:func:`shared_session`, :func:`cloned_session`) and to work in
batches (:func:`in_batches`); ``docs/guides/scripts-that-share-a-session.md`` shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate.clients.vcenter_batches import in_batches
from tidegate.clients.vcenter_inventory import FoundHost, all_hosts
from tidegate.clients.vcenter_read import read_one
from tidegate.clients.vcenter_session import Session, VcenterOptions, fault_words
from tidegate.clients.vcenter_shared import cloned_session, shared_session
from tidegate.clients.vmomi import id_of, vim, vmodl
from tidegate.errors import FleetError

__all__ = ["HostState", "RunningTask", "Vcenter", "cloned_session", "in_batches", "shared_session"]

_MOVES = {
    "HostSystem.enterMaintenanceMode": "enters maintenance mode",
    "HostSystem.exitMaintenanceMode": "leaves maintenance mode",
}
_TASKS_MAX = 500
_POLL_S = 2.0
# Time for the answer to come once the task's own timeout has passed.
_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class HostState:
    """What a host is doing. ``moving``: words, when it enters or leaves maintenance mode just now."""

    connected: bool
    maintenance: bool
    lockdown: str = ""
    moving: str = ""


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that has not ended."""

    name: str
    entity: str
    user: str
    state: str
    since: datetime | None
    progress: int | None


class Vcenter:
    """One vCenter; connects when it is first asked. ``sleep`` is given by tests."""

    def __init__(self, options: VcenterOptions, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self.options = options
        self.session = Session(options)
        self.warnings = options.trust.warnings(options.whose)
        self._sleep = sleep

    async def hosts(self) -> list[FoundHost]:
        """Return every host, by name."""
        page = self.options.page
        return await self.session.call(lambda _, content: all_hosts(content, page))

    async def host_state(self, moid: str) -> HostState:
        """Return what the host is doing."""

        def read(stub: Any, content: Any) -> HostState:
            paths = ("runtime.connectionState", "runtime.inMaintenanceMode", "config.lockdownMode", "recentTask")
            seen = read_one(content, vim.HostSystem(moid, stub), paths)
            lockdown = str(seen.get("config.lockdownMode") or "").removeprefix("lockdown").lower()
            moving = ""
            for task in seen.get("recentTask") or ():
                info = read_one(content, task, ("info",)).get("info")
                if info is not None and info.state in {"running", "queued"}:
                    moving = _MOVES.get(info.descriptionId, moving)
            return HostState(
                seen.get("runtime.connectionState") == "connected",
                bool(seen.get("runtime.inMaintenanceMode")),
                "" if lockdown == "disabled" else lockdown,
                moving,
            )

        return await self.session.call(read)

    async def services(self, moid: str) -> Mapping[str, bool]:
        """Return the host's services by their key, and whether they run."""

        def read(stub: Any, content: Any) -> dict[str, bool]:
            system = _service_system(stub, content, moid)
            info = None if system is None else read_one(content, system, ("serviceInfo",)).get("serviceInfo")
            return {one.key: bool(one.running) for one in (info.service if info is not None else ())}

        return await self.session.call(read)

    async def service(self, moid: str, key: str, verb: str) -> bool:
        """Start, stop or restart a service; ``False``: the host has no service of that key."""

        def change(stub: Any, content: Any) -> bool:
            system = _service_system(stub, content, moid)
            if system is None:
                return False
            verbs = {"start": system.StartService, "stop": system.StopService, "restart": system.RestartService}
            try:
                verbs[verb](key)
            except (vim.fault.NotFound, vmodl.fault.ManagedObjectNotFound):
                return False
            return True

        return await self.session.call(change)

    async def enter_maintenance(self, moid: str, timeout_s: int, *, evacuate_off: bool = False) -> None:
        """Put the host into maintenance mode and wait for it; DRS moves its running machines, vCenter does not.

        Raises
        ------
        FleetError
            When the task fails, or has not ended in time (it is then cancelled).
        """
        await self._maintenance(moid, "EnterMaintenanceMode_Task", timeout_s, (timeout_s, evacuate_off))

    async def exit_maintenance(self, moid: str, timeout_s: int) -> None:
        """Take the host out of maintenance mode and wait for it."""
        await self._maintenance(moid, "ExitMaintenanceMode_Task", timeout_s, (timeout_s,))

    async def running_tasks(self) -> list[RunningTask]:
        """Return the tasks that run or wait, oldest first; at most 500."""

        def read(_: Any, content: Any) -> list[RunningTask]:
            states = [vim.TaskInfo.State.running, vim.TaskInfo.State.queued]
            collector = content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec(state=states))
            try:
                # A new collector stands before its oldest task.
                infos = collector.ReadNextTasks(_TASKS_MAX) or []
                return [_task(info) for info in infos if info.state in states]
            finally:
                collector.DestroyCollector()

        return await self.session.call(read)

    async def close(self) -> None:
        """Log out."""
        await self.session.close()

    async def _maintenance(self, moid: str, method: str, timeout_s: int, arguments: tuple[object, ...]) -> None:
        def begin(stub: Any, _: Any) -> str:
            host = vim.HostSystem(moid, stub)
            task = getattr(host, method)(*arguments)
            return id_of(task)

        words = "enter" if method.startswith("Enter") else "leave"
        try:
            key = await self.session.call(begin)
        except FleetError as error:
            # Already there: what was wanted.
            if error.slug == "InvalidState" and (await self.host_state(moid)).maintenance == (words == "enter"):
                return
            raise
        waited = 0.0
        while waited <= timeout_s + _GRACE_S:
            info = await self.session.call(lambda stub, content: read_one(content, vim.Task(key, stub), ("info",)))
            state = getattr(info.get("info"), "state", None)
            if state == "success":
                return
            if state == "error":
                said = fault_words(info["info"].error)
                raise FleetError(f"{moid} did not {words} maintenance mode: {said}", slug="maintenance")
            await self._sleep(_POLL_S)
            waited += _POLL_S
        await self.session.call(lambda stub, _: vim.Task(key, stub).CancelTask())
        raise FleetError(
            f"{moid} did not {words} maintenance mode within {timeout_s} s; the task was cancelled",
            hint="do its machines move? Without fully automatic DRS somebody must move or stop them",
            slug="maintenance",
        )


def _service_system(stub: Any, content: Any, moid: str) -> Any:
    system = read_one(content, vim.HostSystem(moid, stub), ("configManager.serviceSystem",))
    return system.get("configManager.serviceSystem")


def _task(info: Any) -> RunningTask:
    reason = info.reason
    return RunningTask(
        info.descriptionId or info.name or info.key,
        info.entityName or "",
        getattr(reason, "userName", "") or "",
        str(info.state),
        info.startTime or info.queueTime,
        info.progress,
    )
