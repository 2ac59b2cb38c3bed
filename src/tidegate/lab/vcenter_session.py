"""A script's session with a vCenter: log in, list machines through a view, read and change them, wait, leave or not."""

from __future__ import annotations

import asyncio
import re
from typing import Self
from xml.sax.saxutils import escape

from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Caller, Calls, Ref
from tidegate.lab.vcenter_habits import Waits

__all__ = ["Session"]

_INSTANCE = Ref("ServiceInstance", "ServiceInstance")
_READ = ("name", "runtime.powerState", "summary.config.annotation", "guest.toolsRunningStatus")
_THROUGH_VIEW = (
    '<objectSet>{view}<skip>true</skip><selectSet xsi:type="TraversalSpec"><name>view</name><type>ContainerView</type>'
    "<path>view</path></selectSet></objectSet>"
)
_TASK = ("info.state", "info.error")
_FIRST_PAUSE_S = 0.125
_LONGEST_WAIT_S = 5
"""How long one WaitForUpdatesEx may take."""


class Session:
    """One session, as :meth:`begin` makes it.

    A method raises :class:`~tidegate.lab.vasa_host.CallFailed` when a call of it fails.
    """

    def __init__(self, caller: Caller, calls: Calls, managers: dict[str, Ref]) -> None:
        self._caller, self._calls, self._managers = caller, calls, managers
        self._view: Ref | None = None
        self._tasks_failed = 0

    @classmethod
    async def begin(cls, caller: Caller, calls: Calls, user: str, password: str) -> Self:
        """Log in, as SmartConnect does it."""
        content = await caller.call("RetrieveServiceContent", _INSTANCE)
        managers = {name: Ref(kind, id_) for name, kind, id_ in re.findall(r'<(\w+) type="(\w+)">([^<]+)</', content)}
        session = cls(caller, calls, managers)
        words = f"<userName>{escape(user)}</userName><password>{escape(password)}</password>"
        await caller.call("Login", session._manager("sessionManager"), words)
        return session

    def _manager(self, name: str) -> Ref:
        if (found := self._managers.get(name)) is None:
            raise CallFailed("fault", f"no {name}")
        return found

    async def machines(self) -> list[Ref]:
        """List all machines through a view, which the first call makes."""
        if self._view is None:
            container = self._manager("rootFolder").xml("container")
            inner = f"{container}<type>VirtualMachine</type><recursive>true</recursive>"
            made = await self._caller.call("CreateContainerView", self._manager("viewManager"), inner)
            self._view = _returned(made)
        answer = await self._retrieve("VirtualMachine", ("name",), _THROUGH_VIEW.format(view=self._view.xml()))
        return [Ref("VirtualMachine", id_) for id_ in re.findall(r'<obj type="VirtualMachine">([^<]+)</obj>', answer)]

    async def read(self, machine: Ref) -> None:
        """Read what a script wants to know of a machine."""
        await self._retrieve(machine.kind, _READ, _objects([machine]))

    async def change(self, machine: Ref, note: str) -> Ref:
        """Begin to change a machine's annotation; return the task."""
        spec = f"<spec><annotation>{escape(note)}</annotation></spec>"
        return _returned(await self._caller.call("ReconfigVM_Task", machine, spec))

    async def wait(self, tasks: list[Ref], how: Waits, pause_s: float) -> None:
        """Wait until all these tasks have ended; each that ended badly is counted as a failed call, and is raised.

        Who asks again and again does so less often each time, at last every ``pause_s`` seconds.
        """
        if how == "filter" and tasks:
            await self._wait_by_filter(tasks)
        else:
            await self._wait_by_asking(tasks, pause_s)
        if self._tasks_failed:
            raise CallFailed("fault", "task")

    async def _wait_by_asking(self, tasks: list[Ref], pause_s: float) -> None:
        ended, pause = set[str](), min(_FIRST_PAUSE_S, pause_s)
        while left := [task for task in tasks if task.id not in ended]:
            ended |= self._ended(await self._retrieve("Task", _TASK, _objects(left)), ended)
            if len(ended) < len(tasks):
                await asyncio.sleep(pause)
                pause = min(2 * pause, pause_s)

    async def _wait_by_filter(self, tasks: list[Ref]) -> None:
        """Wait as pyVim's WaitForTask does."""
        collector = self._manager("propertyCollector")
        spec = f"<spec>{_properties('Task', _TASK)}{_objects(tasks)}</spec>"
        made = await self._caller.call("CreateFilter", collector, f"{spec}<partialUpdates>false</partialUpdates>")
        ended, version = set[str](), ""
        while len(ended) < len(tasks):
            options = f"<options><maxWaitSeconds>{_LONGEST_WAIT_S}</maxWaitSeconds></options>"
            answer = await self._caller.call("WaitForUpdatesEx", collector, f"<version>{version}</version>{options}")
            ended |= self._ended(answer, ended)
            found = re.search(r"<version>([^<]*)</version>", answer)
            version = found[1] if found else version
        await self._caller.call("DestroyPropertyFilter", _returned(made))

    def _ended(self, answer: str, known: set[str]) -> set[str]:
        ended = set()
        for piece in answer.split('<obj type="Task">')[1:]:
            id_, _, rest = piece.partition("</obj>")
            state = re.search(r">(success|error)</val>", rest)
            if state and id_ not in known:
                ended.add(id_)
                if state[1] == "error":
                    self._tasks_failed += 1
                    self._calls.fail("task")
        return ended

    async def _retrieve(self, kind: str, paths: tuple[str, ...], objects: str) -> str:
        spec = f"<specSet>{_properties(kind, paths)}{objects}</specSet><options></options>"
        return await self._caller.call("RetrievePropertiesEx", self._manager("propertyCollector"), spec)

    async def destroy_view(self) -> None:
        """Give the view back."""
        if self._view is not None:
            await self._caller.call("DestroyView", self._view)
            self._view = None

    async def end(self) -> None:
        """Log out."""
        await self._caller.call("Logout", self._manager("sessionManager"))


def _properties(kind: str, paths: tuple[str, ...]) -> str:
    named = "".join(f"<pathSet>{path}</pathSet>" for path in paths)
    return f"<propSet><type>{kind}</type><all>false</all>{named}</propSet>"


def _objects(refs: list[Ref]) -> str:
    return "".join(f"<objectSet>{ref.xml()}<skip>false</skip></objectSet>" for ref in refs)


def _returned(answer: str) -> Ref:
    found = re.search(r'<returnval type="(\w+)">([^<]+)</returnval>', answer)
    if found is None:
        raise CallFailed("fault", "no returnval")
    return Ref(found[1], found[2])
