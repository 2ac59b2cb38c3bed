"""Plans for NSX and Avi from their files: what they want, what they refuse, and how they reach vCenter and hosts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.clients.ssh import Ran
from tidegate.clients.vcenter import HostState
from tidegate.errors import FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.model import Plan
from tidegate.fleet.plans import WORKS, work_for
from tidegate.fleet.plans.avi_multiplexing import EnableMultiplexing
from tidegate.fleet.plans.manager import Options
from tidegate.fleet.plans.nsx_ens import StandardToEns
from tidegate.fleet.plans.nsx_mode import ModeWork
from tidegate.fleet.plans.nsx_reach import HostProof, VcenterMaintenance

NSX = {"address": "nsx.example", "user": "admin"}
VCENTER = {"address": "vc.example", "user": "admin"}
MINE = [name for name in WORKS if name.startswith(("nsx-", "avi-"))]


def plan(name: str, **tables: Any) -> Plan:
    """Return a plan."""
    return Plan.model_validate({"run": {"plan": name}, "targets": {"inventory": Path("hosts.toml")}, **tables})


def test_every_plan_is_made_without_a_connection_or_a_password() -> None:
    tables = {"nsx": NSX, "vcenter": VCENTER, "avi": {"address": "avi.example", "user": "admin"}}
    for name in MINE:
        options = {"mode": "ENS_INTERRUPT"} if name == "nsx-standard-to-ens" else {}
        work = work_for(plan(name, **tables, options=options))
        assert work.name == name
        assert work.phases
        for phase in work.phases:
            assert work.commands(phase.step, Host("esx-1", "esx-1"))
            assert work.undo(phase.step) in {None, "leave"}
        asyncio.run(work.close())


@pytest.mark.parametrize(
    ("name", "tables", "says"),
    [
        ("nsx-ens-check", {}, "no NSX Manager is named"),
        ("nsx-ens-to-standard", {"nsx": NSX}, "no vCenter is named"),
        ("nsx-standard-to-ens", {"nsx": NSX, "vcenter": VCENTER}, "which ENS mode did these hosts have"),
        ("avi-enable-multiplexing", {}, "no Avi Controller is named"),
        ("nsx-ens-check", {"nsx": NSX, "options": {"host_chek": True}}, "has no option host_chek"),
        ("nsx-ens-check", {"nsx": NSX, "options": {"host_check": "yes"}}, "is 'yes', not true or false"),
        ("nsx-ens-to-standard", {"nsx": NSX, "options": {"mode": "ENS"}}, 'mode is "ENS"'),
        ("nsx-ens-to-standard", {"nsx": NSX, "options": {"settle": "soon"}}, "settle"),
        (
            "nsx-ens-to-standard",
            {"nsx": NSX, "options": {"profile": False, "follow_profile": True}},
            "follow_profile needs profile",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said(name: str, tables: dict[str, Any], says: str) -> None:
    with pytest.raises(FleetError, match=says):
        work_for(plan(name, **tables))


def test_a_password_that_nobody_gave_is_missed_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_NSX_PASSWORD", raising=False)

    async def play() -> None:
        work = work_for(plan("nsx-ens-check", nsx=NSX))
        with pytest.raises(FleetError, match=r"\$TIDEGATE_NSX_PASSWORD is not set"):
            await work.look("check", Host("esx-1", "esx-1", labels={"nsx_id": "a"}))
        await work.close()

    asyncio.run(play())


def test_options_reach_the_work() -> None:
    options = {"mode": "ENS", "cpu_config": ["0:4"], "switches": ["50 2a"], "settle": "5m", "host_check": False}
    work = work_for(plan("nsx-standard-to-ens", nsx=NSX, vcenter=VCENTER, options=options))
    assert isinstance(work, StandardToEns)
    assert isinstance(work, ModeWork)
    assert work.options.settle_s == 300
    assert work.options.cpu_config == '[{"numa_node_index": 0, "num_lcores": 4}]'
    assert work.options.switches == ("50 2a",)
    assert work.estate.proof is None
    avi = work_for(plan("avi-enable-multiplexing", avi=NSX, options={"clone": "c", "version": "21.1.1"}))
    assert isinstance(avi, EnableMultiplexing)
    assert Options(plan("nsx-ens-check")).seconds("settle", "1m") == 60


class Manager:
    """A vCenter that says what it was told."""

    def __init__(self) -> None:
        self.states = {"host-10": HostState(True, False), "host-11": HostState(True, True)}
        self.asked: list[str] = []

    async def hosts(self) -> list[Any]:
        self.asked.append("hosts")
        return [SimpleNamespace(name="ESX-1", moid="host-10"), SimpleNamespace(name="esx-2", moid="host-11")]

    async def host_state(self, moid: str) -> HostState:
        return self.states[moid]

    async def enter_maintenance(self, moid: str, timeout_s: int) -> None:
        self.asked.append(f"enter {moid} {timeout_s}")

    async def exit_maintenance(self, moid: str, timeout_s: int) -> None:
        self.asked.append(f"exit {moid} {timeout_s}")

    async def close(self) -> None:
        self.asked.append("close")


def test_maintenance_mode_is_vcenters() -> None:
    async def play() -> None:
        manager = Manager()
        maintenance = VcenterMaintenance(manager, 60)
        one, two = Host("esx-1", "10.0.0.1"), Host("two", "two", labels={"moid": "host-11"})
        assert await maintenance.state(one) == "out"
        assert await maintenance.state(two) == "in"
        manager.states["host-10"] = HostState(True, False, moving="enters maintenance mode")
        assert await maintenance.state(one) == "entering"
        manager.states["host-10"] = HostState(True, True, moving="leaves maintenance mode")
        assert await maintenance.state(one) == "leaving"
        manager.states["host-10"] = HostState(False, False)
        with pytest.raises(FleetError, match="esx-1 is not connected to vCenter"):
            await maintenance.state(one)
        await maintenance.enter(one)
        await maintenance.leave(two)
        with pytest.raises(FleetError, match="vCenter has no host esx-9"):
            await maintenance.enter(Host("esx-9", "esx-9"))
        await maintenance.close()
        assert manager.asked == ["hosts", "enter host-10 60", "exit host-11 60", "close"]

    asyncio.run(play())


def test_the_host_is_asked_by_ssh_and_given_back() -> None:
    class Access:
        def __init__(self) -> None:
            self.ran = Ran(0, "Name    Driver   ENS Capable   ENS Driven\nvmnic0  ixgben   True          True\n", "")
            self.said: list[str] = []

        async def run(self, host: Host, command: str) -> Ran:
            self.said.append(f"{host.name}# {command}")
            return self.ran

        def opened(self, host: Host) -> bool:
            return host.name == "esx-1"

        def adopt(self, host: Host, evidence: Any) -> None:
            self.said.append(f"adopt {host.name} {dict(evidence)}")

        def recall(self, host: Host, evidence: Any) -> None:
            self.said.append(f"recall {host.name} {dict(evidence)}")

        async def give_back(self, host: Host) -> None:
            self.said.append(f"back {host.name}")

        async def close(self) -> None:
            self.said.append("close")

    async def play() -> None:
        access = Access()
        proof, host = HostProof(access), Host("esx-1", "esx-1")  # type: ignore[arg-type]
        assert await proof.ens_driven(host) is True
        access.ran = Ran(1, access.ran.out, "no such command")
        assert await proof.ens_driven(host) is None
        assert proof.note(host) == {"ssh_opened": True}
        assert proof.note(Host("esx-2", "esx-2")) == {"ssh_opened": False}
        proof.adopt(host, {"ssh_opened": True})
        proof.recall(host, {"ssh_opened": False})
        await proof.give_back(host)
        await proof.close()
        assert access.said == [
            "esx-1# esxcfg-nics -e",
            "esx-1# esxcfg-nics -e",
            "adopt esx-1 {'ssh_opened': True}",
            "recall esx-1 {'ssh_opened': False}",
            "back esx-1",
            "close",
        ]

    asyncio.run(play())
