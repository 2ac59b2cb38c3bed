"""Many clients of a few users at once, each with objects of its own: nobody sees another's, nothing is left over."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fronts import Door, front, gate_text
from gates import RunningGate, gate_process
from tidegate.clients.vmomi import vim

pytestmark = [pytest.mark.storm, pytest.mark.peer("vcsim"), pytest.mark.timeout(120)]

USERS, EACH, ROUNDS, CLONES = 6, 8, 3, 4


def counted(gate: RunningGate, name: str) -> int:
    """Return a counter or gauge of the broker's, over all its labels."""
    _, said = gate.admin.get("/metrics")
    found = re.findall(rf"^tidegate_broker_{name}(?:_total)?{{[^}}]*}} (\S+)", said, re.MULTILINE)
    return int(sum(map(float, found)))


class Client:
    """A script, and the machine that is its alone."""

    def __init__(self, door: Door, number: int) -> None:
        self.number = number
        self.script = door.script(f"user{number % USERS}")
        self.machines = self.script.all(vim.VirtualMachine)
        self.mine = self.machines[number]
        self.name = self.mine.name

    def play(self) -> None:
        """Do everything in an order of its own."""
        chance = random.Random(self.number)  # noqa: S311
        acts: list[Callable[[], None]] = [self.lists, self.waits, self.pages, self.works, self.looks, self.remembers]
        for _ in range(ROUNDS):
            for act in chance.sample(acts, len(acts)):
                act()

    def lists(self) -> None:
        """Look through a view of its own."""
        view = self.script.content.viewManager.CreateListView([self.mine])
        assert view.view == [self.mine]
        view.DestroyView()

    def waits(self) -> None:
        """Hear of its own machine only."""
        watch = self.script.watch(self.mine, "name")
        assert self.script.seen() == {self.mine._moId}
        watch.DestroyPropertyFilter()

    def pages(self) -> None:
        """Read everything in pages, in its own order."""
        things = self.machines[self.number :] + self.machines[: self.number]
        page, found = self.script.page(things, 7 + self.number % 5), []
        while True:
            found += [one.obj for one in page.objects]
            if not page.token:
                break
            page = self.script.collector.ContinueRetrievePropertiesEx(page.token)
        assert found == things

    def works(self) -> None:
        """Change its machine, and wait for that."""
        told = f"of {self.number}, {time.monotonic_ns()}"
        task = self.mine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation=told))
        while task.info.state not in ("success", "error"):
            time.sleep(0.01)
        assert task.info.state == "success"
        assert self.mine.config.annotation == told

    def looks(self) -> None:
        """See its own session."""
        sessions, mine = self.script.content.sessionManager.sessionList, self.script.session
        assert mine.userName == f"user{self.number % USERS}"
        assert mine.key in {one.key for one in sessions}
        assert self.mine.name == self.name

    def remembers(self) -> None:
        """Read events of its own machine."""
        only = vim.event.EventFilterSpec.ByEntity(entity=self.mine, recursion="self")
        events = self.script.content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec(entity=only))
        events.RewindCollector()
        found = events.ReadNextEvents(5)
        assert found
        assert {event.vm.name for event in found} == {self.name}
        events.DestroyCollector()


def test_nobody_sees_what_is_anothers(tmp_path: Path) -> None:
    users = [f"user{number}" for number in range(USERS)]
    count = USERS * EACH
    inventory: dict[str, Any] = {"cluster": 0, "standalone-host": 2, "vm": count // 2}
    with front(tmp_path / "front", inventory=inventory, users=",".join(users)) as vcenter:
        text = gate_text(tmp_path, vcenter, f'clones = {CLONES}\nkeepalive = "1s"')
        with gate_process(text, tmp_path) as gate, Door(gate.address, vcenter.authority) as door:
            with ThreadPoolExecutor(count) as pool:
                clients = list(pool.map(lambda number: Client(door, number), range(count)))
                assert len({client.script.session.key for client in clients}) == count
                assert len({client.mine._moId for client in clients}) == count
                list(pool.map(Client.play, clients))
                list(pool.map(lambda client: client.script.content.sessionManager.Logout(), clients))
            for client in clients:
                with pytest.raises(vim.fault.NotAuthenticated):
                    client.mine.Rename_Task("no")
            told = vcenter.counters()
            assert told["peak_sessions"] <= USERS * (1 + CLONES)
            assert told["logins"] == USERS
            assert sum(told["not_authenticated"].values()) == 0
            while vcenter.counters()["sessions"]:
                time.sleep(0.1)
            for gauge in ("downstream_sessions", "sessions", "waiting_calls", "long_polls"):
                assert counted(gate, gauge) == 0, gauge
            fates = ("opened_sessions", "lent_calls", "refused_calls", "left_calls")
            assert counted(gate, "asked_calls") == sum(counted(gate, fate) for fate in fates)
            assert counted(gate, "opened_sessions") == count
            assert counted(gate, "refused_calls") == 0
