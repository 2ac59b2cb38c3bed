"""One session for many: threads, processes and forks at vcsim; sessions that die, and files that were changed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tidegate.clients import vcenter_shared
from tidegate.clients.session_file import Kept, session_name
from tidegate.clients.session_store import SessionStore
from tidegate.clients.vcenter import Vcenter, cloned_session, shared_session
from tidegate.clients.vcenter_read import read_all, read_one
from tidegate.clients.vcenter_session import VcenterOptions, log_in
from tidegate.clients.vcenter_stub import Stub
from tidegate.clients.vmomi import stub_of, vim
from tidegate.errors import FleetError, HostUnreachable, UsageError
from vcenter_front import Front, front, name_filter
from vcenters import PASSWORD_ENV, Vcsim, vcsim

pytestmark = pytest.mark.peer("vcsim")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vcsim]:
    with pytest.MonkeyPatch.context() as patch, vcsim(tmp_path_factory.mktemp("vcsim"), patch, vm=3) as one:
        yield one


@pytest.fixture
def watched(running: Vcsim) -> Iterator[Front]:
    with front(running) as one:
        yield one


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def share(options: VcenterOptions, cache: Path, **more: Any) -> AbstractContextManager[Any]:
    how = {"user": options.user, "port": options.port, "password_env": options.password_env, "ca": options.ca}
    return shared_session(options.address, cache=cache, **{**how, **more})


def machines(content: Any) -> list[str]:
    return sorted(seen["name"] for _, seen in read_all(content, vim.VirtualMachine, ("name",), 100))


def end_sessions(running: Vcsim) -> None:
    """End every session but the one that does it, as an administrator would."""
    own = Stub(running.options(), running.options().trust.context("127.0.0.1", running.port, 30))
    content = log_in(own, running.options(), running.options().password())
    own.keep()
    manager = content.sessionManager
    mine = manager.currentSession.key
    for one in manager.sessionList:
        if one.key != mine:
            manager.TerminateSession([one.key])
    manager.Logout()
    own.DropConnections()


SCRIPT = """
import pathlib, sys
from tidegate.clients.vcenter import shared_session
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import vim
ca, cache = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
how = {"port": int(sys.argv[1]), "password_env": "VCSIM_PASSWORD", "ca": ca, "cache": cache}
with shared_session("127.0.0.1", user="operator", **how) as content:
    print(len(read_all(content, vim.VirtualMachine, ("name",), 100)), content.sessionManager.currentSession.key)
