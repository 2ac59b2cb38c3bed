"""The virtual machines of a vCenter, and choosing among them by cluster and folder (the latter pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.clients.vcenter_inventory import folder_path
from tidegate.clients.vcenter_read import read_all
from tidegate.clients.vmomi import id_of, vim
from tidegate.errors import FleetError

__all__ = ["Machine", "Place", "all_machines", "places", "select_machines"]

_DEEP_MAX = 100


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine.

    Parameters
    ----------
    folders
        The names above it, from the datacenter down: ``("DC", "vm", "web")``.
    above
        The ids of its folders, its datacenter and its cluster.
    """

    name: str
    cluster: str
    folders: tuple[str, ...]
    moid: str = ""
    above: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine is: the id of its host, where it has one, and those of its datastores."""

    host: str | None
    datastores: tuple[str, ...]


def select_machines(machines: Iterable[Machine], clusters: Sequence[str], folders: Sequence[str]) -> list[Machine]:
    """Return the machines in any of these clusters or folders; a folder is a name or a path (``DC/vm/web``).

    Raises
    ------
    FleetError
        When one of them has no machine, or a folder's name stands for several paths.
    """
    everything = list(machines)
    known = {machine.cluster for machine in everything}
    for cluster in clusters:
        if cluster not in known or not cluster:
            raise FleetError(f'vCenter has no cluster "{cluster}" with machines in it')
    chosen = [_path(folder, everything) for folder in folders]
    return [
        machine
        for machine in everything
        if machine.cluster in clusters or any(machine.folders[: len(path)] == path for path in chosen)
    ]


def _path(folder: str, machines: Sequence[Machine]) -> tuple[str, ...]:
    paths = {one.folders[:depth] for one in machines for depth in range(1, len(one.folders) + 1)}
    return folder_path(folder, paths, lambda name: FleetError(f'vCenter has no folder "{name}" with machines in it'))


def all_machines(content: Any, page: int) -> list[Machine]:
    """Return every machine that is no template, by name (blocks: runs in a thread of the session)."""
    above: dict[str, tuple[str, str | None]] = {}
    for kind in (vim.Folder, vim.Datacenter, vim.VirtualApp):
        paths = ("name", "parentFolder", "parent") if kind is vim.VirtualApp else ("name", "parent")
        for thing, seen in read_all(content, kind, paths, page):
            parent = seen.get("parentFolder") or seen.get("parent")
            above[id_of(thing)] = (seen.get("name", ""), None if parent is None else id_of(parent))
    clusters = {
        id_of(thing): seen.get("name", "")
        for thing, seen in read_all(content, vim.ClusterComputeResource, ("name",), page)
    }
    parents = {
        id_of(thing): id_of(seen["parent"])
        for thing, seen in read_all(content, vim.HostSystem, ("parent",), page)
        if seen.get("parent") is not None
    }
    machines = []
    wanted = ("name", "parent", "parentVApp", "runtime.host", "config.template")
    for thing, seen in read_all(content, vim.VirtualMachine, wanted, page):
        if seen.get("config.template") or not seen.get("name"):
            continue
        host, parent = seen.get("runtime.host"), seen.get("parent") or seen.get("parentVApp")
        path = _path_up(None if parent is None else id_of(parent), above)
        cluster = parents.get(id_of(host), "") if host is not None else ""
        folders = tuple(above[one][0] for one in reversed(path))
        machines.append(Machine(seen["name"], clusters.get(cluster, ""), folders, id_of(thing), (*path, cluster)))
    return sorted(machines, key=lambda machine: (machine.name, machine.folders))


def places(content: Any, page: int) -> dict[str, Place]:
    """Return where every machine is, by its id (blocks: runs in a thread of the session)."""
    found: dict[str, Place] = {}
    for thing, seen in read_all(content, vim.VirtualMachine, ("runtime.host", "datastore"), page):
        host = seen.get("runtime.host")
        datastores = tuple(id_of(one) for one in seen.get("datastore") or ())
        found[id_of(thing)] = Place(None if host is None else id_of(host), datastores)
    return found


def _path_up(step: str | None, above: dict[str, tuple[str, str | None]]) -> list[str]:
    """Return the ids up to the datacenter. The root has no name: nobody writes it into a path."""
    path: list[str] = []
    while step is not None and step in above and len(path) < _DEEP_MAX:
        path.append(step)
        step = above[step][1]
    return path
