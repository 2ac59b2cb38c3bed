"""From a plan's ``[targets]`` to its hosts: an inventory file, or a vCenter through a callable.

They are read once, when the run is planned, and kept in it: a vCenter may be what is down when the run goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from tidegate.errors import FleetError
from tidegate.fleet.act import Host, PhaseSpec
from tidegate.fleet.batches import cluster_sizes, ordered
from tidegate.fleet.load import load_inventory
from tidegate.fleet.model import HOSTS_MAX, Plan, TargetsVcenter

__all__ = ["AskVcenter", "hosts_of", "refuse_whole_clusters"]

AskVcenter = Callable[[TargetsVcenter], Awaitable[Sequence[Host]]]
"""Returns the hosts that a vCenter knows in these clusters and folders and with these tags."""


async def hosts_of(plan: Plan, ask_vcenter: AskVcenter | None = None) -> list[Host]:
    """Return the hosts of ``plan`` in the order of the run.

    Raises
    ------
    ConfigError
        When the inventory is wrong.
    FleetError
        When a vCenter gives no host, too many, or two of one name or address.
    """
    if plan.targets.inventory is not None:
        return ordered(load_inventory(plan.targets.inventory))
    source = plan.targets.vcenter
    if source is None or ask_vcenter is None:
        raise FleetError("there is nothing to ask for hosts", hint='write inventory = "hosts.toml" under [targets]')
    hosts = list(await ask_vcenter(source))
    _refuse(hosts, source.address)
    return ordered(hosts)


def refuse_whole_clusters(hosts: Sequence[Host], phases: Sequence[PhaseSpec]) -> None:
    """Refuse a phase that would take a whole cluster out of service: one host that is all of its cluster.

    Raises
    ------
    FleetError
        Naming the clusters.
    """
    phase = next((phase for phase in phases if phase.spare_cluster), None)
    if phase is None:
        return
    alone = sorted(cluster for cluster, size in cluster_sizes(hosts).items() if size < 2)
    if alone:
        clusters = f"the cluster {alone[0]} has" if len(alone) == 1 else f"the clusters {', '.join(alone)} have"
        raise FleetError(
            f'the phase "{phase.name}" would take a whole cluster out of service: {clusters} one host only',
            hint='leave it out, or write cluster_size = "N" into its labels where the cluster has more than the run',
        )


def _refuse(hosts: Sequence[Host], source: str) -> None:
    if not hosts:
        raise FleetError(f"{source} knows no host in what the plan selects", hint="look at [targets.vcenter]")
    if len(hosts) > HOSTS_MAX:
        raise FleetError(f"{source} gives {len(hosts)} hosts, more than {HOSTS_MAX}", hint="make several runs of it")
    for kind, counts in (
        ("name", Counter(host.name.lower() for host in hosts)),
        ("address", Counter(host.address.lower() for host in hosts)),
    ):
        twice = sorted(text for text, count in counts.items() if count > 1)
        if twice:
            raise FleetError(f"{source} gives two hosts of the {kind} {twice[0]}", hint="use an inventory file")
