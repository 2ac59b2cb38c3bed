"""Managers of the lab are asked as a watch does it: over TLS, from a table of its file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from managers import Managers
from probing import rules_for, tries
from tidegate.lab.avi_server import AviServer
from tidegate.lab.f5_server import F5Server
from tidegate.lab.nsx_server import NsxServer
from tidegate.lab.rest_server import Reply, RestServer
from tidegate.watch.live.model import Batch
from tidegate.watch.live.probe_config import ProbeTable
from tidegate.watch.live.probe_kinds import probe_for
from tidegate.watch.live.probe_source import Probe
from tidegate.watch.rule import RuleSet

TABLE: TypeAdapter[ProbeTable] = TypeAdapter(ProbeTable)
SHARE = rules_for("ports.share", 0.9)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Managers:
    for server in (AviServer(None), F5Server(None), NsxServer(None)):
        name = type(server).__name__.removesuffix("Server").upper()
        monkeypatch.setenv(f"TIDEGATE_{name}_PASSWORD", server.password)
    return Managers(tmp_path)


def probe(made: Managers, kind: str, server: AviServer | F5Server | NsxServer, **more: Any) -> Probe:
    reach = {"address": "127.0.0.1", "port": server.port, "user": server.user, "ca": made.authority.ca}
    return probe_for(TABLE.validate_python({"kind": kind, **reach, **more}))


def play(server: RestServer, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with server:
            await story()

    asyncio.run(whole())


async def once(asked: Probe, rules: RuleSet = SHARE) -> Batch:
    (batch,) = await tries(asked, rules, 1)
    return batch


def test_an_avi_controller_tells_every_pools_servers(made: Managers) -> None:
    server = made.avi()
    for number in range(3):
        server.add_pool(
            f"pool-{number}", [(f"10.0.{number}.1", 443, "se-1", 60_000), (f"10.0.{number}.2", 443, "se-1", 5)]
        )

    async def story() -> None:
        batch = await once(probe(made, "avi", server))
        assert [hit.values["scope"] for hit in batch.hits] == [f"lab: se-1 → 10.0.{n}.1:443" for n in range(3)]
        assert {request.method for request in server.seen if request.path.startswith("/api")} == {"GET"}
        assert not server.sent("GET", "/api/virtualservice")
        assert not server.sessions
        assert not (await once(probe(made, "avi", server, sources=2))).hits

    play(server, story)


def test_virtual_services_are_asked_for_where_a_rule_wants_them(made: Managers) -> None:
    server = made.avi()
    server.add_service("vs-web", server.add_profile("http"), clients=400)

    async def story() -> None:
        (hit,) = (await once(probe(made, "avi", server), rules_for("service.open_connections", 400))).hits
        assert hit.values["scope"] == "lab: vs-web"

    play(server, story)


def test_one_login_serves_many_tries(made: Managers) -> None:
    server = made.nsx()
    server.add_node("esx-1", "ENS")
    server.add_node("esx-2", "STANDARD")

    async def story() -> None:
        batches = await tries(probe(made, "nsx", server), rules_for("nsx.ens_switches", 1), 3)
        assert [[hit.values["scope"] for hit in batch.hits] for batch in batches] == [["lab: esx-1"]] * 3
        assert server.logins == 1
        assert not server.sessions

    play(server, story)


def test_a_manager_that_is_busy_is_asked_once_and_is_a_gap(made: Managers) -> None:
    server = made.nsx()
    server.faults.extend([Reply(429, None, {"Retry-After": "1"})] * 2)

    async def story() -> None:
        batches = await tries(probe(made, "nsx", server), rules_for("nsx.ens_switches", 1), 3)
        assert [len(batch.gaps) for batch in batches] == [1, 1, 0]
        assert "it answers 429" in batches[0].gaps[0].detail

    play(server, story)


def test_a_wrong_password_is_a_gap_that_does_not_show_it(made: Managers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_F5_PASSWORD", "wrong-password-7")
    server = F5Server(made.tls)

    async def story() -> None:
        (gap,) = (await once(probe(made, "f5", server))).gaps
        assert "refuses the login" in gap.detail
        assert "wrong-password-7" not in gap.detail

    play(server, story)


def test_no_password_at_all_is_a_gap_that_says_where_it_is_looked_for(
    made: Managers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_F5_PASSWORD")
    server = F5Server(made.tls)

    async def story() -> None:
        assert "$TIDEGATE_F5_PASSWORD is not set" in (await once(probe(made, "f5", server))).gaps[0].detail

    play(server, story)


def test_an_f5_tells_its_members_and_gets_its_token_back(made: Managers) -> None:
    server = F5Server(made.tls)
    server.pools = {
        "/Common/web": [("10.0.1.1", 443, 60_000), ("10.0.1.2", 443, 3)],
        "/Shop/web": [("10.0.1.2", 443, 4)],
    }
    server.virtual_servers = {"/Common/vs": 70_000}

    async def story() -> None:
        (hit,) = (await once(probe(made, "f5", server))).hits
        assert hit.values["scope"] == "lab: f5 → 10.0.1.1:443"
        held = await once(probe(made, "f5", server), rules_for("ports.connections", 5))
        assert [(one.values["scope"], one.values["value"]) for one in held.hits] == [
            ("lab: f5 → 10.0.1.1:443", "60000"),
            ("lab: f5 → 10.0.1.2:443", "7"),
        ]
        (service,) = (await once(probe(made, "f5", server), rules_for("service.open_connections", 5))).hits
        assert service.values["scope"] == "lab: /Common/vs"
        assert not server.tokens
        assert {request.method for request in server.seen if "/tm/" in request.path} == {"GET"}

    play(server, story)


def test_a_token_that_was_forgotten_is_asked_for_again(made: Managers) -> None:
    server = F5Server(made.tls)
    server.pools = {"/Common/web": [("10.0.1.1", 443, 60_000)]}

    async def story() -> None:
        def forget(_: object, when: str) -> None:
            if when == "before" and len(server.sent("GET")) == 1:
                server.tokens.clear()

        server.heard = forget
        batches = await tries(probe(made, "f5", server), SHARE, 2)
        assert [len(batch.hits) for batch in batches] == [1, 1]
        assert len(server.sent("POST", "/login")) == 2

    play(server, story)


def test_what_is_no_manager_is_a_gap(made: Managers) -> None:
    server = F5Server(made.tls)
    server.faults.append(Reply(200, b"<html>login</html>"))

    async def story() -> None:
        assert "not JSON" in (await once(probe(made, "f5", server))).gaps[0].detail

    play(server, story)
