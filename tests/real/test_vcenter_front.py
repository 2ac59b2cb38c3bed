"""The lab's vCenter, asked by pyVmomi: what it adds to vcsim is as a vCenter does it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fronts import OTHER, PASSWORD, USER, Front, changed, front
from tidegate.clients.vmomi import vim, vmodl

pytestmark = pytest.mark.peer("vcsim")

NotAuthenticated = vim.fault.NotAuthenticated
NotFound = vmodl.fault.ManagedObjectNotFound


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("front") / "f", inventory={"vm": 3}) as one:
        yield one


def rest(running: Front, method: str, path: str, *, user: str = USER, token: str = "") -> tuple[int, Any]:
    headers = {"vmware-api-session-id": token}
    if not token:
        headers = {"Authorization": "Basic " + b64encode(f"{user}:{PASSWORD}".encode()).decode()}
    status, said = running.http(method, path, headers=headers)
    return status, json.loads(said or "null")


def ended(task: Any) -> Any:
    """Return a task's info when it has ended."""
    while task.info.state in ("queued", "running"):
        time.sleep(0.02)
    return task.info


def test_a_cookie_is_quoted_and_is_not_the_key(running: Front) -> None:
    before = running.counters()
    script = running.script()
    assert script.stub.cookie.startswith('vmware_soap_session="')
    assert script.stub.cookie.endswith('"; Path=/; HttpOnly; Secure;')
    value = script.stub.cookie.split('"')[1]
    assert len(value) == 40
    assert script.session.key != value
    assert script.session.userName == USER
    after = running.counters()
    assert (after["logins"], after["sessions"]) == (before["logins"] + 1, before["sessions"] + 1)
    script.content.sessionManager.Logout()
    assert running.counters()["sessions"] == before["sessions"]
    assert script.session is None  # null, and no fault
    with pytest.raises(NotAuthenticated) as caught:
        script.instance.CurrentTime()
    assert (caught.value.msg, caught.value.privilegeId) == ("The session is not authenticated.", "System.View")


def test_a_wrong_password_is_refused(running: Front) -> None:
    script = running.script()
    script.content.sessionManager.Logout()
    with pytest.raises(vim.fault.InvalidLogin):
        script.content.sessionManager.Login(USER, "wrong")
    script.content.sessionManager.Login(OTHER, PASSWORD)
    assert script.session.userName == OTHER


def test_a_dead_session_sees_an_inventory_without_properties(running: Front) -> None:
    script = running.script()
    things = script.all(vim.VirtualMachine)
    before = running.counters()["not_authenticated"]
    script.content.sessionManager.Logout()
    (seen, *_) = script.page(things, 100).objects
    assert not seen.propSet
    assert [type(missing.fault) for missing in seen.missingSet] == [NotAuthenticated]
    assert running.counters()["not_authenticated"] == before | {"2": before["2"] + 1}


def test_clones_share_nothing(running: Front) -> None:
    parent = running.script()
    ticket = parent.content.sessionManager.AcquireCloneTicket()
    clone = running.script(like=parent)
    clone.stub.cookie = ""
    made = clone.content.sessionManager.CloneSession(ticket)
    assert (made.userName, made.key != parent.session.key) == (USER, True)
    view = parent.content.viewManager.CreateListView([])
    with pytest.raises(NotFound):
        clone.of(view).DestroyView()
    with pytest.raises(vim.fault.InvalidLogin):
        clone.content.sessionManager.CloneSession(ticket)  # it was used
    parent.content.sessionManager.Logout()
    assert clone.session.key == made.key
    late = clone.content.sessionManager.AcquireCloneTicket()
    clone.content.sessionManager.Logout()
    with pytest.raises(vim.fault.InvalidLogin):
        clone.content.sessionManager.CloneSession(late)  # its session has ended


def test_waits_hear_of_changes_and_are_cancelled_together(running: Front) -> None:
    script, other = running.script(), running.script()
    machine, *_ = script.all(vim.VirtualMachine)
    for one in (script, other):
        one.watch(one.of(machine), "name")
        assert one.seen() == {machine._moId}
    machine.Rename_Task("renamed")
    assert script.seen("-", wait_s=20) == {machine._moId}
    assert other.seen("-", wait_s=20) == {machine._moId}

    heard: list[str] = []

    def wait(collector: Any) -> None:
        try:
            collector.WaitForUpdatesEx("-", vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=30))
        except vmodl.fault.RequestCanceled:
            heard.append("cancelled")

    second = script.collector.CreatePropertyCollector()
    assert not changed(second.CheckForUpdates(""))
    waits = [threading.Thread(target=wait, args=(collector,)) for collector in (*[script.collector] * 2, second)]
    for thread in waits:
        thread.start()
    while running.counters()["in_flight"] < 3:
        time.sleep(0.02)
    running.script(like=script).collector.CancelWaitForUpdates()
    for thread in waits:
        thread.join()
    assert heard == ["cancelled"] * 3


