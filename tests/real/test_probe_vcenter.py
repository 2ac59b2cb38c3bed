"""vcsim is asked for tasks, latencies and sessions, each only where a rule wants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from probing import one_try
from tidegate.watch.live.model import Batch
from tidegate.watch.live.probe_config import VcenterTable
from tidegate.watch.live.probe_kinds import probe_for
from vcenters import PASSWORD_ENV, Vcsim, known, vcsim

pytestmark = pytest.mark.peer("vcsim")


@pytest.fixture
def center(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vcsim]:
    with vcsim(tmp_path / "vcsim", monkeypatch, cluster=1, host=2, standalone_host=0) as running:
        yield running


def asked(center: Vcsim, measure: str, at_least: float) -> Batch:
    """Ask once, by a probe of its own: its one session ends with it."""
    reach = {"address": "127.0.0.1", "port": center.port, "user": "operator", "ca": center.authority.ca}
    table = VcenterTable.model_validate({"kind": "vcenter", **reach, "password_env": PASSWORD_ENV})
    return one_try(probe_for(table), measure, at_least)


def test_unfinished_tasks_are_counted_by_user(center: Vcsim) -> None:
    for user in ("backup", "backup", "automation"):
        center.control("task", name="VirtualMachine.createSnapshot", user=user, host=known(center)[0][0])
    (hit,) = asked(center, "vcenter.running_tasks", 2).hits
    assert (hit.values["scope"], hit.values["value"]) == ("lab: backup", "2")
    assert not asked(center, "vcenter.oldest_task_s", 3600).hits


def test_the_latency_of_a_datastore_is_told_while_it_is_fresh(center: Vcsim) -> None:
    hosts, ids = known(center)
    center.control("latency", host=hosts[0], datastore=ids["LocalDS_0"], read=3, write=21, age=5)
    (hit,) = asked(center, "vcenter.datastore_ms", 20).hits
    assert (hit.values["scope"], hit.values["value"]) == ("lab: LocalDS_0", "21")
    center.control("latency", host=hosts[0], datastore=ids["LocalDS_0"], read=3, write=21, age=300)
    stale = asked(center, "vcenter.datastore_ms", 20)
    assert (stale.hits, stale.gaps) == ((), ())


def test_sessions_are_counted_by_user(center: Vcsim) -> None:
    (hit,) = asked(center, "vcenter.sessions", 1).hits
    assert hit.values["scope"] == "lab: operator"


def test_a_vcenter_that_is_gone_is_a_gap(center: Vcsim) -> None:
    center.kill()
    batch = asked(center, "vcenter.running_tasks", 1)
    assert not batch.hits
    assert "vCenter 127.0.0.1" in batch.gaps[0].detail
