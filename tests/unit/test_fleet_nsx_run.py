"""The plan of KB 433412 as a whole run: journal, approvals, a host that fails, a controller that is killed anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from managers import Cut, HostsSay, Managers, Vcenter, host_of
from tidegate.fleet import events as e
from tidegate.fleet.plans.nsx_mode import ModeOptions
from tidegate.fleet.plans.nsx_standard import EnsToStandard
from tidegate.fleet.runner import Pace, Runner, Tools, plan_run
from tidegate.lab.nsx_server import NsxServer

POLICY = e.Policy(size=1, most=1, pause_s=0, patience_s=10)


@dataclass
class Memory:
    """A journal in this process."""

    rows: list[e.Event] = field(default_factory=list)

    def append(self, run: str, event: e.Event) -> int:
        del run
        self.rows.append(e.decode(e.encode(event)))
        return len(self.rows)

    def events(self, run: str, after: int = 0) -> list[tuple[int, e.Event]]:
        del run
        return list(enumerate(self.rows, start=1))[after:]


async def inline(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class Stage:
    """Three hosts in cluster-a, and a run over them."""

    def __init__(self, managers: Managers, server: NsxServer) -> None:
        self.managers, self.server, self.journal = managers, server, Memory()
        server.offered = ("STANDARD", "ENS", "ENS_INTERRUPT", "LEGACY")
        self.nodes = [server.add_node(f"esx-{number}", lag=1) for number in range(3)]
        server.add_profile("tnp-1", ["cluster-a"])
        self.vcenter = Vcenter(server)

    def work(self) -> EnsToStandard:
        estate = self.managers.estate(self.server, self.vcenter, HostsSay(self.vcenter))
        return EnsToStandard(estate, ModeOptions(settle_s=60.0))

    async def plan(self) -> None:
        work, clock = self.work(), self.managers.clock
        planned = await plan_run(work, [host_of(node) for node in self.nodes], POLICY, at=clock.now)
        self.journal.rows.append(planned)
        assert work.estate.proof is not None
        await work.estate.proof.close()

    async def drive(self, cut: Cut | None = None) -> str:
        """Drive until the run ends, as one controller; approve what waits."""
        tools = Tools(clock=self.managers.clock.time, call=inline, by="test", pace=Pace(tick_s=0.01))
        while True:
            runner = Runner(self.journal, "r1", self.work(), tools)  # type: ignore[arg-type]
            if cut is None:
                why = await runner.drive()
            else:
                self.server.heard = self.vcenter.heard = cut.heard
                killed = await cut.run(runner.drive())
                self.server.heard, self.vcenter.heard = None, lambda *_: None
                if killed:
                    return "killed"
                why = runner.run.ended or "waiting-approval"
            if why != "waiting-approval":
                return why
            approved = [row.phase for row in self.journal.rows if isinstance(row, e.Approved)]
            self.journal.append("r1", e.Approved(at=self.managers.clock.now, phase=len(approved), by="me"))


@pytest.fixture
def managers(tmp_path: Path) -> Managers:
    return Managers(tmp_path)


def test_a_host_that_never_gets_there_fails_alone_and_the_profile_stays(managers: Managers) -> None:
    async def play() -> None:
        async with managers.nsx() as server:
            stage = Stage(managers, server)
            stage.nodes[0].stuck = True
            profile = server.profiles["tnp-1"].raw
            await stage.plan()
            assert await stage.drive() == "failed"
            why = [row.why for row in stage.journal.rows if isinstance(row, e.Failed)]
            assert why[0].startswith("esx-0 runs ENS, 60 s after LEGACY was asked for")
            assert any("esx-0 stays in maintenance mode: NSX has not finished" in one for one in why)
            assert any("outside maintenance mode: esx-0" in one for one in why)
            assert stage.vcenter.moves == ["esx-0 in", "esx-1 in", "esx-1 out", "esx-2 in", "esx-2 out"]
            assert stage.nodes[1].wanted == stage.nodes[1].realised == {"50 2a 17 c0-1": "LEGACY"}
            assert server.profiles["tnp-1"].raw == profile
            await managers.close()

    asyncio.run(play())


def test_ssh_stays_open_on_no_host_that_a_dead_controller_gave_up(managers: Managers) -> None:
    """It dies right before it would write that the run has ended, and close what it has opened."""

    async def play() -> None:
        async with managers.nsx() as server:
            stage = Stage(managers, server)
            stage.nodes[0].stuck = True
            await stage.plan()
            stage.vcenter.killed = True
            assert await stage.drive() == "failed"
            assert "esx-0" in stage.vcenter.ssh_open
            assert isinstance(stage.journal.rows.pop(), e.Ended)
            stage.vcenter.killed = False
            assert await stage.drive() == "failed"
            assert stage.vcenter.ssh_open == set()
            await managers.close()

    asyncio.run(play())


def test_killed_anywhere_another_controller_goes_on_and_nobody_moves_twice(managers: Managers) -> None:
    async def play(at: int) -> bool:
        async with managers.nsx() as server:
            stage = Stage(managers, server)
            await stage.plan()
            killed = await stage.drive(Cut(at)) == "killed"
            assert await stage.drive() == "finished", at
            assert stage.vcenter.ssh_open == set(), at
            assert sorted(stage.vcenter.moves) == [f"esx-{n} {way}" for n in range(3) for way in ("in", "out")], at
            puts = [json.loads(request.body)["id"] for request in server.sent("PUT")]
            assert len(puts) == len(set(puts)), (at, puts)
            assert {mode for node in stage.nodes for mode in node.realised.values()} == {"LEGACY"}
            assert '"LEGACY"' in server.profiles["tnp-1"].raw
            await managers.close()
            managers.clients.clear()
            return killed

    # Every seventh moment: each is a run of its own.
    killed = [asyncio.run(play(at)) for at in range(1, 220, 7)]
    assert sum(killed) > 10
