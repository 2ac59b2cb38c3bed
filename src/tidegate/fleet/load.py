"""Plan files and inventory files, read strictly: every mistake with its file, line and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from tidegate.config.broken import Broken
from tidegate.config.load import absolute, parse_tables, read_text
from tidegate.config.reach import Endpoint
from tidegate.errors import ConfigError, Problem
from tidegate.fleet.act import Host
from tidegate.fleet.guards import broken_guards
from tidegate.fleet.model import HOSTS_MAX, Inventory, Plan

__all__ = ["load_inventory", "load_plan", "parse_plan"]


def load_plan(file: Path) -> Plan:
    """Read a plan.

    Raises
    ------
    ConfigError
        With every problem.
    """
    text = read_text(file, missing="examples/vvold.toml is one to start from")
    return parse_plan(text, file)


def parse_plan(text: str, file: Path) -> Plan:
    """Read ``text`` as if it stood in ``file``: relative paths in it start at the file's folder.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return absolute(parse_tables(text, file, Plan, _broken), file.parent)


def load_inventory(file: Path) -> list[Host]:
    """Read an inventory: ``[[host]]`` with ``name``, and ``address``, ``cluster`` and ``labels`` where they differ.

    Raises
    ------
    ConfigError
        With every problem: no host at all, more than 5000, one that stands there twice.
    """
    text = read_text(file, missing="examples/fleet-hosts.toml is one to start from")
    inventory = parse_tables(text, file, Inventory, _broken_inventory)
    if not inventory.host:
        raise ConfigError([Problem(file, 0, "", "names no host", 'write [[host]] and name = "esx01.example"')])
    return [Host(one.name, one.address or one.name, one.cluster, dict(one.labels)) for one in inventory.host]


def _broken(plan: Plan) -> Iterable[Broken]:
    # Late: the registry needs the model, which this module gives.
    from tidegate.fleet.plans import WORKS

    name, targets, batch = plan.run.plan, plan.targets, plan.batch
    if name not in WORKS:
        close = difflib.get_close_matches(name, WORKS, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"write one of {', '.join(WORKS)}"
        yield Broken(("run", "plan"), f'there is no plan "{name}"', hint)
    if (targets.inventory is None) == (targets.vcenter is None):
        both = "has both an inventory and a vCenter" if targets.inventory else "names no hosts"
        yield Broken(("targets",), both, 'write inventory = "hosts.toml" or a table [targets.vcenter]')
    source = targets.vcenter
    if source and not (source.clusters or source.folders or source.tags):
        yield Broken(("targets", "vcenter"), "selects no hosts", 'write for example clusters = ["Cluster-A"]')
    if batch.grow_to is not None and batch.grow_to < batch.size:
        yield Broken(("batch", "grow_to"), "is smaller than size", "batches never shrink by growing: leave it out")
    if batch.until == "steady" and not plan.guard:
        yield Broken(("batch", "until"), "waits for guards, and there is none", 'write until = "pause", or a guard')
    yield from broken_guards(plan.guard)
    endpoints: dict[tuple[str, ...], Endpoint | None] = {
        ("targets", "vcenter"): source,
        ("vcenter",): plan.vcenter,
        ("nsx",): plan.nsx,
        ("avi",): plan.avi,
    }
    for path, endpoint in endpoints.items():
        if endpoint and endpoint.password_env and endpoint.password_file:
            yield Broken((*path, "password_file"), "stands beside password_env", "keep one of the two")


def _broken_inventory(inventory: Inventory) -> Iterable[Broken]:
    if len(inventory.host) > HOSTS_MAX:
        yield Broken(("host",), f"are {len(inventory.host)} hosts, more than {HOSTS_MAX}", "make several runs of it")
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    for place, host in enumerate(inventory.host):
        name, address = host.name.lower(), (host.address or host.name).lower()
        if name in names:
            first = inventory.host[names[name]].name
            yield Broken(("host", place, "name"), f'the host "{first}" stands here twice', "keep one of the two")
        elif address in addresses:
            other = inventory.host[addresses[address]].name
            yield Broken(("host", place), f'has the address of "{other}"', "keep one of the two")
        names.setdefault(name, place)
        addresses.setdefault(address, place)
