"""The NSX plans step by step against the lab's manager: what is realised counts, and no step happens twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from managers import Cut, HostsSay, Managers, Vcenter, host_of
from tidegate.errors import FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.plans.nsx_change import Goal
from tidegate.fleet.plans.nsx_check import EnsCheck
from tidegate.fleet.plans.nsx_ens import StandardToEns, cpu_config
from tidegate.fleet.plans.nsx_estate import Estate, unpack
from tidegate.fleet.plans.nsx_mode import ModeOptions, ModeWork
from tidegate.fleet.plans.nsx_standard import EnsToStandard
from tidegate.lab.nsx_server import NsxServer

OFFERS_LEGACY = ("STANDARD", "ENS", "ENS_INTERRUPT", "LEGACY")
FIXED = "4.1.2.3.0.23382408"


class World:
    """One manager with hosts in cluster-a under profile tnp-1, and what the plans talk to."""

    def __init__(self, managers: Managers, server: NsxServer, *, mode: str = "ENS", proof: bool = True) -> None:
        self.managers, self.server = managers, server
        server.offered = OFFERS_LEGACY
        self.nodes = [server.add_node(f"esx-{number}", mode) for number in range(3)]
        server.add_profile("tnp-1", ["cluster-a"], mode)
        self.hosts = [host_of(node) for node in self.nodes]
        self.vcenter = Vcenter(server)
        self.proof = HostsSay(self.vcenter) if proof else None

    def estate(self) -> Estate:
        return self.managers.estate(self.server, self.vcenter, self.proof)

    def standard(self, **options: object) -> EnsToStandard:
        return EnsToStandard(self.estate(), ModeOptions(**options))  # type: ignore[arg-type]

    def ens(self, **options: object) -> StandardToEns:
        own = {"mode": "ENS", "restore": True, **options}
        return StandardToEns(self.estate(), ModeOptions(**own))  # type: ignore[arg-type]

    async def step(self, work: ModeWork, step: str, host: Host) -> str:
        """Take a host through one step as the runner does; return what became of it."""
        before = await work.look(step, host)
        if before.get("skip"):
            return f"skipped: {before['skip']}"
        if work.done(step, before, before):
            return "already"
        await work.act(step, host, before)
        verdict = await work.verify(step, host, before)
        assert work.done(step, before, await work.look(step, host)) == verdict.ok
        return verdict.says if verdict.ok else f"failed: {verdict.says}"


@pytest.fixture
def managers(tmp_path: Path) -> Managers:
    return Managers(tmp_path)


def play(managers: Managers, story: Callable[[World], Awaitable[None]], **world: object) -> None:
    """Tell a story in a world of its own."""

    async def inner() -> None:
        async with managers.nsx() as server:
            try:
                await story(World(managers, server, **world))  # type: ignore[arg-type]
            finally:
                server.faults.clear()
                await managers.close()

    asyncio.run(inner())


def test_the_check_reads_and_judges_each_host(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.nodes[1].version = "4.1.2.2.0.23000000"
        world.nodes[2].version = FIXED
        work = EnsCheck(world.managers.estate(world.server))
        notes = await work.prepare(world.hosts)
        hosts = f"1 on 4.1.2.1.0.22667789, 1 on 4.1.2.2.0.23000000, 1 on {FIXED}"
        assert notes == [f"the manager runs NSX 4.1.2.1.0.22667789; hosts: {hosts}"]
        verdicts = []
        for host in world.hosts:
            before = await work.look("check", host)
            assert not work.done("check", before, before)
            assert await work.act("check", host, before) == before
            verdicts.append(await work.verify("check", host, before))
        assert [verdict.ok for verdict in verdicts] == [False, False, True]
        assert verdicts[0].says.startswith("affected and exposed: the realised mode is ENS")
        assert verdicts[1].says.startswith("unknown, treat as suspect")
        assert verdicts[2].says.startswith("fixed")
        assert verdicts[0].evidence["vsip"] == "1.0.8.0.22667789"
        assert not [request for request in world.server.seen if request.method not in {"GET", "POST"}]
        assert [request.path for request in world.server.sent("POST")] == ["/api/session/create"]
        await work.close()

    play(managers, story)


def test_a_host_is_taken_to_legacy_and_no_other_byte_changes(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.server.automatic = True
        host, node = world.hosts[0], world.nodes[0]
        node.lag = 3
        before, work = node.told, world.standard()
        notes = await work.prepare(world.hosts)
        assert any("far fewer packets a second" in note and "Telco/NFV" in note for note in notes)
        assert any("one at a time" in note for note in notes)
        assert world.proof is not None
        world.proof.still_open = "; its SSH is still open: vCenter is away"  # and the host is fine all the same
        said = await world.step(work, "mode", host)
        assert said == "realised mode LEGACY; its SSH is still open: vCenter is away"
        assert world.vcenter.moves == ["esx-0 in", "esx-0 out"]
        [put] = world.server.sent("PUT")
        wanted = before.replace('"host_switch_mode": "ENS"', '"host_switch_mode": "LEGACY"')
        wanted = wanted.replace(', "cpu_config": [{"numa_node_index": 0, "num_lcores": 4}]', "")
        assert put.body.decode() == wanted
        assert managers.clock.waits.count(10.0) == 3
        assert world.proof.given_back == ["esx-0"]
        await work.close()

    play(managers, story)


def test_a_step_cut_off_anywhere_is_not_done_twice(managers: Managers) -> None:
    async def story(world: World) -> None:
        host, node = world.hosts[0], world.nodes[0]
        first = world.standard()
        before = await first.look("mode", host)
        for cut in ("enter", "put", "realise", "leave"):
            # What a killed process left behind.
            if cut == "enter":
                node.maintenance = True
            elif cut == "put":
                goal = await first.goal()
                nsx = first.estate.nsx
                await nsx.put_node(node.id, goal.text(await nsx.node(node.id)))
            elif cut == "realise":
                await first.estate.nsx.state(node.id)
            else:
                node.maintenance = False
            now = await world.standard().look("mode", host)
            again = world.standard()
            await again.look("mode", host)
            assert again.done("mode", before, now) == (cut == "leave")
        node.maintenance = True
        again = world.standard()
        await again.act("mode", host, before)
        assert world.vcenter.moves == ["esx-0 out"]
        assert len(world.server.sent("PUT")) == 1
        await again.act("mode", host, before)
        assert len(world.server.sent("PUT")) == 1

    play(managers, story)


def test_killed_at_any_moment_and_begun_again_each_host_moves_once(managers: Managers) -> None:
    async def story(world: World) -> None:
        at = 0
        while True:
            at += 1
            node = world.server.add_node(f"esx-cut-{at}", lag=1)
            host, cut = host_of(node), Cut(at)
            revision = json.loads(node.raw)["_revision"]
            first = world.standard()
            before = await first.look("mode", host)
            world.server.heard = world.vcenter.heard = cut.heard
            killed = await cut.run(first.act("mode", host, before))
            world.server.heard, world.vcenter.heard = None, lambda *_: None
            await first.estate.nsx.close()
            second = world.standard()
            if not second.done("mode", before, await second.look("mode", host)):
                await second.act("mode", host, before)
            verdict = await second.verify("mode", host, before)
            assert verdict.ok, (at, verdict.says)
            await second.estate.nsx.close()
            assert json.loads(node.raw)["_revision"] == revision + 1, at
            assert [move for move in world.vcenter.moves if move.startswith(f"{host.name} ")] == [
                f"{host.name} in",
                f"{host.name} out",
            ], at
            if not killed:
                break
        assert at > 20

    play(managers, story)


def test_a_mode_that_is_never_realised_is_a_failure_and_the_host_stays_in_maintenance(managers: Managers) -> None:
    async def story(world: World) -> None:
        host, node = world.hosts[0], world.nodes[0]
        node.stuck = True
        work = world.standard(settle_s=120.0)
        before = await work.look("mode", host)
        with pytest.raises(FleetError, match=r"esx-0 runs ENS, 120 s after LEGACY was asked for \(state in_progress\)"):
            await work.act("mode", host, before)
        assert node.maintenance
        assert work.undo("mode") == "leave"
        with pytest.raises(FleetError, match="stays in maintenance mode: NSX has not finished"):
            await work.act("leave", host, await work.look("leave", host))
        node.stuck = False
        await work.estate.nsx.state(node.id)
        seen = await work.look("leave", host)
        assert not work.done("leave", seen, seen)
        await managers.clock.sleep(60)
        assert (await work.act("leave", host, seen))["maintenance"] == "out"
        assert (await work.verify("leave", host, seen)).ok

    play(managers, story)


def test_standard_is_no_proof_where_the_data_plane_chooses(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.server.automatic = True
        work = world.standard(mode="STANDARD", settle_s=60.0)
        with pytest.raises(FleetError, match="runs ENS_INTERRUPT, 60 s after STANDARD was asked for"):
            await work.act("mode", world.hosts[0], await work.look("mode", world.hosts[0]))

    play(managers, story)


def test_the_host_is_believed_before_nsx(managers: Managers) -> None:
    async def story(world: World) -> None:
        assert world.proof is not None
        world.proof.mute.add("esx-0")
        work = world.standard(settle_s=30.0)
        with pytest.raises(FleetError, match="runs unknown, 30 s after LEGACY"):
            await work.act("mode", world.hosts[0], await work.look("mode", world.hosts[0]))

        class Lies(HostsSay):
            async def ens_driven(self, host: Host) -> bool | None:
                return bool(host.name)

        liar = EnsToStandard(
            world.managers.estate(world.server, world.vcenter, Lies(world.vcenter)), ModeOptions(settle_s=30.0)
        )
        with pytest.raises(FleetError, match="runs ENS, 30 s after LEGACY"):
            await liar.act("mode", world.hosts[1], await liar.look("mode", world.hosts[1]))

    play(managers, story)


@pytest.mark.parametrize(("offered", "mode"), [(OFFERS_LEGACY, "LEGACY"), (("STANDARD", "ENS"), "STANDARD")])
def test_what_is_asked_for_is_what_is_offered(managers: Managers, offered: tuple[str, ...], mode: str) -> None:
    async def story(world: World) -> None:
        world.server.offered = offered
        work = world.standard()
        assert await world.step(work, "mode", world.hosts[0]) == f"realised mode {mode}"
        world.server.serves_spec = False
        with pytest.raises(FleetError, match="does not tell which modes it offers"):
            await world.standard().goal()

    play(managers, story)


def test_somebody_elses_change_is_read_once_and_kept_then_it_is_said(managers: Managers) -> None:
    async def story(world: World) -> None:
        host, node = world.hosts[0], world.nodes[0]

        def touch() -> None:
            document = json.loads(node.raw)
            node.raw = json.dumps({**document, "_revision": document["_revision"] + 1, "touched": True})

        world.server.before_put.append(touch)
        work = world.standard()
        assert await world.step(work, "mode", host) == "realised mode LEGACY"
        assert json.loads(node.raw)["touched"] is True

        def touch_other() -> None:
            document = json.loads(world.nodes[1].raw)
            world.nodes[1].raw = json.dumps({**document, "_revision": document["_revision"] + 1})

        world.server.before_put += [touch_other, touch_other]
        with pytest.raises(FleetError, match="changed by somebody else twice while this run changed it"):
            await work.act("mode", world.hosts[1], await work.look("mode", world.hosts[1]))
        assert world.nodes[1].wanted == {"50 2a 17 c0-1": "ENS"}
        seen = await work.look("leave", world.hosts[1])
        await work.act("leave", world.hosts[1], seen)
        assert not world.nodes[1].maintenance

    play(managers, story)


def test_who_is_in_maintenance_already_is_refused_and_stays_there(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.nodes[1].maintenance = True
        work = world.standard()
        with pytest.raises(FleetError, match="in maintenance mode, or on the way into it or out of it: esx-1"):
            await work.prepare(world.hosts)
        with pytest.raises(FleetError, match="somebody else is at work on it"):
            await work.act("mode", world.hosts[1], await work.look("mode", world.hosts[1]))
        with pytest.raises(FleetError, match="as it was found"):
            await work.act("leave", world.hosts[1], await work.look("leave", world.hosts[1]))
        assert world.vcenter.moves == []
        world.vcenter.moving["esx-2"] = "entering"
        assert await world.step(work, "mode", world.hosts[2]) == "skipped: is entering maintenance mode"

    play(managers, story)


def test_a_host_that_a_killed_controller_sent_into_maintenance_is_waited_for_and_taken_out(managers: Managers) -> None:
    async def story(world: World) -> None:
        host, node = world.hosts[0], world.nodes[0]
        world.vcenter.moving["esx-0"] = "entering"
        work = world.standard(settle_s=30.0)
        seen = await work.look("leave", host)
        assert "skip" not in seen
        with pytest.raises(FleetError, match="is entering maintenance mode, and was 30 s ago"):
            await work.act("leave", host, seen)

        def arrive(*_: object) -> None:
            if managers.clock.now > 1100:
                world.vcenter.moving.pop("esx-0", None)
                node.maintenance = world.vcenter.moves == []

        world.server.heard = arrive
        waiting = world.standard(settle_s=300.0)
        estate_state = world.vcenter.state

        async def state(one: Host) -> str:
            arrive()
            return await estate_state(one)

        world.vcenter.state = state  # type: ignore[assignment, method-assign]
        await waiting.act("leave", host, seen)
        assert world.vcenter.moves == ["esx-0 out"]
        assert not node.maintenance

    play(managers, story)


def test_a_protected_host_needs_a_word(managers: Managers) -> None:
    async def story(world: World) -> None:
        node = world.nodes[0]
        node.raw = node.raw.replace('"display_name"', '"_protection": "REQUIRE_OVERRIDE", "display_name"')
        work = world.standard()
        with pytest.raises(FleetError, match="esx-0 is protected at NSX"):
            await work.act("mode", world.hosts[0], await work.look("mode", world.hosts[0]))
        node.maintenance = False
        assert await world.step(world.standard(overwrite=True), "mode", world.hosts[0]) == "realised mode LEGACY"

    play(managers, story)


def test_the_profile_comes_last_and_only_when_nobody_would_be_surprised(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.standard()
        notes = await work.prepare(world.hosts[:2])
        assert any("also reaches hosts that are not in this run: esx-2" in note for note in notes)
        for host in world.hosts[:2]:
            await world.step(work, "mode", host)
        await managers.clock.sleep(60)
        with pytest.raises(FleetError, match=r"at once, outside maintenance mode: esx-2$"):
            await work.act("profile", world.hosts[0], await work.look("profile", world.hosts[0]))
        assert world.nodes[2].realised == {"50 2a 17 c0-1": "ENS"}
        await world.step(work, "mode", world.hosts[2])
        await managers.clock.sleep(60)
        says = [await world.step(work, "profile", host) for host in world.hosts]
        assert says == ["realised mode LEGACY", "already", "already"]
        assert len(world.server.sent("PUT", "host-transport-node-profiles/tnp-1")) == 1
        profile = world.server.profiles["tnp-1"].raw
        assert '"host_switch_mode": "LEGACY"' in profile
        assert "cpu_config" not in profile
        assert [phase.step for phase in work.phases] == ["mode", "profile"]
        assert [phase.approval for phase in work.phases] == [True, True]

    play(managers, story)


def test_back_to_ens_ends_with_hosts_that_follow_their_profile(managers: Managers) -> None:
    async def story(world: World) -> None:
        for profile in world.server.profiles.values():
            profile.raw = profile.raw.replace('"ignore_overridden_hosts": false', '"ignore_overridden_hosts": true')
        there = world.standard()
        for step in ("mode", "profile"):
            for host in world.hosts:
                await world.step(there, step, host)
            await managers.clock.sleep(60)
        for node in world.nodes:
            node.version = FIXED
        back = world.ens(cpu_config=cpu_config(["0:4"]))
        await managers.clock.sleep(120)
        await back.prepare(world.hosts)
        assert [phase.step for phase in back.phases] == ["mode", "profile", "restore"]
        for step in ("mode", "profile", "restore"):
            says = [await world.step(back, step, host) for host in world.hosts]
            assert set(says) <= {"realised mode ENS", "already"}
            await managers.clock.sleep(60)
        assert {node.ens_driven for node in world.nodes} == {True}
        assert {node.overridden for node in world.nodes} == {False}
        restored = [r for r in world.server.sent("PUT") if r.query.get("action") == "restore_cluster_config"]
        assert len(restored) == 3
        assert '"cpu_config": [{"numa_node_index": 0, "num_lcores": 4}]' in world.server.profiles["tnp-1"].raw

    play(managers, story)


@pytest.mark.parametrize("build", ["4.1.2.1.0.22667789", "4.1.2.2.0.23000000", ""])
def test_no_ens_while_a_host_can_crash(managers: Managers, build: str) -> None:
    async def story(world: World) -> None:
        for node in world.nodes:
            node.version = FIXED
        # Not in the run, but reached by the profile.
        world.nodes[2].version = build
        work = world.ens()
        with pytest.raises(FleetError, match=r"no ENS while a host that would get it can crash: esx-2 \("):
            await work.prepare(world.hosts[:2])
        await world.step(work, "mode", world.hosts[0])
        with pytest.raises(FleetError, match="esx-2"):
            await work.act("profile", world.hosts[0], await work.look("profile", world.hosts[0]))
        with pytest.raises(FleetError, match="esx-2"):
            await work.act("mode", world.hosts[2], await work.look("mode", world.hosts[2]))
        assert not world.nodes[2].maintenance

    play(managers, story, mode="LEGACY")


def test_a_host_does_not_follow_a_profile_that_says_something_else(managers: Managers) -> None:
    async def story(world: World) -> None:
        for node in world.nodes:
            node.version = FIXED
        work = world.ens()
        await world.step(work, "mode", world.hosts[0])
        await managers.clock.sleep(60)
        with pytest.raises(FleetError, match="would change the host outside maintenance mode"):
            await work.act("restore", world.hosts[0], await work.look("restore", world.hosts[0]))

    play(managers, story, mode="LEGACY")


def test_a_storm_of_429_in_the_middle_of_a_change_is_waited_out(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.server.rate = 4
        work = world.standard()
        assert await world.step(work, "mode", world.hosts[0]) == "realised mode LEGACY"
        assert world.server.turned_away > 3
        assert len(world.server.sent("PUT")) == 1

    play(managers, story)


def test_an_unknown_host_and_one_that_is_there_twice_are_said(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.standard()
        with pytest.raises(FleetError, match="has no transport node for esx-9"):
            await work.look("mode", Host("esx-9", "esx-9"))
        world.server.add_node("esx-0")
        with pytest.raises(FleetError, match="has 2 transport nodes for esx-0"):
            await work.look("mode", world.hosts[0])
        labelled = Host("esx-0", "esx-0", labels={"nsx_id": world.nodes[0].id})
        assert (await work.look("mode", labelled))["nsx_id"] == world.nodes[0].id

    play(managers, story)


def test_every_request_is_said_beforehand(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.standard()
        await work.goal()
        said = "\n".join(
            line for step in ("mode", "profile", "restore", "leave") for line in work.commands(step, world.hosts[0])
        )
        for word in (
            "enter maintenance mode",
            "_revision",
            "LEGACY, without cpu_config",
            "restore_cluster_config",
            "esxcfg-nics -e",
        ):
            assert word in said
        read = EnsCheck(work.estate).commands("check", world.hosts[0])
        assert not [line for line in read if line.startswith(("PUT", "POST", "vCenter"))]

    play(managers, story)


def test_a_goal_is_met_by_what_is_known_only() -> None:
    assert not Goal("LEGACY").met({})
    assert not Goal("LEGACY").met({"a": "STANDARD"})
    assert not Goal("STANDARD").met({"a": "unknown"})
    assert Goal("STANDARD").met({"a": "LEGACY", "b": "STANDARD"})
    assert Goal("ENS", switches=("a",)).met({"a": "ENS", "b": "STANDARD"})
    assert unpack("a=b=ENS; c=LEGACY") == {"a=b": "ENS", "c": "LEGACY"}


def test_cpu_config_is_written_as_pairs() -> None:
    assert cpu_config([]) is None
    assert json.loads(cpu_config(["0:4", "1:2"]) or "") == [
        {"numa_node_index": 0, "num_lcores": 4},
        {"numa_node_index": 1, "num_lcores": 2},
    ]
    with pytest.raises(FleetError, match="cpu_config"):
        cpu_config(["four"])