"""


def script(options: VcenterOptions, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(options.port), str(options.ca), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_share_one_login(watched: Front, cache: Path) -> None:
    scripts = [script(watched.options, cache) for _ in range(6)]
    said = [one.communicate() for one in scripts]
    assert [error for _, error in said] == [""] * 6
    assert len({out for out, _ in said}) == 1
    assert watched.calls["Login"] == 1
    assert watched.calls["Logout"] == 0
    # And one that comes later, even without a password, finds it.
    environ = {name: value for name, value in os.environ.items() if name != PASSWORD_ENV}
    later = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(watched.options.port), str(watched.options.ca), str(cache)],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    )
    assert later.stdout == said[0][0]
    assert watched.calls["Login"] == 1


def test_two_hundred_threads_share_one_login_and_ten_places(watched: Front, cache: Path) -> None:
    found: list[list[str]] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with share(watched.options, cache) as content:
                found.append([vm.name for vm in content.rootFolder.childEntity])
        except BaseException as error:  # noqa: BLE001 (whatever it is, the test tells it)
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(found) == 200
    assert watched.calls["Login"] == 1
    assert watched.peak <= 10


def test_a_session_that_was_ended_is_renewed_once_for_all(running: Vcsim, watched: Front, cache: Path) -> None:
    with share(watched.options, cache) as content:
        before = machines(content)
        end_sessions(running)
        found: list[list[str]] = []
        threads = [threading.Thread(target=lambda: found.append(machines(content))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [before] * 8
    assert watched.calls["Login"] == 2


def test_an_ended_session_is_renewed_for_whoever_comes_next(running: Vcsim, watched: Front, cache: Path) -> None:
    with share(watched.options, cache) as content:
        before = machines(content)
    end_sessions(running)
    with share(watched.options, cache) as content:
        assert machines(content) == before
    assert watched.calls["Login"] == 2


def test_a_write_is_not_made_again_but_finds_a_session_the_next_time(running: Vcsim, cache: Path) -> None:
    with share(running.options(), cache) as content:
        end_sessions(running)
        with pytest.raises(vim.fault.NotAuthenticated):
            content.rootFolder.CreateFolder("once")
        made = content.rootFolder.CreateFolder("once")
        assert made.name == "once"


def test_after_a_long_silence_a_write_looks_first(running: Vcsim, cache: Path) -> None:
    with share(running.options(), cache) as content:
        end_sessions(running)
        stub_of(content.rootFolder)._used -= 3600.0
        assert content.rootFolder.CreateFolder("after-silence").name == "after-silence"


MISSING = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
    '<RetrievePropertiesExResponse xmlns="urn:vim25"><returnval><objects><obj type="Folder">group-d1</obj>'
    '<missingSet><path>name</path><fault><fault xsi:type="{}"><object type="Folder">group-d1</object>'
    "<privilegeId>System.View</privilegeId></fault><localizedMessage>no</localizedMessage></fault></missingSet>"
    "</objects></returnval></RetrievePropertiesExResponse></soapenv:Body></soapenv:Envelope>"
)


def test_an_inventory_that_only_looks_empty_is_read_again(running: Vcsim, watched: Front, cache: Path) -> None:
    with share(watched.options, cache) as content:
        end_sessions(running)
        watched.next["RetrievePropertiesEx"] = [MISSING.format("NotAuthenticated")]
        assert read_one(content, content.rootFolder, ("name",)) == {"name": "Datacenters"}
        assert (watched.calls["Login"], watched.calls["RetrievePropertiesEx"]) == (2, 2)
        # What we may not see is missing, and says nothing of the session.
        watched.next["RetrievePropertiesEx"] = [MISSING.format("NoPermission")]
        assert read_one(content, content.rootFolder, ("name",)) == {}
    assert watched.calls["Login"] == 2


def test_a_session_of_fleets_that_only_looks_empty_is_replaced_too(watched: Front) -> None:
    async def ask() -> dict[str, Any]:
        vcenter = Vcenter(watched.options)
        try:
            return await vcenter.session.call(lambda _, content: read_one(content, content.rootFolder, ("name",)))
        finally:
            await vcenter.close()

    watched.next["RetrievePropertiesEx"] = [MISSING.format("NotAuthenticated")]
    assert asyncio.run(ask()) == {"name": "Datacenters"}
    assert watched.calls["Login"] == 2


def test_a_hop_behind_is_neither_renewed_nor_repeated(watched: Front, cache: Path) -> None:
    fault = (
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>'
        "<faultcode>ServerFaultCode</faultcode>"
        "<faultstring>Received SOAP response fault from [&lt;cs p:1, UNIX:hgw-pipe&gt;]"
        '</faultstring><detail><NotAuthenticatedFault xmlns="urn:vim25" xsi:type="NotAuthenticated">'
        '<object type="Folder">group-d1</object><privilegeId>{}</privilegeId></NotAuthenticatedFault></detail>'
        "</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )
    for privilege in ("Datastore.FileManagement", "System.View"):
        with share(watched.options, cache) as content:
            calls, watched.next["Fetch"] = watched.calls["Fetch"], [fault.format(privilege)]
            with pytest.raises(vim.fault.NotAuthenticated):
                content.rootFolder.name  # noqa: B018 (pyVmomi asks when a property is read)
            assert watched.calls["Fetch"] == calls + 1
    assert watched.calls["Login"] == 1


def test_a_wrong_password_is_tried_once_by_all_threads(
    watched: Front, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "no")
    said: list[str] = []

    def work() -> None:
        try:
            with share(watched.options, cache, password_env="WRONG"):
                pass
        except FleetError as error:
            said.append(error.message)

    plain = watched.action

    def when_all_are_there(name: str) -> str:
        while name == "Login" and sum(one.users for one in vcenter_shared._SHARED.values()) < 30:
            threading.Event().wait(0.01)
        return plain(name)

    watched.action = when_all_are_there  # type: ignore[method-assign]
    threads = [threading.Thread(target=work) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["vCenter 127.0.0.1 refuses the login of operator"] * 30
    assert watched.calls["Login"] == 1
    assert not list(cache.glob("*.toml"))


@pytest.mark.parametrize("text", ["", "format = 1\n", "\x00\xff", "format = 2\ncookie = 'x'\n", "x" * 10_000])
def test_a_file_that_cannot_be_used_is_replaced(watched: Front, cache: Path, text: str) -> None:
    with share(watched.options, cache):
        pass
    (file,) = cache.glob("*.toml")
    file.write_text(text, encoding="latin-1")
    with share(watched.options, cache) as content:
        assert machines(content)
    assert watched.calls["Login"] == 2
    assert file.read_text().startswith("format = 1\n")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_session_that_vcenter_does_not_know_is_replaced(watched: Front, cache: Path) -> None:
    options = watched.options
    name = session_name(options.address, options.port, options.user)
    SessionStore(cache, name).write(Kept("made-up", time.time() + 600))
    with share(options, cache) as content:
        assert machines(content)
    assert watched.calls["Login"] == 1


def test_a_file_that_others_may_read_is_refused(watched: Front, cache: Path) -> None:
    with share(watched.options, cache):
        pass
    (file,) = cache.glob("*.toml")
    file.chmod(0o640)
    with pytest.raises(FleetError, match="read or written by others"), share(watched.options, cache):
        pass
    assert watched.calls["Login"] == 1


def test_a_holder_that_dies_in_its_login_is_no_obstacle(watched: Front, cache: Path) -> None:
    # The login is answered by nobody: the first process hangs in it, with the lock.
    arrived, let_go = threading.Event(), threading.Event()
    plain = watched.action

    def hang(name: str) -> str:
        action = plain(name)
        if name == "Login" and not arrived.is_set():
            arrived.set()
            let_go.wait(50)
            return "gone"
        return action

    watched.action = hang  # type: ignore[method-assign]
    first = script(watched.options, cache)
    try:
        assert arrived.wait(50)
        second = script(watched.options, cache)
        first.send_signal(signal.SIGKILL)
        out, error = second.communicate()
        assert error == ""
        assert out.split()[0] == str(len(machines_of(watched.options, cache)))
    finally:
        let_go.set()
        first.kill()
        first.communicate()
    assert watched.calls["Login"] == 2


def machines_of(options: VcenterOptions, cache: Path) -> list[str]:
    with share(options, cache) as content:
        return machines(content)


FORKS = """
import os, pathlib, sys
from tidegate.clients.vcenter import shared_session
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import stub_of, vim, vmodl
ca, cache = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
how = {"user": "operator", "port": int(sys.argv[1]), "password_env": "VCSIM_PASSWORD", "ca": ca, "cache": cache}

