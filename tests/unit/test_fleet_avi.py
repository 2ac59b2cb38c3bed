"""Multiplexing for one virtual service against the lab's controller; what does not fit is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from managers import Cut, Managers
from tidegate.clients.session import Refused
from tidegate.errors import FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.plans.avi_facts import clone_of, snat_proposal
from tidegate.fleet.plans.avi_multiplexing import EnableMultiplexing
from tidegate.lab.avi_server import AviServer
from tidegate.lab.rest_server import Reply

VS = Host("vs-web", "vs-web")


class World:
    """A controller with a shared profile; the virtual services vs-web, vs-shop and vs-mail use it."""

    def __init__(self, managers: Managers, server: AviServer) -> None:
        self.managers, self.server = managers, server
        self.shared = server.add_profile("System-HTTP", description="as it came", x_factor=1.5)
        self.web = server.add_service("vs-web", self.shared, clients=400)
        for name in ("vs-shop", "vs-mail"):
            server.add_service(name, self.shared, clients=10)

    def work(self, clone: str = "") -> EnableMultiplexing:
        return EnableMultiplexing(self.managers.avi_client(self.server), clone)

    def profile_of(self, service: str) -> str:
        return str(self.server.services[service].document["application_profile_ref"])


@pytest.fixture
def managers(tmp_path: Path) -> Managers:
    return Managers(tmp_path)


def play(managers: Managers, story: Callable[[World], Awaitable[None]]) -> None:
    """Tell a story in a world of its own."""

    async def inner() -> None:
        async with managers.avi() as server:
            try:
                await story(World(managers, server))
            finally:
                server.faults.clear()
                await managers.close()

    asyncio.run(inner())


def test_one_virtual_service_multiplexes_and_the_others_keep_what_they_have(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.work()
        notes = await work.prepare([VS])
        assert (
            "used by 3: vs-mail, vs-shop, vs-web; it is cloned as System-HTTP-mux-vs-web, and only vs-web" in notes[0]
        )
        assert notes[1] == "open connections to its servers now: 400; they fall only as clients leave"
        before = await work.look("attach", VS)
        assert not work.done("attach", before, before)
        await work.act("attach", VS, before)
        verdict = await work.verify("attach", VS, before)
        assert verdict.ok
        assert "open connections 400 → 400" in verdict.says
        world.server.leave(world.web, 300)
        assert "open connections 400 → 106" in (await work.verify("attach", VS, before)).says
        others = [uuid for uuid in world.server.services if uuid != world.web]
        assert all(world.shared in world.profile_of(uuid) for uuid in others)
        original, clone = world.server.profiles.values()
        assert original["http_profile"]["connection_multiplexing_enabled"] is False
        assert clone["http_profile"] == {**original["http_profile"], "connection_multiplexing_enabled": True}
        assert clone["x_factor"] == 1.5

    play(managers, story)


def test_what_was_cut_off_is_not_doubled(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.work()
        before = await work.look("attach", VS)
        # Killed between the clone and the change.
        await work.avi.create_profile(clone_of(world.server.profiles[world.shared], "System-HTTP-mux-vs-web"))
        again = world.work()
        assert not again.done("attach", before, await again.look("attach", VS))
        await again.act("attach", VS, before)
        assert len(world.server.profiles) == 2
        assert len(world.server.sent("PUT")) == 1
        assert again.done("attach", before, await again.look("attach", VS))
        await again.act("attach", VS, before)
        assert len(world.server.profiles) == 2
        assert len(world.server.sent("PUT")) == 1

    play(managers, story)


def test_killed_at_any_moment_and_begun_again_there_is_one_clone_and_one_change(managers: Managers) -> None:
    async def story(world: World) -> None:
        at = 0
        while True:
            at += 1
            uuid = world.server.add_service(f"vs-cut-{at}", world.shared, clients=5)
            host, cut = Host(f"vs-cut-{at}", "x"), Cut(at)
            profiles, puts = len(world.server.profiles), len(world.server.sent("PUT"))
            first = world.work()
            before = await first.look("attach", host)
            world.server.heard = cut.heard
            killed = await cut.run(first.act("attach", host, before))
            world.server.heard = None
            await first.close()
            second = world.work()
            if not second.done("attach", before, await second.look("attach", host)):
                await second.act("attach", host, before)
            assert (await second.verify("attach", host, before)).ok
            await second.close()
            assert len(world.server.profiles) == profiles + 1, at
            assert len(world.server.sent("PUT")) == puts + 1, at
            assert world.shared not in world.profile_of(uuid)
            if not killed:
                break
        assert at > 10

    play(managers, story)


def test_a_clone_whose_answer_was_lost_is_found_again(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.work()
        before = await work.look("attach", VS)
        world.server.add_profile(
            "System-HTTP-mux-vs-web",
            description="as it came",
            x_factor=1.5,
            http_profile={"connection_multiplexing_enabled": True},
        )
        await work.act("attach", VS, before)
        assert not world.server.sent("POST", "/api/applicationprofile")
        assert (await work.look("attach", VS))["multiplexing"] is True

    play(managers, story)


def test_another_profile_of_that_name_is_not_taken(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.server.add_profile("mine", http_profile={"connection_multiplexing_enabled": True, "hsts_enabled": True})
        work = world.work("mine")
        with pytest.raises(FleetError, match="is a profile mine already, and it is not a multiplexing clone"):
            await work.act("attach", VS, await work.look("attach", VS))

    play(managers, story)


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("L4", {}, "has the L4 profile p: only HTTP can be multiplexed"),
        ("HTTP", {"preserve_client_ip": True}, "preserves the clients' addresses"),
        ("HTTP", {"http_profile": {"detect_ntlm_app": True}}, "looks for NTLM"),
    ],
)
def test_what_cannot_multiplex_is_refused_with_another_way(
    managers: Managers, kind: str, more: dict[str, object], says: str
) -> None:
    async def story(world: World) -> None:
        profile = world.server.add_profile("p", kind, **more)
        world.server.add_service("vs-odd", profile, clients=70_000, snat_ip=[{"addr": "10.90.1.1", "type": "V4"}])
        work, odd = world.work(), Host("vs-odd", "vs-odd")
        with pytest.raises(FleetError, match=says) as caught:
            await work.prepare([odd])
        assert "snat_ip has 1, and 70000 open connections to one server want 2" in caught.value.hint
        with pytest.raises(FleetError, match=says):
            await work.act("attach", odd, await work.look("attach", odd))
        assert not world.server.sent("PUT")
        assert not world.server.sent("POST", "/api/applicationprofile")

    play(managers, story)


def test_source_addresses_are_reckoned_by_ports() -> None:
    assert "want 4 " in snat_proposal({"snat_ip": [{}]}, 180_000)
    assert "want 2 " in snat_proposal({"snat_ip": [{}]}, 10)
    assert "45,000" in snat_proposal({}, None)


def test_somebody_elses_change_is_read_once_then_it_is_said(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.work()
        before = await work.look("attach", VS)
        touch = lambda: world.server.touch(world.web)  # noqa: E731 (it is put into a list twice)
        world.server.before_put += [touch, touch]
        with pytest.raises(FleetError, match="changed by somebody else twice while this run changed it"):
            await work.act("attach", VS, before)
        world.server.before_put.append(touch)
        await work.act("attach", VS, before)
        assert (await work.look("attach", VS))["multiplexing"] is True
        assert len(world.server.profiles) == 2

    play(managers, story)


def test_another_profile_than_was_looked_at_ends_it(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.work()
        before = await work.look("attach", VS)
        other = world.server.add_profile("Other")
        service = world.server.services[world.web].document
        service["application_profile_ref"] = f"https://controller/api/applicationprofile/{other}"
        with pytest.raises(FleetError, match="has another profile now"):
            await work.act("attach", VS, before)

    play(managers, story)


def test_one_that_multiplexes_already_is_left_alone(managers: Managers) -> None:
    async def story(world: World) -> None:
        profile = world.server.add_profile("fast", http_profile={"connection_multiplexing_enabled": True})
        world.server.add_service("vs-fast", profile)
        work, fast = world.work(), Host("vs-fast", "vs-fast")
        assert "multiplexes already" in (await work.prepare([fast]))[0]
        seen = await work.look("attach", fast)
        assert work.done("attach", seen, seen)

    play(managers, story)


def test_one_virtual_service_is_one(managers: Managers) -> None:
    async def story(world: World) -> None:
        work = world.work()
        with pytest.raises(FleetError, match="changes one virtual service, and the targets name 2"):
            await work.prepare([VS, Host("vs-shop", "vs-shop")])
        with pytest.raises(FleetError, match="has no virtual service called vs-none"):
            await work.prepare([Host("vs-none", "vs-none")])
        labelled = Host("w", "w", labels={"virtual_service": world.web})
        assert (await work.look("attach", labelled))["service"] == world.web

    play(managers, story)


def test_busy_and_forgetful_is_waited_out(managers: Managers) -> None:
    async def story(world: World) -> None:
        world.server.rate = 3
        work = world.work()
        before = await work.look("attach", VS)
        world.server.sessions.clear()
        await work.act("attach", VS, before)
        assert world.server.turned_away > 0
        assert (await work.verify("attach", VS, before)).ok
        assert len(world.server.profiles) == 2
        world.server.faults.append(Reply(500, {"error": "boom"}))
        with pytest.raises(Refused, match=r"500 to GET .*: boom"):
            await work.look("attach", VS)

    play(managers, story)
