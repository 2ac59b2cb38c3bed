"""What clients see of each other on one session, row by row (vsphere.md §2.5): all of it on a shared one, or nothing.

Every test has one body. ``shared``: two scripts use one cookie straight at the vCenter; the cross-talk must happen, or
the test would show nothing. ``apart``: each has a session there, and sees nothing of the other. ``gate``: each logs in
at the gate, which has them share sessions, and it is as if they had none in common.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fronts import OTHER, USER, Door, Front, Script, front, gated
from tidegate.clients.vmomi import vim, vmodl

pytestmark = pytest.mark.peer("vcsim")

NotAuthenticated = vim.fault.NotAuthenticated
NotFound = vmodl.fault.ManagedObjectNotFound
HISTORIES = 2
IDLE_S = 2.0


@dataclass(frozen=True)
class Pair:
    """Two scripts, and whether they share a cookie."""

    shared: bool
    door: Door
    vcenter: Front
    a: Script
    b: Script

    def third(self) -> Script:
        """Start one more, with a login of its own."""
        return self.door.script()

    def arrived(self, operation: str) -> int:
        """Return how many calls of it have come to the vCenter."""
        return int(self.vcenter.counters()["by_operation"].get(operation, 0))

    def until_arrived(self, operation: str, count: int) -> None:
        """Wait until so many calls of it have come to the vCenter."""
        while self.arrived(operation) < count:
            time.sleep(0.01)


@pytest.fixture(scope="module", params=["shared", "apart", "gate"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Front, Door]]:
    place = tmp_path_factory.mktemp("crosstalk")
    inventory = {"cluster": 0, "standalone-host": 1, "vm": 4}
    with front(place / "front", inventory=inventory, collectors_max=HISTORIES) as vcenter:
        if request.param != "gate":
            yield request.param, vcenter, vcenter
        else:
            with gated(place, vcenter) as gate:
                yield request.param, vcenter, gate


@pytest.fixture
def pair(world: tuple[str, Front, Door]) -> Iterator[Pair]:
    how, vcenter, door = world
    a = door.script()
    b = door.script(like=a if how == "shared" else None)
    yield Pair(how == "shared", door, vcenter, a, b)
    for script in (a, b):
        if script.session is not None:
            script.content.sessionManager.Logout()


class Waiting(threading.Thread):
    """A call that takes its time; what it returned or raised is in ``outcome``."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._call()
        except vmodl.MethodFault as fault:
            self.outcome = type(fault)

    def ended(self) -> Any:
        self.join()
        return self.outcome


def alive(script: Script) -> bool:
    """Say whether its session still is one."""
    try:
        script.instance.CurrentTime()
    except NotAuthenticated:
        return False
    return True


def test_filters_of_the_default_collector(pair: Pair) -> None:
    mine, yours, *_ = pair.a.all(vim.VirtualMachine)
    pair.a.watch(mine, "name")
    pair.b.watch(pair.b.of(yours), "name")
    seen = pair.a.seen(), pair.b.seen()
    both = {mine._moId, yours._moId}
    assert seen == ((both, set()) if pair.shared else ({mine._moId}, {yours._moId}))


def test_waits_on_one_collector_are_served_one_after_another(pair: Pair) -> None:
    mine, yours, *_ = pair.a.all(vim.VirtualMachine)
    pair.a.watch(mine, "name")
    pair.b.watch(pair.b.of(yours), "name")
    assert mine._moId in pair.a.seen()
    before = pair.arrived("WaitForUpdatesEx")
    first = Waiting(lambda: pair.a.seen("-", wait_s=40))
    pair.until_arrived("WaitForUpdatesEx", before + 1)
    second = Waiting(pair.b.seen)
    pair.until_arrived("WaitForUpdatesEx", before + 2)
    if pair.shared:
        assert second.is_alive()  # nothing but the end of the first wait lets it go on
    else:
        assert second.ended() == {yours._moId}
    mine.Rename_Task(f"{mine.name}-2")
    assert first.ended() == {mine._moId}
    second.join()


def test_a_cancelled_wait_is_ones_own(pair: Pair) -> None:
    mine, *_ = pair.a.all(vim.VirtualMachine)
    pair.a.watch(mine, "name")
    pair.a.seen()
    before = pair.arrived("WaitForUpdatesEx")
    waits = Waiting(lambda: pair.a.seen("-", wait_s=40))
    pair.until_arrived("WaitForUpdatesEx", before + 1)
    pair.b.collector.CancelWaitForUpdates()
    if not pair.shared:
        mine.Rename_Task(f"{mine.name}-3")
    assert waits.ended() == (vmodl.fault.RequestCanceled if pair.shared else {mine._moId})


def test_pages_in_turn(pair: Pair) -> None:
    things = pair.a.all(vim.VirtualMachine)
    first = pair.a.page(things, 2)
    pair.b.page([pair.b.of(thing) for thing in things], 3)
    if pair.shared:
        with pytest.raises(vmodl.fault.InvalidArgument):
            pair.a.collector.ContinueRetrievePropertiesEx(first.token)
    else:
        rest = pair.a.collector.ContinueRetrievePropertiesEx(first.token)
        assert [one.obj for one in first.objects + rest.objects] == things


