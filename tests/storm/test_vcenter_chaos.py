"""A vCenter that ends sessions, has stale gateways, becomes slow and starts anew under clients of a gate."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from fronts import OTHER, USER, Door, Front, Script, front, gate_text
from gates import gate_process
from tidegate.clients.vmomi import vim, vmodl

pytestmark = [pytest.mark.storm, pytest.mark.peer("vcsim"), pytest.mark.timeout(120)]

CLIENTS, READERS = 12, 4
INVENTORY = {"cluster": 0, "standalone-host": 1, "vm": CLIENTS}
NotAuthenticated = vim.fault.NotAuthenticated


def snapshots(machine: object) -> Counter[str]:
    """Return the names of all snapshots of a machine, and how often each is there."""
    tree = getattr(machine, "snapshot", None)
    rest, found = list(tree.rootSnapshotList) if tree else [], Counter[str]()
    while rest:
        one = rest.pop()
        found[one.name] += 1
        rest += one.childSnapshotList
    return found


class Client:
    """A script that goes on whatever comes, and remembers what came."""

    def __init__(self, door: Door, number: int) -> None:
        self.door, self.number = door, number
        self.user = (USER, OTHER)[number % 2]
        self.sent: list[str] = []
        self.said: Counter[str] = Counter()
        self.script = self.enter()
        self.name = str(self.mine.name)

    def enter(self) -> Script:
        """Log in, later if need be."""
        while True:
            try:
                script = self.door.script(self.user)
                self.mine = script.all(vim.VirtualMachine)[self.number]
            except http.client.HTTPException as error:
                self.said[str(error)] += 1
                time.sleep(0.05)
            except NotAuthenticated:
                self.said["NotAuthenticated at once"] += 1
            except vmodl.MethodFault as fault:  # its first look met the next blow
                self.said[type(fault).__name__] += 1
            else:
                return script

    def tries(self, act: Callable[[], object]) -> bool:
        """Do something; a client that is told to log in does, one that is told to come back does."""
        try:
            act()
        except NotAuthenticated:
            self.said["NotAuthenticated"] += 1
            self.script = self.enter()
        except vmodl.MethodFault as fault:
            self.said[type(fault).__name__] += 1
        except http.client.HTTPException as error:
            self.said[str(error)] += 1
            time.sleep(0.05)
        else:
            self.said["fine"] += 1
            return True
        return False

    def reads(self) -> None:
        """Read one thing."""
        assert self.mine.name == self.name

    def looks(self) -> None:
        """Look through a view."""
        content = self.script.content
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        with suppress(vmodl.fault.ManagedObjectNotFound):  # it may have gone with its session
            assert len(view.view) == CLIENTS
            view.DestroyView()

    def waits(self) -> None:
        """Wait for updates."""
        watch = self.script.watch(self.mine, "name")
        assert self.script.seen() <= {self.mine._moId}
        watch.DestroyPropertyFilter()

    def writes(self) -> None:
        """Take a snapshot that has a name of its own."""
        self.sent.append(f"{self.number}-{len(self.sent)}")
        self.mine.CreateSnapshot_Task(self.sent[-1], "", memory=False, quiesce=False)

    @property
    def only_reads(self) -> bool:
        """Some do nothing else."""
        return self.number < READERS

    def play(self, over: threading.Event) -> None:
        """Do this and that until it is over."""
        chance = random.Random(self.number)  # noqa: S311
        acts = [self.reads] if self.only_reads else [self.looks, self.waits, self.writes]
        while not over.is_set():
            self.tries(chance.choice(acts))


def storm(clients: list[Client], chaos: Callable[[], None]) -> None:
    """Let all play while ``chaos`` goes on; every call must end."""
    over = threading.Event()
    threads = [threading.Thread(target=client.play, args=[over], daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    chaos()
    over.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a call that never ends"


def once(clients: list[Client]) -> None:
    """Every snapshot that was asked for is there once at the most, and nothing else is."""
    for client in clients:
        found = Counter[str]()
        while not client.tries(lambda: found.update(snapshots(client.mine))):  # noqa: B023 (it is called at once)
            pass
        assert set(found) <= set(client.sent)
        assert max(found.values(), default=0) <= 1, found


def told(clients: list[Client]) -> Counter[str]:
    """Return what the clients were told since they were asked last; they forget it, and what they have sent."""
    said = sum((client.said for client in clients), Counter[str]())
    for client in clients:
        client.said.clear()
        client.sent.clear()
    return said


# A session ended under what its client held there, with its views and filters; or the call may have been done.
FAULTS = {"fine", "NotAuthenticated", "NotAuthenticated at once"}
FAULTS |= {"vmodl.fault.HostCommunication", "vmodl.fault.ManagedObjectNotFound"}
LATER = "503 Service Unavailable"


def go_on(clients: list[Client]) -> None:
    """Wait until every reader has begun and ended a call: none then meets two blows, which is more than is mended."""
    readers = [client for client in clients if client.only_reads]
    before = [client.said.total() for client in readers]
    until = time.monotonic() + 60
    while any(client.said.total() < seen + 2 for client, seen in zip(readers, before, strict=True)):
        assert time.monotonic() < until, "readers do not go on"
        time.sleep(0.01)


def upset(vcenter: Front, clients: list[Client]) -> None:
    """End sessions, one by one and all, make gateways stale and the vCenter slow."""
    chance = random.Random(7)  # noqa: S311
    wishes: list[dict[str, Any]] = [
        {"kill": "*"},
        {"kill": USER},
        {"kill": OTHER},
        {"stale": ["*"]},
        {"latency_ms": 20},
    ]
    for turn in range(20):
        vcenter.control(**chance.choice(wishes))
        if turn % 5 == 4:
            vcenter.control(latency_ms=0)
        go_on(clients)
    vcenter.control(latency_ms=0)


def test_clients_get_answers_or_faults_that_they_can_read(tmp_path: Path) -> None:
    with ExitStack() as stack, ExitStack() as first:
        vcenter = first.enter_context(front(tmp_path / "front", inventory=INVENTORY))
        gate = stack.enter_context(gate_process(gate_text(tmp_path, vcenter, 'keepalive = "1s"\nclones = 3'), tmp_path))
        door = stack.enter_context(Door(gate.address, vcenter.authority))
        clients = [Client(door, number) for number in range(CLIENTS)]

        storm(clients, lambda: upset(vcenter, clients))
        assert vcenter.counters()["not_authenticated"]["1"] > 0
        for reader in filter(lambda client: client.only_reads, clients):
            assert set(reader.said) == {"fine"}, reader.said
        once(clients)
        said = told(clients)
        assert set(said) <= FAULTS, said

        def restart() -> None:
            first.close()
            time.sleep(0.3)
            same: dict[str, Any] = {"listen": vcenter.address, "inventory": INVENTORY}
            stack.enter_context(front(tmp_path / "front", authority=vcenter.authority, **same))
            time.sleep(2)

        storm(clients, restart)
        once(clients)
        said = told(clients)
        assert set(said) <= FAULTS | {LATER, "502 Bad Gateway"}, said  # 502: the lab's own, while its simulator ends
