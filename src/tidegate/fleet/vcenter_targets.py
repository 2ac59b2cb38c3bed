"""A vCenter's hosts as targets of a run: by cluster, folder and tag, with what the runner wants to know of each."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.clients.tagging import tagged
from tidegate.clients.vcenter import Vcenter
from tidegate.clients.vcenter_inventory import FoundHost, select
from tidegate.clients.vcenter_rest import VcenterRest
from tidegate.clients.vcenter_session import VcenterOptions
from tidegate.fleet.act import Host
from tidegate.fleet.model import Endpoint, TargetsVcenter

__all__ = ["ask_vcenter", "options_of", "with_tags"]


def options_of(endpoint: Endpoint) -> VcenterOptions:
    """Return how a plan's vCenter is reached."""
    return VcenterOptions(
        address=endpoint.address,
        port=endpoint.port,
        user=endpoint.user,
        password_env=endpoint.password_env or "TIDEGATE_VCENTER_PASSWORD",
        password_file=endpoint.password_file,
        ca=endpoint.ca,
        thumbprint=endpoint.thumbprint,
        verify=endpoint.verify,
        timeout_s=endpoint.timeout.seconds,
    )


async def ask_vcenter(source: TargetsVcenter) -> Sequence[Host]:
    """Return every host in any of the clusters and folders, or with any of the tags; without any of these: all.

    Raises
    ------
    FleetError
        When vCenter does not answer, or one of them does not exist.
    """
    options = options_of(source)
    vcenter, rest = Vcenter(options), VcenterRest(options)
    try:
        everything = await vcenter.hosts()
        if not (source.clusters or source.folders or source.tags):
            return [_host(one) for one in everything]
        chosen = {one.moid for one in select(everything, source.clusters, source.folders)}
        if source.tags:
            objects = {pair for pairs in (await tagged(rest, source.tags)).values() for pair in pairs}
            chosen |= with_tags(everything, objects)
        return [_host(one) for one in everything if one.moid in chosen]
    finally:
        await rest.close()
        await vcenter.close()


def with_tags(hosts: Sequence[FoundHost], objects: set[tuple[str, str]]) -> set[str]:
    """Return the ids of the hosts that are among tagged objects, or lie in one of them (pure)."""
    ids = {key for _, key in objects}
    return {one.moid for one in hosts if one.moid in ids or ids.intersection(one.above)}


def _host(found: FoundHost) -> Host:
    labels = {"moid": found.moid, "folder": "/".join(found.folders)}
    if found.cluster:
        labels["cluster_size"] = str(found.cluster_size)
    if found.vvol_machines is not None:
        labels["bound_vvols"] = str(found.vvol_machines)
    return Host(name=found.name, address=found.name, cluster=found.cluster, labels=labels)
