"""Who comes when: the order of a run's hosts, who is in the next batch, and how large it may be (pure).

Hosts with bound vVols come first (their virtual machines wait for the service), and the hosts of one cluster are spread
over the batches, so that no batch takes a bite out of one cluster only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tidegate.fleet.act import Host

__all__ = ["cluster_sizes", "grown", "halved", "next_batch", "ordered"]


def ordered(hosts: Iterable[Host]) -> list[Host]:
    """Return the hosts in the order of the run: those with bound vVols first, each half spread over its clusters."""
    everyone = list(hosts)
    bound = [host for host in everyone if _number(host, "bound_vvols") > 0]
    others = [host for host in everyone if _number(host, "bound_vvols") <= 0]
    return [*_spread(bound), *_spread(others)]


def next_batch(
    waiting: Sequence[Host], size: int, *, sizes: Mapping[str, int] | None = None, down: Iterable[Host] = ()
) -> list[Host]:
    """Return who is in the next batch.

    Parameters
    ----------
    waiting
        Who is left, in the order of the run.
    size
        Most hosts of the batch.
    sizes
        How many hosts each cluster has, where no cluster may be down whole; ``None``: no such rule.
    down
        Who is down already (left in maintenance).
    """
    if sizes is None:
        return list(waiting[:size])
    room = {cluster: count - 1 for cluster, count in sizes.items()}
    for host in down:
        room[host.cluster] = room.get(host.cluster, 0) - 1
    batch: list[Host] = []
    for host in waiting:
        if len(batch) == size:
            break
        if host.cluster:
            if room.get(host.cluster, 0) <= 0:
                continue
            room[host.cluster] -= 1
        batch.append(host)
    return batch


def cluster_sizes(hosts: Iterable[Host]) -> dict[str, int]:
    """Return how many hosts each cluster has: as the label ``cluster_size`` says, else as many as are in the run."""
    everyone = list(hosts)
    counts = Counter(host.cluster for host in everyone if host.cluster)
    told = {host.cluster: _number(host, "cluster_size") for host in everyone if host.cluster}
    return {cluster: max(count, told[cluster]) for cluster, count in counts.items()}


def grown(size: int, most: int) -> int:
    """Return the size of the batch after a quiet one: half as many more, at least one, up to ``most``."""
    return min(most, size + max(1, size // 2)) if size < most else size


def halved(size: int) -> int:
    """Return half the size, at least 1."""
    return max(1, size // 2)


def _spread(hosts: list[Host]) -> list[Host]:
    """Take one host of each cluster in turn; hosts without a cluster are one each."""
    queues: dict[str, list[Host]] = {}
    for place, host in enumerate(hosts):
        queues.setdefault(host.cluster or f"\0{place}", []).append(host)
    depth = max(map(len, queues.values()), default=0)
    return [queue[turn] for turn in range(depth) for queue in queues.values() if turn < len(queue)]


def _number(host: Host, label: str) -> int:
    text = host.labels.get(label, "")
    return int(text) if text.isascii() and text.isdecimal() else 0
