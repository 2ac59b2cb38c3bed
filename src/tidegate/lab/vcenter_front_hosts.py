"""The hosts behind the lab's vCenter: a queue each, whose tokens expire while they wait (vsphere.md §2.4, KB 440879).

A ``*_Task`` is answered at once with a task that is queued; a worker of its host takes it later, works on it, and lets
the simulator do it. An NFC lease waits for a worker before it is answered, and keeps it until it is over.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tidegate.lab.vcenter_front_http import Answer, Call, xml_answer
from tidegate.lab.vcenter_front_sessions import Session
from tidegate.lab.vcenter_front_simulator import Simulator
from tidegate.lab.vcenter_front_soap import (
    FILE_MANAGEMENT,
    Ref,
    operation,
    returned,
    stale_gateway,
    stale_words,
    text_of,
    void,
    with_this,
)
from tidegate.lab.vcenter_front_spec import Counters, Spec

__all__ = ["EXPORTS", "Hosts"]

EXPORTS = frozenset(("ExportSnapshot", "ExportVm", "ImportVApp"))
"""Operations that give an NFC lease."""

_HOST = re.compile(rb"""<(?:\w+:)?host\b[^>]*>(host-[\w-]+)</""")
_VM = re.compile(rb"""<(?:\w+:)?vm\b[^>]*>([\w-]+)</""")
_GUEST = ("GuestAuthManager", "GuestFileManager", "GuestProcessManager")
_QUEUED_MAX = 100_000

Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(slots=True)
class _Lease:
    session: Session
    host: str
    used: float


class Hosts:
    """All of them."""

    def __init__(self, spec: Spec, counters: Counters, simulator: Simulator, spawn: Spawn) -> None:
        self._spec, self._counters, self._simulator, self._spawn = spec, counters, simulator, spawn
        self.stale: dict[str, float] = {}
        """By host, or ``*``: since when its gateway takes no token of a session that is older."""
        self._places: dict[str, str] = {}
        self._workers: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(spec.host_workers))
        self._queued = 0
        self._leases: dict[str, _Lease] = {}
        self._may_end = asyncio.Event()
        self._may_end.set()

    def hold(self, *, held: bool) -> None:
        """Let no task come to its end, or let them again."""
        (self._may_end.clear if held else self._may_end.set)()

    async def host_of(self, ref: Ref, body: bytes) -> str:
        """Return the host that a call goes to, or nothing: it is vCenter's own."""
        kind, id_ = ref
        if kind == "HostSystem":
            return id_
        if kind in _GUEST and (found := _VM.search(body)):
            id_ = found[1].decode()
        elif kind == "ResourcePool" and (found := _HOST.search(body)):
            return found[1].decode()
        elif kind not in ("VirtualMachine", "VirtualMachineSnapshot"):
            return ""
        if id_ not in self._places:
            self._places = await self._simulator.control("placed")
        place = self._places.get(id_, "")
        return self._places.get(place, place)

    async def answer(self, call: Call, name: str, ref: Ref, session: Session) -> Answer | None:
        """Answer a call that goes to a host; ``None`` for any other."""
        if ref[0] == "HttpNfcLease":
            return await self._on_lease(call, ref[1], session)
        if not (name.endswith("_Task") or name in EXPORTS or ref[0] in _GUEST):
            return None
        host = await self.host_of(ref, call.body)
        if not host:
            return None
        if session.made < max(self.stale.get(host, 0.0), self.stale.get("*", 0.0)):
            self._counters.not_authenticated["3"] += 1
            return xml_answer(stale_gateway(host), 500)
        if ref[0] in _GUEST:
            return None
        return await (self._export if name in EXPORTS else self._task)(call, name, ref, session, host)

    async def _task(self, call: Call, name: str, ref: Ref, session: Session, host: str) -> Answer:
        if self._queued >= _QUEUED_MAX:
            return Answer(503)
        # A snapshot's task is its machine's.
        machine = self._places.get(ref[1], "") if ref[0] == "VirtualMachineSnapshot" else ""
        entity = f"VirtualMachine:{machine}" if machine else ":".join(ref)
        shown = f"{ref[0]}.{name.removesuffix('_Task')[:1].lower()}{name.removesuffix('_Task')[1:]}"
        made = await self._simulator.control("task", name=shown, user=session.user, entity=entity, state="queued")
        self._counters.tasks_queued += 1
        self._queued += 1
        self._counters.peak_tasks = max(self._counters.peak_tasks, self._queued)
        self._spawn(self._worked(made["task"], call.body, name, host, machine or ref[1]))
        return xml_answer(void(name, f'<returnval type="Task">{made["task"]}</returnval>'))

    async def _worked(self, task: str, body: bytes, name: str, host: str, machine: str) -> None:
        """Wait for a worker of the host, work on a task, and say how it ended."""
        began = time.monotonic()
        try:
            async with self._workers[host]:
                if time.monotonic() - began > self._spec.token_life_s:
                    self._counters.expired_in_queue += 1
                    how = {"object": f"HostSystem:{host}", "privilege": FILE_MANAGEMENT}
                    text = stale_words(host)
                    await self._end(task, fault="NotAuthenticated", text=text, **how)
                    return
                await self._simulator.control("task", id=task, state="running")
                await asyncio.sleep(self._spec.tasks_s.get(name, self._spec.task_s))
                await self._may_end.wait()
                done = await self._simulator.own(body)
                if done.status == 200:
                    of = returned(done.body)[1]
                    told = await self._simulator.control("task", id=task, state="success", of=of)
                    if made := told.get("result"):  # a snapshot; a machine's own place is asked for
                        self._places.setdefault(made, machine)
                else:
                    kind = re.search(rb'xsi:type="(?:\w+:)?(\w+)"', done.body)
                    fault = kind[1].decode() if kind else "SystemError"
                    await self._end(task, fault=fault, text=text_of(done.body, "faultstring"))
                self._counters.tasks_done += 1
        except (OSError, ValueError):
            return  # the simulator is gone, and the task with it
        finally:
            self._queued -= 1

    async def _end(self, task: str, **how: str) -> None:
        await self._simulator.control("task", id=task, state="error", **how)

    async def _export(self, call: Call, name: str, ref: Ref, session: Session, host: str) -> Answer:
        began = time.monotonic()
        workers = self._workers[host]
        await workers.acquire()
        kept = False
        try:
            if time.monotonic() - began > self._spec.token_life_s:
                self._counters.expired_in_queue += 1
                return xml_answer(stale_gateway(host), 500)
            if name == "ExportVm":
                call.body = with_this(call.body, ref[1], "LabExporter")
            answer = await self._simulator.ask(call, session.key)
            kind, lease = returned(answer.body)
            if answer.status == 200 and kind == "HttpNfcLease":
                self._leases[lease] = _Lease(session, host, time.monotonic())
                kept = True
                there = sum(lease.host == host for lease in self._leases.values())
                self._counters.peak_leases = max(self._counters.peak_leases, there)
            return answer
        finally:
            if not kept:
                workers.release()

    async def _on_lease(self, call: Call, id_: str, session: Session) -> Answer:
        answer = await self._simulator.ask(call, session.key)
        lease = self._leases.get(id_)
        if lease is not None and answer.status == 200:
            lease.used = time.monotonic()
            if operation(call.body) in ("HttpNfcLeaseAbort", "HttpNfcLeaseComplete"):
                self._over(id_)
        return answer

    def _over(self, id_: str) -> None:
        lease = self._leases.pop(id_, None)
        if lease is not None:
            self._workers[lease.host].release()

    async def sweep(self, now: float) -> None:
        """Abort leases without progress."""
        for id_, lease in list(self._leases.items()):
            if now - lease.used > self._spec.lease_s:
                self._over(id_)
                await self._simulator.call(lease.session.key, "HttpNfcLeaseAbort", ("HttpNfcLease", id_))

    async def ended(self, session: Session) -> None:
        """Abort the leases of a session that ends."""
        for id_ in [id_ for id_, lease in self._leases.items() if lease.session is session]:
            self._over(id_)
            await self._simulator.call(session.key, "HttpNfcLeaseAbort", ("HttpNfcLease", id_))
