"""What managers say, as values: pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.clients.f5 import flat_stats
from tidegate.clients.nsx import Member
from tidegate.clients.vcenter import RunningTask
from tidegate.watch.live.probe_avi import avi_reading
from tidegate.watch.live.probe_f5 import f5_reading, members_in
from tidegate.watch.live.probe_gate import gate_reading
from tidegate.watch.live.probe_nsx import ens_switches
from tidegate.watch.live.probe_vcenter import latency_values, task_values
from tidegate.watch.ports import measure

TMSH = (Path(__file__).parent.parent / "data" / "f5-members.txt").read_text()
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def detail(address: str, engine: str, count: object, port: int = 443) -> dict[str, Any]:
    return {"ip_addr": {"addr": address}, "port": port, "se_uuid": engine, "server_l4stats": {"open_conns": count}}


def test_processes_of_one_service_engine_share_its_ports() -> None:
    servers = [detail("10.0.0.1", "se-1", 40_000), detail("10.0.0.1", "se-1", 20_000), detail("10.0.0.1", "se-2", 5)]
    reading = avi_reading([("web", servers)], ())
    shares = [(one.scope, round(one.value, 3)) for one in measure(reading, "ports.share")]
    assert shares == [("se-1 → 10.0.0.1:443", 0.93), ("se-2 → 10.0.0.1:443", 0.0)]
    more = avi_reading([("web", servers)], (), sources=4)
    assert round(measure(more, "ports.share")[0].value, 3) == 0.233


@pytest.mark.parametrize("server", [{}, detail("", "se-1", 5), detail("10.0.0.1", "se-1", None), {"ip_addr": None}])
def test_a_server_that_tells_nothing_is_left_out_and_counted(server: dict[str, Any]) -> None:
    reading = avi_reading([("web", [server])], ())
    assert (reading.buckets, reading.other_lines) == ((), 1)


def test_members_are_read_from_tmsh() -> None:
    reading = f5_reading(members_in(TMSH), ())
    assert [(one.scope, one.value) for one in measure(reading, "ports.connections")] == [
        ("f5 → 192.0.2.1:8080", 60_001),
        ("f5 → 192.0.2.2:8080", 12),
    ]
    assert [(gauge.name, gauge.queued, gauge.state) for gauge in reading.gauges] == [
        ("Common/api.example.com_8080/192.0.2.1:8080", 3, "available"),
        ("Common/api.example.com_8080/192.0.2.2:8080", 0, "offline"),
    ]


@given(st.text(alphabet="{} \nabc.1-", max_size=200))
def test_any_text_of_tmsh_is_read_without_failing(text: str) -> None:
    f5_reading(members_in(text), ())


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.dictionaries(
            st.sampled_from(["entries", "nestedStats", "addr", "value", "description"]), inner, max_size=4
        ),
        max_leaves=20,
    )
)
def test_any_statistics_of_an_f5_are_read_without_failing(value: Any) -> None:
    assert all(isinstance(one, dict) for one in flat_stats(value, "addr"))


def test_statistics_that_never_end_do_end() -> None:
    value: dict[str, Any] = {"entries": {}}
    value["entries"]["https://localhost"] = {"nestedStats": value}
    assert list(flat_stats(value, "addr")) == []


def test_switches_in_a_mode_of_the_enhanced_datapath_are_counted() -> None:
    modes = {"a": "ENS_INTERRUPT", "b": "STANDARD", "c": "ENS"}
    found = ens_switches({"1": Member("1", "esx-1", "c", modes), "2": Member("2", "esx-2", "c", {"a": "STANDARD"})})
    assert [(one.scope, one.value) for one in found] == [("esx-1", 2), ("esx-2", 0)]
    assert found[0].line == "esx-1: 2 of 3 switches run in Enhanced Datapath mode (ENS, ENS_INTERRUPT)"


def task(user: str, age: float | None) -> RunningTask:
    since = None if age is None else NOW - timedelta(seconds=age)
    return RunningTask("VirtualMachine.createSnapshot", "vm-1", user, "running", since, None)


def test_tasks_are_counted_by_user_and_the_oldest_is_told() -> None:
    values = task_values([task("backup", 30), task("backup", 400), task("", None)], NOW)
    assert {one.scope: one.value for one in values["vcenter.running_tasks"]} == {"backup": 2, "nobody": 1}
    (oldest,) = values["vcenter.oldest_task_s"]
    assert oldest.value == 400
    assert oldest.line == "VirtualMachine.createSnapshot on vm-1 of backup: running for 400 s"
    assert task_values([], NOW)["vcenter.oldest_task_s"] == ()


def test_a_clock_behind_makes_no_task_younger_than_none() -> None:
    (oldest,) = task_values([task("backup", -60)], NOW)["vcenter.oldest_task_s"]
    assert oldest.value == 0


def test_a_datastore_without_a_fresh_sample_has_no_value() -> None:
    (one,) = latency_values({"a": 21.0, "b": math.nan})["vcenter.datastore_ms"]
    assert (one.scope, one.value) == ("a", 21.0)


@given(st.integers(1, 60_000), st.integers(0, 500), st.data())
def test_a_gate_is_as_full_as_its_own_watermarks_say(capacity: int, headroom: int, data: st.DataObject) -> None:
    free = data.draw(st.integers(0, capacity))
    spare = data.draw(st.integers(0, headroom))
    bucket = {
        "source": "10.0.0.5",
        "destination": "10.0.1.1:443",
        "capacity": capacity + headroom,
        "headroom": headroom,
        "free": free + spare,
        "free_headroom": spare,
        "traffic": 0,
        "probes": 0,
        "quarantined": 0,
        "foreign": 0,
    }
    (share,) = measure(gate_reading({"buckets": [bucket]}, {"services": []}), "ports.share")
    assert share.scope == "10.0.0.5 → 10.0.1.1:443"
    assert math.isclose(share.value, (capacity - free) / capacity)