def test_a_page_belongs_to_the_last_result(running: Front) -> None:
    script = running.script()
    things = script.all(vim.VirtualMachine)
    first = script.page(things, 2)
    rest_ = script.collector.ContinueRetrievePropertiesEx(first.token)
    assert len(first.objects) == len(rest_.objects) == 2
    one = script.page(things, 2)
    with pytest.raises(vmodl.fault.InvalidArgument):
        running.script().collector.ContinueRetrievePropertiesEx(one.token)
    other = script.page(things, 3)
    with pytest.raises(vmodl.fault.InvalidArgument):
        script.collector.ContinueRetrievePropertiesEx(one.token)
    script.collector.CancelRetrievePropertiesEx(other.token)
    with pytest.raises(vmodl.fault.InvalidArgument):
        script.collector.ContinueRetrievePropertiesEx(other.token)


def test_a_session_ends_another_and_is_shown_who_is_there(running: Front) -> None:
    script, victim = running.script(), running.script()
    key = victim.session.key
    manager = script.content.sessionManager
    assert key in {one.key for one in manager.sessionList}
    assert manager.SessionIsActive(key, USER)
    manager.TerminateSession([key])
    assert not manager.SessionIsActive(key, USER)
    with pytest.raises(NotAuthenticated):
        victim.instance.CurrentTime()
    manager.SetLocale("de")
    assert script.session.locale == "de"
    assert manager.ImpersonateUser(OTHER, "de").userName == OTHER
    assert script.session.userName == OTHER


def test_storage_policies_take_the_session_from_the_soap_header(running: Front) -> None:
    script = running.script()
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><vcSessionCookie>{}</vcSessionCookie>'
        '</e:Header><e:Body><PbmQueryProfile xmlns="urn:pbm"><_this type="PbmProfileProfileManager">ProfileManager'
        "</_this><resourceType><resourceType>STORAGE</resourceType></resourceType></PbmQueryProfile></e:Body></e:Envelope>"
    )
    said = [
        running.soap("/pbm/sdk", body.format(cookie))
        for cookie in (script.stub.cookie.split('"')[1], script.session.key)
    ]
    assert [status for status, _ in said] == [200, 500]
    assert "NotAuthenticated" in said[1][1]


def test_rest_sessions_have_a_cap(tmp_path: Path) -> None:
    with front(tmp_path / "f", rest_per_user_max=2) as running:
        status, token = rest(running, "POST", "/api/session")
        assert status == 201
        status, old = rest(running, "POST", "/rest/com/vmware/cis/session")
        assert status == 200
        status, said = rest(running, "POST", "/api/session")
        assert status == 503
        assert "limited to 2" in said["messages"][0]["default_message"]
        assert rest(running, "POST", "/api/session", user=OTHER)[0] == 201
        assert rest(running, "DELETE", "/api/session", token=token)[0] in (200, 204)
        assert rest(running, "POST", "/api/session")[0] == 201
        counted = running.counters()
        assert (counted["rest_sessions"], counted["refused"]["rest_sessions"]) == (3, 1)
        assert running.control(kill=USER) == {"killed": 2}
        assert rest(running, "GET", "/rest/com/vmware/cis/tagging/category", token=old["value"])[0] == 401


def test_sessions_have_a_cap_and_end_when_idle(tmp_path: Path) -> None:
    with front(tmp_path / "f", sessions_max=2, session_idle_s=1.0) as running:
        idle = running.script()
        busy = running.script(OTHER)
        with pytest.raises(http.client.HTTPException, match="503 Service Unavailable"):
            running.script()
        assert running.counters()["refused"]["sessions"] == 1
        while running.counters()["sessions"] == 2:
            busy.instance.CurrentTime()
        with pytest.raises(NotAuthenticated):
            idle.instance.CurrentTime()
        assert running.script().session.userName == USER
        assert running.counters()["peak_sessions"] == 2