def test_a_list_that_another_changes(pair: Pair) -> None:
    things = pair.a.all(vim.VirtualMachine)
    view = pair.a.content.viewManager.CreateListView(things[:1])
    if pair.shared:
        pair.b.of(view).ModifyListView([pair.b.of(things[1])], [])
    else:
        with pytest.raises(NotFound):
            pair.b.of(view).ModifyListView([pair.b.of(things[1])], [])
    assert len(view.view) == (2 if pair.shared else 1)


def test_a_view_that_another_destroys(pair: Pair) -> None:
    content = pair.a.content
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    if pair.shared:
        pair.b.of(view).DestroyView()
        with pytest.raises(NotFound):
            view.DestroyView()
    else:
        with pytest.raises(NotFound):
            pair.b.of(view).DestroyView()
        assert view.view
        view.DestroyView()


def test_the_cursor_of_a_history(pair: Pair) -> None:
    events = pair.a.content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec())
    events.RewindCollector()
    first, second, third = (event.key for event in events.ReadNextEvents(3))
    events.RewindCollector()
    assert [event.key for event in events.ReadNextEvents(1)] == [first]
    if pair.shared:
        assert [event.key for event in pair.b.of(events).ReadNextEvents(1)] == [second]
    else:
        with pytest.raises(NotFound):
            pair.b.of(events).ReadNextEvents(1)
    assert [event.key for event in events.ReadNextEvents(1)] == [third if pair.shared else second]


def test_how_many_histories_there_may_be(pair: Pair) -> None:
    for _ in range(HISTORIES):
        pair.a.content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec())
    if pair.shared:
        with pytest.raises(vim.fault.InvalidState):
            pair.b.content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec())
    else:
        pair.b.content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec()).DestroyCollector()


def test_a_lease_that_another_aborts(pair: Pair) -> None:
    machine, *_ = pair.a.all(vim.VirtualMachine)
    lease = machine.ExportVm()
    if pair.shared:
        pair.b.of(lease).HttpNfcLeaseAbort()
        with pytest.raises(NotFound):
            lease.HttpNfcLeaseComplete()
    else:
        with pytest.raises(NotFound):
            pair.b.of(lease).HttpNfcLeaseAbort()
        lease.HttpNfcLeaseComplete()


def test_a_lease_outlives_anothers_logout(pair: Pair) -> None:
    machine, *_ = pair.a.all(vim.VirtualMachine)
    lease = machine.ExportVm()
    pair.b.content.sessionManager.Logout()
    if pair.shared:
        with pytest.raises(NotAuthenticated):
            lease.HttpNfcLeaseComplete()
    else:
        lease.HttpNfcLeaseComplete()


def test_a_logout(pair: Pair) -> None:
    view = pair.a.content.viewManager.CreateListView([])
    pair.b.content.sessionManager.Logout()
    assert alive(pair.a) is not pair.shared
    if not pair.shared:
        view.DestroyView()
    assert not alive(pair.b)


def test_a_session_that_somebody_terminates(pair: Pair) -> None:
    admin = pair.third()
    admin.content.sessionManager.TerminateSession([pair.b.session.key])
    assert alive(pair.a) is not pair.shared
    assert not alive(pair.b)
    admin.content.sessionManager.Logout()


def test_a_locale(pair: Pair) -> None:
    usual = pair.a.session.locale
    pair.b.content.sessionManager.SetLocale("de")
    assert pair.b.session.locale == "de"
    assert pair.a.session.locale == ("de" if pair.shared else usual)


def test_who_one_is(pair: Pair) -> None:
    other = pair.door.script(OTHER)  # only who has a session can be impersonated
    pair.b.content.sessionManager.ImpersonateUser(OTHER, "en")
    assert pair.b.session.userName == OTHER
    assert pair.a.session.userName == (OTHER if pair.shared else USER)
    other.content.sessionManager.Logout()


def test_a_clone_ticket(pair: Pair) -> None:
    ticket = pair.a.content.sessionManager.AcquireCloneTicket()
    pair.b.content.sessionManager.Logout()
    third = pair.door.script(like=pair.a)
    third.stub.cookie = ""
    if pair.shared:
        with pytest.raises(vim.fault.InvalidLogin):
            third.content.sessionManager.CloneSession(ticket)
    else:
        assert third.content.sessionManager.CloneSession(ticket).userName == USER
        third.content.sessionManager.Logout()


@pytest.mark.parametrize("how", ["shared", "apart", "gate"])
def test_an_idle_client_ends_beside_a_busy_one(tmp_path: Path, how: str) -> None:
    shared = how == "shared"

    def play(door: Door) -> None:
        idle = door.script()
        busy = door.script(like=idle if shared else None)
        until = time.monotonic() + 2 * IDLE_S
        while time.monotonic() < until:
            busy.instance.CurrentTime()
        assert alive(busy)
        assert alive(idle) is shared

    with front(tmp_path / "front", session_idle_s=IDLE_S) as vcenter:
        if how != "gate":
            play(vcenter)
        else:
            with gated(tmp_path, vcenter, f'session_idle = "{IDLE_S:g}s"\nkeepalive = "500ms"') as gate:
                play(gate)
