"""``vvold-phased-restart`` at hosts behind OpenSSH's sshd that behave, hang, fail, come back slowly or never."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sshd import NOON, SshHost, SshSite, site
from tidegate.clients.ssh import Ssh, SshOptions
from tidegate.clients.vcenter import HostState
from tidegate.clients.vcenter_inventory import FoundHost
from tidegate.errors import FleetError, HostUnreachable
from tidegate.fleet.act import Host, Verdict
from tidegate.fleet.model import Plan
from tidegate.fleet.plans.access import Access, ssh_for
from tidegate.fleet.plans.vvold import VvoldRestart

pytestmark = pytest.mark.peer("sshd")

T = TypeVar("T")


class FakeManager:
    """vCenter, as far as a plan asks it; the one of vcsim has tests of its own."""

    def __init__(self, **state: Any) -> None:
        self.state = HostState(**{"connected": True, "maintenance": False, **state})
        self.running = {"TSM-SSH": False, "vpxa": True}
        self.calls: list[str] = []
        self.away = False

    async def hosts(self) -> list[FoundHost]:
        self.calls.append("hosts")
        return [FoundHost("ESX-00", "host-17", "c", "domain-c1", 1, ("DC", "host"))]

    async def host_state(self, moid: str) -> HostState:  # noqa: ARG002
        if self.away:
            raise HostUnreachable("vCenter does not answer")
        return self.state

    async def services(self, moid: str) -> Mapping[str, bool]:  # noqa: ARG002
        return dict(self.running)

    async def service(self, moid: str, key: str, verb: str) -> bool:  # noqa: ARG002
        self.calls.append(f"{verb} {key}")
        if self.away:
            raise HostUnreachable("vCenter does not answer")
        if key not in self.running:
            return False
        self.running[key] = verb != "stop"
        return True

    async def close(self) -> None:
        self.calls.append("logout")


@pytest.fixture
def one(tmp_path: Path) -> Iterator[SshSite]:
    with site(tmp_path, 1) as made:
        yield made


def make(made: SshSite, manager: FakeManager | None = None, *, open_ssh: bool = False, **tables: Any) -> VvoldRestart:
    options = made.options()
    plan = Plan.model_validate(
        {
            "run": {"plan": "vvold-phased-restart", "variant": tables.pop("variant", "stop-all")},
            "targets": {"inventory": "hosts.toml"},
            "ssh": {
                "user": options.user,
                "known_hosts": options.known_hosts,
                "identity": options.identity,
                "command": tables.pop("command", "30s"),
            },
            **tables,
        }
    )
    return VvoldRestart(plan, Access(ssh_for(plan), manager, open_ssh=open_ssh))


def target(world: SshHost, **labels: str) -> Host:
    return Host(world.folder.name, world.address, labels=labels)


def ends(work: VvoldRestart, doing: Coroutine[Any, Any, T]) -> T:
    async def through() -> T:
        try:
            return await doing
        finally:
            await work.close()

    return asyncio.run(through())


def test_a_host_is_stopped_started_and_verified(one: SshSite) -> None:
    world, work = one.hosts[0], make(one)
    host = target(world)

    async def whole() -> tuple[Verdict, Verdict, Verdict]:
        before = await work.look("stop", host)
        assert (before["state"], before["pid"], before["start_time"]) == ("running", 2255518, NOON - 3600)
        assert before["boot_id"] == "boot-1-esx-00"
        assert not work.done("stop", before, before)
        down = await work.act("stop", host, before)
        assert work.done("stop", before, down)
        stopped = await work.verify("stop", host, before)
        assert not world.runs

        before = await work.look("start", host)
        assert not work.done("start", before, before)
        world.turn_clock(30)
        up = await work.act("start", host, before)
        assert work.done("start", before, up)
        early = await work.verify("start", host, before)
        world.turn_clock(180)
        return stopped, early, await work.verify("start", host, before)

    stopped, early, late = ends(work, whole())
    assert (stopped.ok, stopped.sure) == (True, True)
    assert (early.ok, early.sure, early.says) == (False, False, "connected; no failure for 0 s of 180 s")
    assert (late.ok, late.sure) == (True, True)
    assert world.restarts == 1


def test_a_rolling_restart_is_known_by_its_pid(one: SshSite) -> None:
    world, work = one.hosts[0], make(one, variant="rolling")
    host = target(world)

    async def whole() -> bool:
        before = await work.look("restart", host)
        after = await work.act("restart", host, before)
        return work.done("restart", before, before) is False and work.done("restart", before, after)

    assert ends(work, whole())
    assert world.restarts == 1


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        (3 << 20, "connected; no failure for 100 s of 180 s"),
        (5 << 20, "runs, but its log is too busy, or too young, to see 180 s back: it begins 60 s ago"),
    ],
)
def test_a_noisy_log_hides_no_failure(one: SshSite, noise: int, says: str) -> None:
    """A provider failed 100 s ago and is back; what was logged since is more than is read in the second case."""
    world, work = one.hosts[0], make(one)
    host = target(world)

    async def whole() -> tuple[Verdict, Verdict]:
        before = await work.look("start", host)
        world.turn_clock(600)
        head = "Z Er(163) VVold[2255518]: [Originator@6876 sub=Default] "
        failed = "setContext for VP vp-b (url: https://vp-b/) failed [connectionState: TransportError]: no"
        lines = [
            f"2025-08-08T11:00:10.000{head}begins",
            f"2025-08-08T11:08:20.000{head}VasaSession::DoSetContext: {failed}",
            f"2025-08-08T11:08:59.000{head}VasaOp::EventPollerCB",
            "--> Issuing 'getEvents' to VP vp-b (#outstanding 0/5) [session state: Connected]",
        ]
        line = f"2025-08-08T11:09:00.000{head}chatter {'x' * 900}"
        world.write("var/run/log/vvold.log", "\n".join([*lines, *([line] * (noise // len(line))), ""]))
        world.write("online", "")
        early = await work.verify("start", host, before)
        world.turn_clock(180)
        return early, await work.verify("start", host, before)

    early, late = ends(work, whole())
    assert (early.ok, early.sure, early.says) == (False, False, says)
    assert (late.ok, late.sure) == (True, True)


def test_without_a_pid_file_ps_tells(one: SshSite) -> None:
    world, work = one.hosts[0], make(one, variant="rolling")
    world.write("no-pid-file", "")
    (world.folder / "var/run/vmware/vvold.pid").unlink()
    host = target(world)

    async def whole() -> bool:
        before = await work.look("restart", host)
        assert (before["pid"], before["start_time"]) == (2255518, None)
        return work.done("restart", before, await work.act("restart", host, before))

    assert ends(work, whole())


def test_without_any_pid_a_rolling_restart_is_refused(one: SshSite) -> None:
    world, work = one.hosts[0], make(one, variant="rolling")
    (world.folder / "var/run/vmware/vvold.pid").unlink()
    world.write("bin/ps", "#!/bin/sh\n")
    with pytest.raises(FleetError, match="could not be proved") as caught:
        ends(work, work.look("restart", target(world)))
    assert "stop-all" in caught.value.hint
    assert world.restarts == 0


def test_a_reboot_is_a_restart(one: SshSite) -> None:
    world, work = one.hosts[0], make(one, variant="rolling")
    host = target(world)

    async def whole() -> bool:
        before = await work.look("restart", host)
        world.reboot()
        return work.done("restart", before, await work.look("restart", host))

    assert ends(work, whole())


def test_a_host_that_starts_and_never_reconnects_is_never_fine(one: SshSite) -> None:
    world, work = one.hosts[0], make(one)
    host = target(world)

    async def whole() -> list[Verdict]:
        before = await work.look("stop", host)
        await work.act("stop", host, before)
        world.write("mode", "never")
        before = await work.look("start", host)
        assert work.done("start", before, await work.act("start", host, before))
        verdicts = []
        for _ in range(4):
            world.turn_clock(300)
            verdicts.append(await work.verify("start", host, before))
        return verdicts

    for verdict in ends(work, whole()):
        assert not verdict.ok
        assert "has not reconnected to vp-a; last failure of vp-a: TransportError" in verdict.says
    assert world.restarts == 1


def test_a_host_that_comes_back_slowly(one: SshSite) -> None:
    world, work = one.hosts[0], make(one)
    world.write("mode", "slow")
    host = target(world)

    async def whole() -> list[str]:
        before = await work.look("stop", host)
        await work.act("stop", host, before)
        before = await work.look("start", host)
        await work.act("start", host, before)
        said = []
        for _ in range(10):
            verdict = await work.verify("start", host, before)
            said.append(verdict.says)
            if verdict.sure:
                return said
            world.turn_clock(100)
        return said

    said = ends(work, whole())
    assert said[0] == "vvold is stopped after its start"
    assert said[-1].endswith("connected")
    assert world.restarts == 1


@pytest.mark.parametrize("verb", ["stop", "start"])
def test_a_host_that_fails_says_why(one: SshSite, verb: str) -> None:
    world, work = one.hosts[0], make(one)
    world.write("mode", f"fail-{verb}")
    host = target(world)

    async def whole() -> None:
        before = await work.look(verb, host)
        await work.act(verb, host, before)

    with pytest.raises(FleetError, match=f"vvold {verb}` ended with 1: vvold: cannot {verb}: resource busy"):
        ends(work, whole())


def test_a_host_that_hangs_is_left_after_its_timeout(one: SshSite) -> None:
    world, work = one.hosts[0], make(one, command="4s")
    world.write("mode", "hang-stop")
    host = target(world)

    async def whole() -> bool:
        before = await work.look("stop", host)
        with pytest.raises(FleetError, match="did not end within 4 s"):
            await work.act("stop", host, before)
        return work.done("stop", before, await work.look("stop", host))

    assert ends(work, whole()) is False


def test_what_is_no_esxi_host_is_refused(one: SshSite) -> None:
    world, work = one.hosts[0], make(one)
    (world.folder / "etc/init.d/vvold").unlink()
    with pytest.raises(FleetError, match=r"has no /etc/init\.d/vvold"):
        ends(work, work.look("stop", target(world)))


def test_ssh_is_opened_through_vcenter_and_closed_again(one: SshSite) -> None:
    manager, world = FakeManager(), one.hosts[0]
    work = make(one, manager, open_ssh=True)
    host = target(world, moid="host-17")

    async def whole() -> None:
        before = await work.look("stop", host)
        assert before["ssh_opened"] is True
        await work.act("stop", host, before)
        before = await work.look("start", host)
        await work.act("start", host, before)
        world.turn_clock(200)
        verdict = await work.verify("start", host, before)
        assert verdict.ok
        assert verdict.evidence["ssh_opened"] is False
        assert manager.running["TSM-SSH"] is False

    ends(work, whole())
    # The API was asked for vvold once, had none, and was not asked again.
    assert manager.calls == ["start TSM-SSH", "stop vvold", "stop TSM-SSH", "logout"]


def test_ssh_that_another_process_opened_is_closed_by_the_one_that_goes_on(one: SshSite) -> None:
    manager, host = FakeManager(), target(one.hosts[0], moid="host-17")
    first, second = (make(one, manager, open_ssh=True) for _ in range(2))

    async def both() -> None:
        before = await first.look("stop", host)  # and is killed: it never closes what it has opened
        await first._access._ssh.close()
        assert manager.running == {"TSM-SSH": True, "vpxa": True}
        await second.act("stop", host, before)

    ends(second, both())
    assert manager.running["TSM-SSH"] is False


def test_a_vcenter_that_is_away_when_ssh_is_to_be_closed_fails_no_host(one: SshSite) -> None:
    manager, world = FakeManager(), one.hosts[0]
    work = make(one, manager, open_ssh=True)
    host = target(world, moid="host-17")

    async def whole() -> Verdict:
        before = await work.look("start", host)
        await work.act("stop", host, before)
        await work.act("start", host, before)
        world.turn_clock(200)
        manager.away = True
        verdict = await work.verify("start", host, before)
        manager.away = False
        return verdict

    verdict = ends(work, whole())
    assert (verdict.ok, verdict.sure) == (True, True)
    assert "its SSH is still open" in verdict.says
    assert verdict.evidence["ssh_opened"] is True
    # What could not be closed then was closed at the end.
    assert manager.running["TSM-SSH"] is False


def test_a_vcenter_that_is_away_is_not_waited_for_once_per_host(caplog: pytest.LogCaptureFixture) -> None:
    manager = FakeManager()
    access = Access(Ssh(SshOptions()), manager, open_ssh=True)
    hosts = [Host(f"esx-{n:02}", "192.0.2.1", labels={"moid": f"host-{n}"}) for n in range(5)]

    async def whole() -> None:
        for host in hosts:
            access.adopt(host, {"ssh_opened": True})
        manager.away = True
        for host in hosts:
            assert "its SSH is still open" in await access.give_back(host)
        assert manager.calls == ["stop TSM-SSH"]
        await access.close()
        assert manager.calls == ["stop TSM-SSH", "stop TSM-SSH", "logout"]
        manager.away = False
        await access.close()

    asyncio.run(whole())
    assert "esx-00, esx-01, esx-02, esx-03, esx-04: SSH was opened by this run" in caplog.text
    assert manager.calls.count("stop TSM-SSH") == 2 + 5


def test_every_host_is_looked_at_before_the_approval(one: SshSite) -> None:
    work = make(one, FakeManager(lockdown="normal"))
    notes = asyncio.run(work.prepare([Host(f"esx-{n:02}", "x", labels={"moid": f"host-{n}"}) for n in range(30)]))
    assert [note.split()[0] for note in notes] == [f"esx-{n:02}" for n in range(30)]


def test_a_host_without_a_label_is_found_by_its_name(one: SshSite) -> None:
    manager, world = FakeManager(), one.hosts[0]
    work = make(one, manager, open_ssh=True)

    async def both() -> None:
        assert (await work.look("stop", target(world)))["ssh_opened"] is True
        with pytest.raises(HostUnreachable, match="vCenter knows no host esx-99") as caught:
            await work.look("stop", Host("esx-99", world.address))
        assert "moid" in caught.value.hint

    ends(work, both())
    assert manager.calls == ["hosts", "start TSM-SSH", "stop TSM-SSH", "logout"]


def test_ssh_that_was_open_stays_open(one: SshSite) -> None:
    manager = FakeManager()
    manager.running["TSM-SSH"] = True
    work = make(one, manager, open_ssh=True)
    ends(work, work.look("stop", target(one.hosts[0], moid="host-17")))
    assert manager.calls == ["logout"]


def test_the_api_is_enough_where_it_has_vvold(one: SshSite) -> None:
    manager = FakeManager()
    manager.running["vvold"] = True
    work = make(one, manager)
    host = target(one.hosts[0], moid="host-17")

    async def whole() -> None:
        await work.act("stop", host, await work.look("stop", host))

    ends(work, whole())
    assert manager.calls[0] == "stop vvold"
    assert manager.running["vvold"] is False
    assert one.hosts[0].read("stops") == ""


def test_a_host_in_transition_is_skipped_but_never_left_stopped(one: SshSite) -> None:
    manager = FakeManager(moving="enters maintenance mode", lockdown="normal")
    work = make(one, manager)
    host = target(one.hosts[0], moid="host-17")

    async def whole() -> None:
        assert await work.look("stop", host) == {"skip": "enters maintenance mode"}
        assert (await work.look("start", host))["state"] == "running"
        manager.state = HostState(True, False, "normal")
        assert (await work.look("stop", host))["lockdown"] == "normal"
        manager.state = HostState(True, False, "normal", "enters maintenance mode")
        said = await work.prepare([host])
        assert any("normal lockdown" in line for line in said)
        assert any("will be skipped" in line for line in said)

    ends(work, whole())


def test_a_vcenter_that_is_away_does_not_stop_what_ssh_can_do(one: SshSite, caplog: pytest.LogCaptureFixture) -> None:
    manager = FakeManager()
    manager.away = True
    work = make(one, manager)
    host = target(one.hosts[0], moid="host-17")

    async def whole() -> None:
        before = await work.look("stop", host)
        await work.act("stop", host, before)

    ends(work, whole())
    assert not one.hosts[0].runs
    assert caplog.text.count("going on without vCenter") == 1


def test_hosts_that_no_vcenter_knows_are_told(one: SshSite) -> None:
    work = make(one)
    assert "1 of 1 hosts have no vCenter to ask" in ends(work, work.prepare([target(one.hosts[0])]))[0]
