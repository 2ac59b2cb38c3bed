"""The stub of shared sessions behind a vCenter that is busy: what it repeats, how long it waits, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tidegate.clients.vcenter_session import VcenterOptions, log_in
from tidegate.clients.vcenter_stub import Stub
from tidegate.clients.vmomi import vim, vmodl
from vcenter_front import Front, front, name_filter
from vcenters import Vcsim, vcsim

pytestmark = pytest.mark.peer("vcsim")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vcsim]:
    with pytest.MonkeyPatch.context() as patch, vcsim(tmp_path_factory.mktemp("vcsim"), patch) as one:
        yield one


@pytest.fixture
def watched(running: Vcsim) -> Iterator[Front]:
    with front(running) as one:
        yield one


def waiting(options: VcenterOptions) -> tuple[Stub, list[float]]:
    waits: list[float] = []
    context = options.trust.context(options.address, options.port, 30)
    stub = Stub(options, context, sleep=waits.append)
    log_in(stub, options, options.password())
    stub.keep()
    return stub, waits


def test_not_now_is_waited_for_as_long_as_asked(watched: Front) -> None:
    watched.next["Login"] = ["busy"]
    stub, waits = waiting(watched.options)
    watched.next["CurrentTime"] = ["busy", "busy", "gone", "lost"]
    assert vim.ServiceInstance("ServiceInstance", stub).CurrentTime() is not None
    assert watched.calls["CurrentTime"] == 5
    assert len(waits) == 5
    assert all(7.0 <= wait < 7.0 + 2.0**4 for wait in waits[:3])
    watched.next["CurrentTime"] = ["busy"] * 9
    with pytest.raises(Exception, match="503"):
        vim.ServiceInstance("ServiceInstance", stub).CurrentTime()
    assert watched.calls["CurrentTime"] == 5 + 5
    vim.SessionManager("SessionManager", stub).Logout()
    stub.DropConnections()


@pytest.mark.parametrize("what", ["busy", "gone", "lost"])
def test_what_may_have_happened_is_not_made_again(watched: Front, what: str) -> None:
    stub, waits = waiting(watched.options)
    watched.next["CreateFolder"] = [what]
    root = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent().rootFolder
    with pytest.raises(Exception, match=r"503|closed"):
        root.CreateFolder(f"perhaps-{what}")
    assert (watched.calls["CreateFolder"], waits) == (1, [])
    stub.DropConnections()


def test_the_budget_ends_retries(watched: Front) -> None:
    stub, _ = waiting(watched.options)
    service = vim.ServiceInstance("ServiceInstance", stub)
    watched.next["CurrentTime"] = ["busy"] * 100
    for _ in range(10):
        with pytest.raises(Exception, match="503"):
            service.CurrentTime()
    assert watched.calls["CurrentTime"] <= 10 + 10 + 1
    stub.DropConnections()


def test_a_long_poll_is_waited_for_longer_than_a_call(watched: Front) -> None:
    stub, _ = waiting(replace(watched.options, timeout_s=1.0))
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.propertyCollector.CreateFilter(name_filter(content), True)
    version = content.propertyCollector.WaitForUpdatesEx("", None).version
    wait = vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=2)
    assert content.propertyCollector.WaitForUpdatesEx(version, wait) is None
    stub.DropConnections()
