"""``vcenter-targeted-restart`` at an appliance behind OpenSSH's sshd, with vcsim as its vCenter and its interface."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sshd import SshAppliance, SshSite, site
from tidegate.clients.appliance import ApplianceShell, alias_in
from tidegate.clients.ssh import Ssh
from tidegate.clients.vcenter import RunningTask, Vcenter
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.errors import FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.access import ssh_for
from tidegate.fleet.plans.vcenter_restart import VcenterRestart, is_backup, states_in
from vcenters import Vcsim, vcsim

T = TypeVar("T")

ssh_only = pytest.mark.peer("sshd")
with_vcenter = pytest.mark.peer("sshd", "vcsim")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path / "site", 0, appliance=True) as running:
        yield running


@pytest.fixture
def center(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=1, host=1, standalone_host=0) as running:
        yield running


def appliance(made: SshSite) -> tuple[SshAppliance, Host]:
    assert made.appliance is not None
    return made.appliance, Host("vc", made.appliance.address)


def make(made: SshSite, center: Vcsim | None = None, *, command: str = "30s", **options: Any) -> VcenterRestart:
    reach = made.options()
    plan = Plan.model_validate(
        {
            "run": {"plan": "vcenter-targeted-restart"},
            "targets": {"inventory": "vc.toml"},
            "ssh": {
                "user": reach.user,
                "known_hosts": reach.known_hosts,
                "identity": reach.identity,
                "connect": "30s",
                "command": command,
            },
            "options": options,
        }
    )
    vcenter = None if center is None else Vcenter(center.options())
    rest = None if center is None else VcenterRest(center.options())
    return VcenterRestart(plan, ssh_for(plan), vcenter, rest)


def ends(work: VcenterRestart, doing: Coroutine[Any, Any, T]) -> T:
    async def through() -> T:
        try:
            return await doing
        finally:
            await work.close()

    return asyncio.run(through())


async def restart(work: VcenterRestart, host: Host, step: str = "restart") -> tuple[bool, bool, str]:
    before = await work.look(step, host)
    first = work.done(step, before, before)
    after = await work.act(step, host, before)
    verdict = await work.verify(step, host, before)
    assert not first
    return work.done(step, before, after), verdict.ok, verdict.says


@ssh_only
@pytest.mark.parametrize("login", ["bash", "appliancesh"])
def test_the_two_services_are_restarted_whatever_the_login_shell_is(made: SshSite, login: str) -> None:
    world, host = appliance(made)
    world.write(login, "")
    done, ok, says = ends(work := make(made), restart(work, host))
    assert (done, ok, says) == (True, True, "vmware-vpxd and vmware-envoy-hgw run")
    assert world.restarts == ["vmware-vpxd", "vmware-envoy-hgw"]


@ssh_only
def test_names_come_from_the_list(made: SshSite) -> None:
    world, host = appliance(made)
    world.write("bash", "")
    (world.folder / "services/vmware-vpxd").rename(world.folder / "services/vpxd")
    (world.folder / "services/vmware-envoy-hgw").unlink()
    assert ends(work := make(made), restart(work, host))[:2] == (True, True)
    assert world.restarts == ["vpxd"]


@ssh_only
def test_what_is_no_vcenter_is_refused(made: SshSite) -> None:
    world, host = appliance(made)
    world.write("bash", "")
    (world.folder / "services/vmware-vpxd").unlink()
    with pytest.raises(FleetError, match="has no vmware-vpxd"):
        ends(work := make(made), work.look("restart", host))


@ssh_only
def test_what_was_restarted_before_a_crash_is_not_restarted_again(made: SshSite) -> None:
    world, host = appliance(made)
    world.write("bash", "")
    work = make(made)

    async def whole() -> bool:
        before = await work.look("restart", host)
        world.write("mode", "half-restart")
        with pytest.raises(FleetError):
            await work.act("restart", host, before)
        world.write("mode", "fine")
        assert not work.done("restart", before, await work.look("restart", host))
        return work.done("restart", before, await work.act("restart", host, before))

    assert ends(work, whole())
    assert world.restarts == ["vmware-vpxd", "vmware-envoy-hgw"]


@ssh_only
def test_everything_only_if_asked_and_after_the_two(made: SshSite) -> None:
    world, host = appliance(made)
    world.write("bash", "")
    assert [phase.step for phase in make(made).phases] == ["restart"]
    work = make(made, all=True)
    assert [phase.step for phase in work.phases] == ["restart", "restart_all"]
    assert all(phase.approval for phase in work.phases)
    assert ends(work, restart(work, host, "restart_all"))[:2] == (True, True)
    assert world.read("calls").count("stop --all\nstart --all\n") == 1


@ssh_only
def test_a_restart_that_fails_says_why(made: SshSite) -> None:
    world, host = appliance(made)
    world.write("bash", "")
    world.write("mode", "fail-restart")
    with pytest.raises(FleetError, match="ended with 1: Failed to restart service"):
        ends(work := make(made), restart(work, host))


@ssh_only
def test_without_a_way_the_manual_steps_are_the_reason(made: SshSite) -> None:
    world, host = appliance(made)
    world.write("shell-disabled", "")
    with pytest.raises(FleetError, match="does not lead on to bash") as caught:
        ends(work := make(made), restart(work, host))
    assert "By hand, at the appliance's console" in caught.value.message
    assert "service-control --restart vmware-vpxd vmware-envoy-hgw" in caught.value.message


@with_vcenter
def test_ssh_that_hangs_leads_to_the_appliances_interface(made: SshSite, center: Vcsim) -> None:
    world, host = appliance(made)
    world.write("hang-shell", "")
    done, ok, says = ends(work := make(made, center, command="1s"), restart(work, host))
    # Without a look at processes nothing is proved, and that is said.
    assert (done, ok) == (False, True)
    assert "without proof" in says
    assert center.control("seen")["restarts"] == {"vmware-vpxd": 1, "vmware-envoy-hgw": 1}
    assert world.restarts == []


@with_vcenter
def test_an_appliance_that_is_off_fails_with_the_manual_steps(made: SshSite, center: Vcsim) -> None:
    world, host = appliance(made)
    work = make(made, center)
    world.__exit__(None, None, None)
    center.kill()
    try:
        with pytest.raises(FleetError, match=r"cannot be reached by SSH .*does not|failed.* By hand") as caught:
            ends(work, restart(work, host))
        assert caught.value.slug == "by-hand"
    finally:
        world.__enter__()


@with_vcenter
def test_running_tasks_and_backups_are_listed_before_the_approval(made: SshSite, center: Vcsim) -> None:
    _, host = appliance(made)
    moid = asyncio.run(hosts_of(center))
    center.control("task", host=moid, name="VirtualMachine.createSnapshot", user="svc-rubrik")
    center.control("task", host=moid, name="VirtualMachine.relocate", user="alice")
    said = ends(work := make(made, center), work.prepare([host]))
    assert "2 tasks run, 1 of them look like backups; a restart ends them all" in said
    assert any("VirtualMachine.createSnapshot" in line and "svc-rubrik" in line for line in said)
    with pytest.raises(FleetError, match="one appliance at a time"):
        ends(work := make(made, center), work.prepare([host, Host("esx", "esx")]))


async def hosts_of(center: Vcsim) -> str:
    vcenter = Vcenter(center.options())
    found = await vcenter.hosts()
    await vcenter.close()
    return found[0].moid


@with_vcenter
def test_tasks_that_cannot_be_read_are_said_so(made: SshSite, center: Vcsim) -> None:
    _, host = appliance(made)
    work = make(made, center)
    center.kill()
    assert "running tasks and backups are NOT known" in ends(work, work.prepare([host]))[-1]
    assert "NOT known" in ends(work := make(made), work.prepare([host]))[-1]


@ssh_only
def test_a_command_behind_appliancesh_says_and_ends_as_it_should(made: SshSite) -> None:
    _, host = appliance(made)

    async def whole() -> tuple[int, str]:
        ssh = Ssh(made.options())
        ran = await ApplianceShell(ssh, host.address).run("echo one; echo two; (exit 3)")
        await ssh.close()
        return ran.status, ran.out

    assert asyncio.run(whole()) == (3, "one\ntwo\n")


@ssh_only
def test_options_that_are_refused(made: SshSite) -> None:
    for options in ({"every": True}, {"all": "yes"}):
        with pytest.raises(FleetError, match="has one option"):
            make(made, **options)


def test_states_aliases_and_backups() -> None:
    assert states_in("Running:\n vmware-vpxd vmware-sps Stopped: vmware-envoy-hgw") == {
        "vmware-vpxd": "running", "vmware-sps": "running", "vmware-envoy-hgw": "stopped",
    }  # fmt: skip
    assert states_in("nothing that is known") == {}
    assert alias_in("vmware-vpxd", {"vpxd": 1}) == "vpxd"
    assert alias_in("vmware-vpxd", {"vpxd-svcs": 1}) is None

    def task(name: str, user: str) -> RunningTask:
        return RunningTask(name, "vm", user, "running", None, None)

    assert is_backup(task("VirtualMachine.createSnapshot", "alice"))
    assert is_backup(task("VirtualMachine.relocate", "svc-veeam"))
    assert not is_backup(task("VirtualMachine.relocate", "alice"))
