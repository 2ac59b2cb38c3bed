"""Latency of datastores from vCenter's real-time counters: the worst host per datastore, and how old its sample is.

A host measures every 20 s. Ages are against vCenter's own clock, so a skewed clock here makes nothing fresh. A sample
of -1 is no value. What is missing or old is not 0 ms: it is left out, or not a number, or shown with its age. All of it
blocks, or is pure: :class:`~tidegate.clients.vcenter_counters.Counters` is the same for asyncio.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import id_of, vim, vmodl
from tidegate.errors import FleetError

__all__ = ["FRESH_S", "INTERVAL_S", "Latency", "Names", "fresh", "learn", "query", "worst"]

FRESH_S = 60.0
"""Older samples say nothing of now."""
INTERVAL_S = 20
"""A host measures so often, in seconds."""
_KINDS = {"totalReadLatency": "read", "totalWriteLatency": "write"}
_HOSTS_A_CALL = 25


@dataclass(frozen=True, slots=True)
class Latency:
    """What one host measured at one datastore; ``ms`` is -1 where it has no value."""

    datastore: str
    host: str
    kind: str
    ms: float
    age_s: float


def worst(samples: Iterable[Latency]) -> dict[str, Latency]:
    """Return the worst fresh sample of each datastore; where none is fresh, the youngest one."""
    found: dict[str, Latency] = {}
    for one in samples:
        best = found.get(one.datastore)
        if best is None:
            found[one.datastore] = one
        elif (one.age_s <= FRESH_S) != (best.age_s <= FRESH_S):
            found[one.datastore] = min(one, best, key=lambda sample: sample.age_s)
        elif one.age_s <= FRESH_S:
            found[one.datastore] = max(one, best, key=lambda sample: sample.ms)
        else:
            found[one.datastore] = min(one, best, key=lambda sample: sample.age_s)
    return found


def fresh(samples: Iterable[Latency], wanted: Collection[str] = ()) -> dict[str, float]:
    """Return the worst fresh latency per datastore, in ms; of all datastores, or of those that are wanted.

    Not a number where there are samples, but none with a value within 60 s; a datastore without any is left out.
    """
    found = {name: one for name, one in worst(samples).items() if not wanted or name in wanted}
    return {name: one.ms if one.age_s <= FRESH_S and one.ms >= 0 else math.nan for name, one in found.items()}


@dataclass(frozen=True, slots=True)
class Names:
    """What the ids in the counters' answers stand for."""

    counters: Mapping[int, str]
    datastores: Mapping[str, str]
    hosts: Mapping[str, str]


def learn(content: Any, page: int, only: Collection[str] = (), *, by_id: bool = False) -> Names:
    """Return what the ids of counters, datastores and hosts stand for.

    Parameters
    ----------
    page
        Most objects in one answer.
    only
        Ids of the hosts that are asked; empty: every host that is connected.
    by_id
        Datastores are called by their ids instead of their names.

    Raises
    ------
    FleetError
        When vCenter has no such counters, or knows no connected host.
    """
    counters = {
        one.key: _KINDS[one.nameInfo.key]
        for one in content.perfManager.perfCounter
        if one.groupInfo.key == "datastore" and one.nameInfo.key in _KINDS and one.rollupType == "average"
    }
    if not counters:
        raise FleetError("vCenter has no counters of datastore latency", slug="no-counters")
    datastores: dict[str, str] = {}
    for thing, seen in read_all(content, vim.Datastore, ("name", "summary.url"), page):
        name = id_of(thing) if by_id else seen.get("name", "")
        # The counters name a datastore by the last part of its URL: ds:///vmfs/volumes/5f0c…-a036/.
        for key in (id_of(thing), str(seen.get("summary.url", "")).rstrip("/").rpartition("/")[2]):
            if key:
                datastores[key] = name
    hosts = {
        id_of(thing): seen.get("name", "")
        for thing, seen in read_all(content, vim.HostSystem, ("name", "runtime.connectionState"), page)
        if seen.get("runtime.connectionState") == "connected" and (not only or id_of(thing) in only)
    }
    if not hosts:
        raise FleetError("vCenter knows no connected host to ask for counters", slug="no-counters")
    return Names(counters, datastores, hosts)


def query(stub: Any, content: Any, names: Names) -> list[Latency]:
    """Return the newest sample of every host, datastore and kind.

    Raises
    ------
    FleetError
        When one of the hosts has left vCenter: learn anew.
    """
    manager = content.perfManager
    metrics = [vim.PerformanceManager.MetricId(counterId=key, instance="*") for key in names.counters]
    ids = sorted(names.hosts)
    found: list[Latency] = []
    for start in range(0, len(ids), _HOSTS_A_CALL):
        specs = [
            vim.PerformanceManager.QuerySpec(
                entity=vim.HostSystem(key, stub), metricId=metrics, intervalId=INTERVAL_S, maxSample=1, format="normal"
            )
            for key in ids[start : start + _HOSTS_A_CALL]
        ]
        try:
            answers = manager.QueryPerf(specs)
        except vmodl.fault.ManagedObjectNotFound as fault:
            raise FleetError("a host has left vCenter since its counters were asked", slug="host-left") from fault
        now = vim.ServiceInstance("ServiceInstance", stub).CurrentTime()
        for answer in answers or ():
            if not answer.sampleInfo:
                continue
            age = max(0.0, (now - answer.sampleInfo[-1].timestamp).total_seconds())
            host = names.hosts[id_of(answer.entity)]
            for series in answer.value:
                value = series.value[-1] if series.value else -1
                kind = names.counters.get(series.id.counterId)
                datastore = names.datastores.get(series.id.instance)
                if kind is not None and datastore is not None:
                    found.append(Latency(datastore, host, kind, float(value), age))
    return found