def test_history_collectors_have_a_cap(tmp_path: Path) -> None:
    with front(tmp_path / "f", collectors_max=2) as running:
        script = running.script()
        manager = script.content.eventManager
        made = [manager.CreateCollectorForEvents(vim.event.EventFilterSpec()) for _ in range(2)]
        with pytest.raises(vim.fault.InvalidState):
            manager.CreateCollectorForEvents(vim.event.EventFilterSpec())
        made[0].DestroyCollector()
        script.content.taskManager.CreateCollectorForTasks(vim.TaskFilterSpec())
        running.script().content.eventManager.CreateCollectorForEvents(vim.event.EventFilterSpec())


def test_a_task_waits_for_its_host_and_its_token_expires(tmp_path: Path) -> None:
    inventory = {"cluster": 0, "standalone-host": 1, "vm": 3}
    with front(tmp_path / "f", inventory=inventory, host_workers=1, task_s=1.0, token_life_s=0.5) as running:
        script = running.script()
        machine, *_ = script.all(vim.VirtualMachine)
        tasks = [machine.CreateSnapshot_Task(f"s{number}", "", False, False) for number in range(2)]
        assert tasks[1].info.state == "queued"
        done, expired = ended(tasks[0]), ended(tasks[1])
        assert (done.state, type(done.result)) == ("success", vim.vm.Snapshot)
        assert done.entity == machine
        assert expired.state == "error"
        assert isinstance(expired.error, NotAuthenticated)
        assert expired.error.privilegeId == "Datastore.FileManagement"
        assert expired.error.msg.startswith("Received SOAP response fault from [")
        counted = running.counters()
        assert (counted["expired_in_queue"], counted["tasks_queued"], counted["tasks_done"]) == (1, 2, 1)
        (snapshot,) = machine.snapshot.rootSnapshotList
        assert ended(snapshot.snapshot.RemoveSnapshot_Task(False)).state == "success"
        # What the simulator refuses is refused in the task.
        assert isinstance(ended(machine.PowerOnVM_Task()).error, vim.fault.InvalidPowerState)


def test_a_stale_gateway_refuses_old_sessions_only(running: Front) -> None:
    old = running.script()
    machine, *_ = old.all(vim.VirtualMachine)
    before = running.counters()["not_authenticated"]
    running.control(stale=[machine.runtime.host._moId])
    with pytest.raises(NotAuthenticated) as caught:
        machine.CreateSnapshot_Task("s", "", False, False)
    assert caught.value.privilegeId == "Datastore.FileManagement"
    assert machine.name  # the session itself is fine
    fresh = running.script().of(machine)
    assert ended(fresh.CreateSnapshot_Task("s", "", False, False)).state == "success"
    assert running.counters()["not_authenticated"] == before | {"3": before["3"] + 1}


def test_leases_keep_a_worker_until_they_are_over(tmp_path: Path) -> None:
    with front(tmp_path / "f", inventory={"cluster": 0, "standalone-host": 1, "vm": 1}, host_workers=1) as running:
        script = running.script()
        machine, *_ = script.all(vim.VirtualMachine)
        lease = machine.ExportVm()
        assert (lease.state, lease.info.entity) == ("ready", machine)
        lease.HttpNfcLeaseProgress(10)
        with pytest.raises(NotFound):
            running.script().of(lease).HttpNfcLeaseAbort()
        waits = machine.CreateSnapshot_Task("s", "", False, False)
        assert waits.info.state == "queued"
        lease.HttpNfcLeaseComplete()
        assert ended(waits).state == "success"
        held = machine.ExportVm()
        script.content.sessionManager.Logout()
        again = running.script()
        with pytest.raises(NotFound):
            again.of(held).HttpNfcLeaseComplete()
        again.of(machine).ExportVm().HttpNfcLeaseAbort()


def test_calls_past_the_room_wait(tmp_path: Path) -> None:
    with front(tmp_path / "f", requests_max=2, workers=1, unit_ms=5.0, costs={"backup/*": 2.0}) as running:
        scripts = [running.script(user) for user in (USER, OTHER) for _ in range(3)]
        calls = [threading.Thread(target=script.instance.CurrentTime) for script in scripts]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        counted = running.counters()
        assert counted["by_operation"]["CurrentTime"] == 6
        assert 2 <= counted["peak_in_flight"] <= 6


def test_all_sessions_are_killed(running: Front) -> None:
    script = running.script()
    assert running.control(kill="*")["killed"] >= 1
    with pytest.raises(NotAuthenticated):
        script.instance.CurrentTime()
    assert running.counters()["sessions"] == 0


def test_what_is_no_http_is_refused(running: Front) -> None:
    assert running.raw(b"GET / SPDY\r\nno colon\r\nContent-Length: -1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert running.raw(b"POST /sdk HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert running.soap("/sdk", "<a>no envelope</a>")[0] == 500