def machines(content):
    return sorted(seen["name"] for _, seen in read_all(content, vim.VirtualMachine, ("name",), 100))

with shared_session("127.0.0.1", **how) as content:
    here = machines(content)
    with stub_of(content.rootFolder).lock:  # as another thread may have it at that moment
        child = os.fork()
        if child == 0:
            with shared_session("127.0.0.1", **how) as again:
                os._exit(0 if machines(content) == machines(again) == here else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert machines(content) == here
"""


def test_a_fork_has_connections_of_its_own(watched: Front, cache: Path) -> None:
    command = [sys.executable, "-c", FORKS, str(watched.options.port), str(watched.options.ca), str(cache)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert watched.calls["Login"] == 1


def test_clones_are_nobody_elses_and_are_logged_out(watched: Front, cache: Path) -> None:
    with share(watched.options, cache) as content:
        with cloned_session(content) as one, cloned_session(content) as other:
            keys = {each.sessionManager.currentSession.key for each in (content, one, other)}
            assert len(keys) == 3
            assert machines(one) == machines(other) == machines(content)
        assert {session.key for session in content.sessionManager.sessionList} & keys == {
            content.sessionManager.currentSession.key
        }
    assert (watched.calls["Login"], watched.calls["CloneSession"], watched.calls["Logout"]) == (1, 2, 2)


def test_a_clone_that_has_died_says_so(running: Vcsim, cache: Path) -> None:
    with share(running.options(), cache) as content, cloned_session(content) as own:
        end_sessions(running)
        with pytest.raises(vim.fault.NotAuthenticated):
            own.rootFolder.name  # noqa: B018 (as above)
        assert content.rootFolder.name == "Datacenters"


def test_a_logout_of_one_is_none_of_the_others(watched: Front, cache: Path) -> None:
    with share(watched.options, cache) as content:
        content.sessionManager.Logout()
        assert machines(content)
    assert (watched.calls["Login"], watched.calls["Logout"]) == (1, 0)


def test_what_would_reach_everybody_is_refused_and_a_clone_may_do_it(watched: Front, cache: Path) -> None:
    with share(watched.options, cache) as content:
        for asked in (
            lambda: content.propertyCollector.CreateFilter(name_filter(content), True),
            lambda: content.propertyCollector.WaitForUpdatesEx("", None),
            content.propertyCollector.CancelWaitForUpdates,
            lambda: content.sessionManager.SetLocale("de"),
        ):
            with pytest.raises(UsageError, match="every script that shares it") as caught:
                asked()
            assert "cloned_session" in caught.value.hint
        with cloned_session(content) as own:
            own.propertyCollector.CreateFilter(name_filter(own), True)
            updates = own.propertyCollector.WaitForUpdatesEx("", None)
            assert updates.filterSet[0].objectSet[0].changeSet[0].val == "Datacenters"
        # One's own collector is nobody else's either.
        mine = content.propertyCollector.CreatePropertyCollector()
        mine.CreateFilter(name_filter(content), True)
        assert mine.WaitForUpdatesEx("", None).filterSet
        mine.DestroyPropertyCollector()
    assert watched.calls["SetLocale"] == 0


def test_sessions_that_are_ended_again_and_again_are_not_made_without_end(
    running: Vcsim, watched: Front, cache: Path
) -> None:
    with share(watched.options, cache) as content:
        for _ in range(4):
            end_sessions(running)
            assert content.rootFolder.name == "Datacenters"
        end_sessions(running)
        with pytest.raises(FleetError, match="ends sessions as fast as they are made"):
            content.rootFolder.name  # noqa: B018 (as above)
    assert watched.calls["Login"] == 5


def test_after_its_block_a_session_is_not_used(running: Vcsim, cache: Path) -> None:
    with share(running.options(), cache) as content:
        root = content.rootFolder
    with pytest.raises(UsageError, match="Fetch was called after the block of its session was left"):
        root.name  # noqa: B018 (as above)


def test_what_is_no_shared_session_has_no_clone(running: Vcsim) -> None:
    options = running.options()
    stub = Stub(options, options.trust.context("127.0.0.1", running.port, 30))
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager = vim.SessionManager("SessionManager", None)
    with pytest.raises(UsageError, match="shared_session"), cloned_session(content):
        pass
    stub.DropConnections()


def test_a_vcenter_that_is_not_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with vcsim(tmp_path / "vcsim", monkeypatch) as one:
        one.kill()
        with pytest.raises(HostUnreachable, match="does not answer"), share(one.options(), tmp_path / "cache"):
            pass
