"""Scripts that work through a vCenter, as estates have them: ``python -m tidegate.lab.vcenter_scripts SPEC``.

Each logs in, makes a ContainerView, lists machines, begins tasks on some, reads twenty of them, waits for its tasks,
and leaves. What real ones are known for is in their habits: one in three forgets its view and its session; one in ten
logs in anew for every machine, as a module of Ansible does; one in ten lets a filter of its own tell it when its tasks
are over, as pyVim's WaitForTask does, and most ask again and again. A login that fails is tried again twice; anything
else that fails, a task too, ends the script, and its session stays.

The process says one ready line, begins with ``{"cmd": "go"}`` on stdin, says how things stand four times a second and
what came of it at the end, and ends with its parent.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tidegate.lab.vasa_host import CallFailed
from tidegate.lab.vcenter_caller import Caller, Calls, Ref, Target
from tidegate.lab.vcenter_habits import Habits, ScriptsSpec, own_machines
from tidegate.lab.vcenter_pyvmomi import work_through
from tidegate.lab.vcenter_session import Session
from tidegate.lab.world import die_with_parent

__all__ = ["Scripts", "main"]

_SAMPLE_S = 0.25
_LOGIN_TRIES = 3


class Scripts:
    """All of them, in this process."""

    def __init__(self, spec: ScriptsSpec) -> None:
        self._spec = spec
        self._target = Target(spec.host, spec.port, spec.name, ssl.create_default_context(cafile=spec.ca))
        self.calls = Calls()
        self.running = self.done = self.broken = 0
        self._until = 0.0

    async def play(self) -> None:
        """Run all, until they are done or the window is over."""
        spec, chance = self._spec, random.Random(self._spec.seed)  # noqa: S311 (when scripts begin is no secret)
        self._until = time.monotonic() + spec.window_s
        offsets = [chance.uniform(0, spec.spread_s) for _ in range(spec.scripts)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._script(number, after)) for number, after in enumerate(offsets)]
            await asyncio.wait(tasks, timeout=spec.window_s)
            for task in tasks:
                task.cancel()

    async def narrated(self) -> None:
        """Do so, and say four times a second how things stand."""
        began = time.monotonic()

        async def say() -> None:
            while True:
                t = round(time.monotonic() - began, 2)
                print(json.dumps({"kind": "sample", "t": t, **self.standing()}), flush=True)
                await asyncio.sleep(_SAMPLE_S)

        async with asyncio.TaskGroup() as group:
            saying = group.create_task(say())
            await self.play()
            saying.cancel()

    def standing(self) -> dict[str, Any]:
        """Return how things stand."""
        calls = self.calls
        counts = {"calls": calls.made, "failed_calls": calls.failed, "not_authenticated": calls.not_authenticated}
        return {
            "running": self.running,
            "done": self.done,
            "broken": self.broken,
            "in_flight": calls.in_flight,
            **counts,
        }

    def final(self) -> dict[str, Any]:
        """Return what came of it, with the duration of every answered call in milliseconds."""
        durations = [round(seconds * 1000, 1) for seconds in self.calls.durations_s]
        unfinished = self._spec.scripts - self.done - self.broken
        return {**self.standing(), "unfinished": unfinished, "why": dict(self.calls.why), "durations_ms": durations}

    async def _script(self, number: int, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.running += 1
        try:
            if number >= self._spec.scripts - self._spec.pyvmomi:
                await self._by_pyvmomi(number)
            elif Habits.of(number).login_per_machine:
                await self._one_by_one(number)
            else:
                await self._all_at_once(number)
            self.done += 1
        except CallFailed:
            self.broken += 1
        except TimeoutError:
            pass  # it counts as unfinished
        finally:
            self.running -= 1

    async def _by_pyvmomi(self, number: int) -> None:
        calls = Calls()
        try:
            await asyncio.to_thread(work_through, self._spec, number, calls, self._until)
        finally:
            self.calls.add(calls)

    async def _all_at_once(self, number: int) -> None:
        spec, habits, caller = self._spec, Habits.of(number), self._caller(number)
        try:
            session = await self._begin(caller)
            machines = self._own(number, await session.machines())
            tasks = [await session.change(machine, f"script {number}") for machine in machines[:: spec.task_every]]
            for machine in machines:
                await session.read(machine)
            await session.wait(tasks, habits.waits, spec.pause_s)
            await self._leave(session, habits)
        finally:
            caller.close()

    async def _one_by_one(self, number: int) -> None:
        """Do the same with a connection and a session for every machine."""
        spec, habits = self._spec, Habits.of(number)
        for turn in range(spec.machines):
            caller = self._caller(number)
            try:
                session = await self._begin(caller)
                machine = self._own(number, await session.machines())[turn]
                await session.read(machine)
                if turn % spec.task_every == 0:
                    await session.wait([await session.change(machine, f"script {number}")], habits.waits, spec.pause_s)
                await self._leave(session, habits)
            finally:
                caller.close()

    def _caller(self, number: int) -> Caller:
        return Caller(self._target, self.calls, patience_s=self._spec.patience_s, agent=f"script-{number}")

    async def _begin(self, caller: Caller) -> Session:
        spec = self._spec
        for _ in range(_LOGIN_TRIES - 1):
            try:
                return await Session.begin(caller, self.calls, spec.user, spec.password)
            except CallFailed:
                await asyncio.sleep(spec.pause_s)
        return await Session.begin(caller, self.calls, spec.user, spec.password)

    def _own(self, number: int, machines: list[Ref]) -> list[Ref]:
        if not machines:
            self.calls.fail("no machines")
            raise CallFailed("fault", "no machines")
        return own_machines(machines, number, self._spec.machines)

    async def _leave(self, session: Session, habits: Habits) -> None:
        if not habits.forgets:
            await session.destroy_view()
            await session.end()


def main(arguments: list[str]) -> int:
    """Run the scripts of the specification in ``arguments[0]`` (JSON, or ``@FILE``) after ``go``, and end."""
    text = arguments[0]
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    spec = ScriptsSpec(**json.loads(text))
    scripts = Scripts(spec)
    print(json.dumps({"kind": "ready", "scripts": spec.scripts}), flush=True)
    if not sys.stdin.readline():
        return 1
    threading.Thread(target=die_with_parent, daemon=True).start()
    asyncio.run(scripts.narrated())
    print(json.dumps({"kind": "final", **scripts.final()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
