"""A vCenter's hosts as targets of a run: by cluster, folder and tag, with what the runner wants to know of each."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.clients.reach import vcenter_options
from tidegate.clients.tagging import tagged
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_inventory import FoundHost, select
from tidegate.clients.vcenter_machines import Machine
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.fleet.act import Host
from tidegate.fleet.model import TargetsVcenter

__all__ = ["ask_vcenter", "tagged_objects", "with_tags"]


async def ask_vcenter(source: TargetsVcenter) -> Sequence[Host]:
    """Return every host in any of the clusters and folders, or with any of the tags; without any of these: all.

    Raises
    ------
    FleetError
        When vCenter does not answer, or one of them does not exist.
    """
    options = vcenter_options(source)
    vcenter = Vcenter(options)
    try:
        everything = await vcenter.hosts()
        if not (source.clusters or source.folders or source.tags):
            return [_host(one) for one in everything]
        chosen = {one.moid for one in select(everything, source.clusters, source.folders)}
        if source.tags:
            chosen |= with_tags(everything, await tagged_objects(options, source.tags))
        return [_host(one) for one in everything if one.moid in chosen]
    finally:
        await vcenter.close()


async def tagged_objects(options: VcenterOptions, tags: Sequence[str]) -> set[tuple[str, str]]:
    """Return what has any of the tags, as pairs of type and id; the session of ``/api`` is given back at once.

    Raises
    ------
    FleetError
        When vCenter does not answer, or has no such tag.
    """
    rest = VcenterRest(options)
    try:
        return {pair for pairs in (await tagged(rest, tuple(tags))).values() for pair in pairs}
    finally:
        await rest.close()


def with_tags(things: Sequence[FoundHost] | Sequence[Machine], objects: set[tuple[str, str]]) -> set[str]:
    """Return the ids of the hosts or machines that are among tagged objects, or lie in one of them (pure)."""
    ids = {key for _, key in objects}
    return {one.moid for one in things if one.moid in ids or ids.intersection(one.above)}


def _host(found: FoundHost) -> Host:
    labels = {"moid": found.moid, "folder": "/".join(found.folders)}
    if found.cluster:
        labels["cluster_size"] = str(found.cluster_size)
    if found.vvol_machines is not None:
        labels["bound_vvols"] = str(found.vvol_machines)
    return Host(name=found.name, address=found.name, cluster=found.cluster, labels=labels)
