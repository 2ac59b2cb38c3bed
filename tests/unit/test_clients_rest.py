"""The clients of NSX and Avi against the lab's servers: logins, busy servers, conflicts, pages; sockets and TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fakes import Authority
from managers import Managers
from tidegate.clients.avi import ref_uuid
from tidegate.clients.http import Request
from tidegate.clients.nsx import Document, Nsx
from tidegate.clients.session import Refused
from tidegate.errors import FleetError, HostUnreachable
from tidegate.lab.rest_server import Reply


@pytest.fixture
def managers(tmp_path: Path) -> Managers:
    return Managers(tmp_path)


def test_one_login_for_many_calls_and_one_more_when_it_is_forgotten(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            server.add_node("esx-1")
            nsx = managers.nsx_client(server)
            await asyncio.gather(*(nsx.version() for _ in range(20)))
            assert server.logins == 1
            server.sessions.clear()
            await asyncio.gather(*(nsx.version() for _ in range(20)))
            assert server.logins == 2
            await nsx.close()
            assert server.sessions == {}

    asyncio.run(play())


def test_a_wrong_password_is_said_without_it(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nsx = managers.nsx_client(server, lambda: "hunter2-secret")
            with pytest.raises(Refused, match=r"NSX Manager nsx\.example refuses the login") as caught:
                await nsx.version()
            assert "hunter2" not in f"{caught.value} {caught.value.hint}"
            await nsx.close()
            avi_server = managers.avi()
            async with avi_server:
                avi = managers.avi_client(avi_server)
                avi_server.user = "somebody else"
                with pytest.raises(Refused, match="refuses the login"):
                    await avi.services()
                await avi.close()

    asyncio.run(play())


def test_a_storm_of_429_is_waited_out(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nsx = managers.nsx_client(server)
            await nsx.version()
            server.faults.extend(Reply(429, None, {"Retry-After": "7"}) for _ in range(5))
            assert await nsx.version() == server.version
            assert managers.clock.waits[-5:] == [7, 7, 7, 7, 7]
            await nsx.close()

    asyncio.run(play())


def test_a_server_that_says_not_now_for_ever_is_given_up(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nsx = managers.nsx_client(server)
            await nsx.version()
            server.faults.extend(Reply(503) for _ in range(100))
            with pytest.raises(HostUnreachable, match="answers 503"):
                await nsx.version()
            assert len(server.faults) == 92
            server.faults.clear()
            server.faults.append(Reply(429, None, {"Retry-After": "86400"}))
            with pytest.raises(HostUnreachable, match="answers 429"):
                await nsx.version()
            await nsx.close()

    asyncio.run(play())


def test_no_more_than_forty_at_once_and_eighty_a_second(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nsx = managers.nsx_client(server)
            await nsx.version()
            began = managers.clock.now
            server.gate.clear()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(nsx.version()) for _ in range(200)]
                for _ in range(5000):
                    await asyncio.sleep(0)
                server.gate.set()
            assert {task.result() for task in tasks} == {server.version}
            assert server.most_in_flight == 40
            assert managers.clock.now - began >= 2.4
            await nsx.close()

    asyncio.run(play())


def test_the_lab_turns_away_who_is_too_fast(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            server.rate = 3
            nsx = managers.nsx_client(server)
            for _ in range(10):
                assert await nsx.version() == server.version
            assert server.turned_away > 0
            await nsx.close()

    asyncio.run(play())


def test_a_certificate_of_somebody_else_is_refused(managers: Managers, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority(other)

    async def play() -> None:
        async with managers.nsx() as server:
            options = managers.options(server.port, "NSX Manager nsx.example", stranger.ca)
            nsx = Nsx.at(options, server.user, lambda: server.password, pace=managers.pace)
            with pytest.raises(HostUnreachable, match="certificate verify failed"):
                await nsx.version()
            assert server.logins == 0
            await nsx.close()

    asyncio.run(play())


def test_lists_come_in_pages_and_modes_from_zones(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nodes = [server.add_node(f"esx-{number}", "ENS" if number % 2 else "LEGACY") for number in range(8)]
            nsx = managers.nsx_client(server)
            assert [node["display_name"] for node in await nsx.nodes()] == [node.name for node in nodes]
            assert set(await nsx.builds()) == set(server.nodes)
            assert {member.name: set(member.modes.values()) for member in (await nsx.members()).values()} == {
                node.name: set(node.realised.values()) for node in nodes
            }
            assert (await nsx.modules(nodes[0].id))["nsxt-vsip"] == "1.0.8.0.22667789"
            await nsx.close()

    asyncio.run(play())


def test_what_is_offered_comes_from_the_managers_own_document(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nsx = managers.nsx_client(server)
            server.offered = ("STANDARD", "ENS", "ENS_INTERRUPT", "LEGACY")
            assert await nsx.offered_modes() == frozenset(server.offered)
            server.serves_spec = False
            assert await nsx.offered_modes() == frozenset()
            await nsx.close()

    asyncio.run(play())


@pytest.mark.parametrize("status", [409, 412])
def test_a_stale_revision_and_a_protected_object_are_refused(managers: Managers, status: int) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            server.conflict = status
            node = server.add_node("esx-1")
            nsx = managers.nsx_client(server)
            read = await nsx.node(node.id)
            written = await nsx.put_node(node.id, read.text)
            assert written.revision == read.revision + 1
            with pytest.raises(Refused, match="modified by somebody else") as caught:
                await nsx.put_node(node.id, read.text)
            assert caught.value.conflict
            node.raw = node.raw.replace('"display_name"', '"_protection": "REQUIRE_OVERRIDE", "display_name"')
            again = await nsx.node(node.id)
            with pytest.raises(Refused, match="protected") as refused:
                await nsx.put_node(node.id, again.text)
            assert not refused.value.conflict
            await nsx.put_node(node.id, again.text, overwrite=True)
            await nsx.close()

    asyncio.run(play())


def test_an_answer_that_is_no_object_is_refused() -> None:
    with pytest.raises(FleetError, match="no object"):
        Document.read(b"[1]", "NSX")
    with pytest.raises(FleetError, match="no object"):
        Document.read(b"<html>", "NSX")


def test_avi_wants_token_version_and_the_last_modified(managers: Managers) -> None:
    async def play() -> None:
        async with managers.avi() as server:
            profile = server.add_profile("System-HTTP")
            uuids = [server.add_service(f"vs-{number}", profile, clients=10) for number in range(5)]
            avi = managers.avi_client(server)
            assert len(await avi.services()) == 5
            service = await avi.service(uuids[0])
            assert ref_uuid(service["application_profile_ref"]) == profile
            await avi.put_service(uuids[0], service)
            with pytest.raises(Refused, match="Concurrent Update") as caught:
                await avi.put_service(uuids[0], service)
            assert caught.value.conflict
            sent = server.sent("PUT")[-1].headers
            assert sent["x-csrftoken"] in {session.token for session in server.sessions.values()}
            assert sent["x-avi-version"] == server.version
            assert sent["referer"].startswith("https://127.0.0.1:")
            avi.session.http.headers.pop("X-CSRFToken")
            with pytest.raises(Refused, match="CSRF"):
                await avi.create_profile({"name": "x"})
            await avi.close()

    asyncio.run(play())


def test_a_creation_is_never_sent_twice_when_it_may_have_happened(managers: Managers) -> None:
    async def play() -> None:
        async with managers.avi() as server:
            avi = managers.avi_client(server)
            await avi.services()
            server.faults.append(Reply(429, None, {"Retry-After": "1"}))
            assert (await avi.create_profile({"name": "one", "type": "APPLICATION_PROFILE_TYPE_L4"}))["name"] == "one"
            server.faults.append(Reply(503))
            with pytest.raises(Refused):
                await avi.create_profile({"name": "two", "type": "APPLICATION_PROFILE_TYPE_L4"})
            assert [profile["name"] for profile in server.profiles.values()] == ["one"]
            await avi.close()

    asyncio.run(play())


def test_a_path_that_is_not_there_is_said(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            nsx = managers.nsx_client(server)
            with pytest.raises(Refused, match="answers 404 to GET /nowhere: No handler found"):
                await nsx.session.call(Request("GET", "/nowhere"))
            await nsx.close()

    asyncio.run(play())


def test_a_call_that_is_shown_shows_no_secret() -> None:
    request = Request("POST", "/login", body={"password": "hush"}, content=b"hush", basic=("me", "hush"))
    assert "hush" not in f"{request!r} {request}"
