"""The hosts of a vCenter with what they lie in, and choosing among them by cluster and folder (the latter pure)."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import id_of, vim
from tidegate.errors import FleetError

__all__ = ["FoundHost", "all_hosts", "folder_path", "select"]

_DEEP_MAX = 100


@dataclass(frozen=True, slots=True)
class FoundHost:
    """A host of the inventory.

    Parameters
    ----------
    folders
        The names above its cluster, from the datacenter down.
    above
        The ids of everything that it lies in.
    vvol_machines
        How many of its machines have a disk on a vVol datastore; ``None`` where no such datastore is known.
    """

    name: str
    moid: str
    cluster: str
    cluster_moid: str
    cluster_size: int
    folders: tuple[str, ...]
    above: tuple[str, ...] = ()
    vvol_machines: int | None = None


def select(hosts: Iterable[FoundHost], clusters: Sequence[str], folders: Sequence[str]) -> list[FoundHost]:
    """Return the hosts in any of these clusters or folders; a folder is a name or a path (``DC/host/RACK1``).

    Raises
    ------
    FleetError
        When one of them does not exist, or a folder's name stands for several paths.
    """
    everything = list(hosts)
    known = {host.cluster for host in everything if host.cluster}
    paths = {host.folders[:depth] for host in everything for depth in range(1, len(host.folders) + 1)}
    for cluster in clusters:
        if cluster not in known:
            raise _unknown("cluster", cluster, known)
    chosen = [
        folder_path(folder, paths, lambda name: _unknown("folder", name, {p[-1] for p in paths})) for folder in folders
    ]
    return [
        host
        for host in everything
        if host.cluster in clusters or any(host.folders[: len(path)] == path for path in chosen)
    ]


def folder_path(folder: str, paths: set[tuple[str, ...]], unknown: Callable[[str], FleetError]) -> tuple[str, ...]:
    """Return the path that a folder's name or path means, among ``paths``.

    Raises
    ------
    FleetError
        ``unknown(folder)`` when it is none of them; or when a name stands for several.
    """
    wanted = tuple(part for part in folder.split("/") if part)
    found = sorted(path for path in paths if path[-len(wanted) :] == wanted) if wanted else []
    if not found:
        raise unknown(folder)
    if len(found) > 1 and wanted not in found:
        several = ", ".join("/".join(one) for one in found[:3])
        raise FleetError(f'"{folder}" is the name of {len(found)} folders: {several}', hint="write the path")
    return wanted if wanted in found else found[0]


def _unknown(kind: str, name: str, known: set[str]) -> FleetError:
    near = difflib.get_close_matches(name, sorted(known), 1)
    return FleetError(
        f'vCenter has no {kind} "{name}" with hosts in it',
        hint=f'did you mean "{near[0]}"?' if near else f"it has: {', '.join(sorted(known)[:10]) or 'none'}",
    )


def all_hosts(content: Any, page: int) -> list[FoundHost]:
    """Return every host, by name (blocks: runs in a thread of the session)."""
    above: dict[str, tuple[str, str | None]] = {}
    clusters: set[str] = set()
    for kind in (vim.Folder, vim.Datacenter, vim.ComputeResource):
        for thing, seen in read_all(content, kind, ("name", "parent"), page):
            parent = seen.get("parent")
            key = id_of(thing)
            above[key] = (seen.get("name", ""), None if parent is None else id_of(parent))
            if isinstance(thing, vim.ClusterComputeResource):
                clusters.add(key)
    rows = [
        (id_of(thing), seen.get("name", ""), id_of(seen["parent"]))
        for thing, seen in read_all(content, vim.HostSystem, ("name", "parent"), page)
        if seen.get("parent") is not None
    ]
    sizes = Counter(parent for _, _, parent in rows)
    machines = _vvol_machines(content, page)
    found = []
    for moid, name, parent in rows:
        path: list[str] = []
        step = above.get(parent, ("", None))[1]
        while step is not None and step in above and len(path) < _DEEP_MAX:
            path.append(step)
            step = above[step][1]
        # The root folder is not among them: it has no name that a person would write.
        folders = [above[one][0] for one in path]
        in_cluster = parent in clusters
        found.append(
            FoundHost(
                name,
                moid,
                above[parent][0] if in_cluster else "",
                parent if in_cluster else "",
                sizes[parent],
                tuple(reversed(folders)),
                (parent, *path),
                None if machines is None else machines[moid],
            )
        )
    return sorted(found, key=lambda host: host.name)


def _vvol_machines(content: Any, page: int) -> Counter[str] | None:
    """Count machines with vVols by their host; ``None`` where there is no vVol datastore."""
    stores = {
        id_of(thing)
        for thing, seen in read_all(content, vim.Datastore, ("summary.type",), page)
        if str(seen.get("summary.type", "")).upper() == "VVOL"
    }
    if not stores:
        return None
    counts: Counter[str] = Counter()
    for _, seen in read_all(content, vim.VirtualMachine, ("runtime.host", "datastore"), page):
        host = seen.get("runtime.host")
        if host is not None and any(id_of(one) in stores for one in seen.get("datastore") or ()):
            counts[id_of(host)] += 1
    return counts
