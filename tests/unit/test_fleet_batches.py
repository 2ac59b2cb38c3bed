"""The order of a run's hosts and who is in the next batch; where hosts come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleets import MAINTENANCE, hosts_named
from loops import played
from tidegate.errors import ConfigError, FleetError
from tidegate.fleet.act import Host
from tidegate.fleet.batches import cluster_sizes, grown, halved, next_batch, ordered
from tidegate.fleet.load import load_plan, parse_plan
from tidegate.fleet.targets import hosts_of, refuse_whole_clusters

HOSTS = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["", "0", "3", "x"])), max_size=30
).map(
    lambda rows: [
        Host(f"h{n}", f"h{n}", cluster, {"bound_vvols": bound} if bound else {})
        for n, (cluster, bound) in enumerate(rows)
    ]
)
VCENTER = """
[run]
plan = "vvold-phased-restart"
[targets.vcenter]
address = "vc.example"
user = "tidegate@vsphere.local"
clusters = ["A"]
"""


@given(HOSTS)
def test_bound_hosts_come_first_and_nobody_is_lost(hosts: list[Host]) -> None:
    order = ordered(hosts)
    assert sorted(host.name for host in order) == sorted(host.name for host in hosts)
    bound = [host.labels.get("bound_vvols") == "3" for host in order]
    assert bound == sorted(bound, reverse=True)


def test_clusters_take_turns() -> None:
    hosts = [Host(f"{cluster}{n}", f"{cluster}{n}", cluster) for cluster in "ab" for n in range(3)]
    assert [host.name for host in ordered(hosts)] == ["a0", "b0", "a1", "b1", "a2", "b2"]


@given(HOSTS, st.integers(1, 12), st.integers(0, 4))
def test_a_batch_is_never_a_whole_cluster(hosts: list[Host], size: int, down: int) -> None:
    batch = next_batch(hosts[down:], size, sizes=cluster_sizes(hosts), down=hosts[:down])
    assert len(batch) <= size
    out = {host.name for host in batch}
    gone = out | {host.name for host in hosts[:down]}
    for cluster in cluster_sizes(hosts):
        members = {host.name for host in hosts if host.cluster == cluster}
        assert not (members & out) or members - gone


def test_sizes() -> None:
    assert [grown(size, 10) for size in (1, 2, 5, 7, 10, 12)] == [2, 3, 7, 10, 10, 12]
    assert [halved(size) for size in (1, 2, 5, 10)] == [1, 1, 2, 5]
    hosts = [Host("a", "a", "x", {"cluster_size": "8"}), Host("b", "b", "y"), Host("c", "c")]
    assert cluster_sizes(hosts) == {"x": 8, "y": 1}
    with pytest.raises(FleetError, match="the cluster y has one host only"):
        refuse_whole_clusters(hosts, MAINTENANCE)


def test_hosts_from_a_vcenter_are_looked_at_as_an_inventory_is(tmp_path: Path) -> None:
    plan = parse_plan(VCENTER, tmp_path / "plan.toml")
    found = list(hosts_named(3))

    async def ask(source: object) -> list[Host]:
        assert source == plan.targets.vcenter
        return found

    assert len(played(hosts_of(plan, ask))) == 3
    with pytest.raises(FleetError, match="nothing to ask"):
        played(hosts_of(plan))
    for hosts, words in (
        ([], "knows no host"),
        ([*hosts_named(2), Host("ESX01", "other")], "two hosts of the name esx01"),
        ([*hosts_named(2), Host("other", "192.0.2.1")], "two hosts of the address 192.0.2.1"),
        (list(hosts_named(5001)), "5001 hosts, more than 5000"),
    ):
        found[:] = hosts
        with pytest.raises(FleetError, match=words):
            played(hosts_of(plan, ask))


def test_paths_of_a_plan_start_at_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('[run]\nplan = "vvold-phased-restart"\n[targets]\ninventory = "hosts.toml"\n')
    assert load_plan(file).targets.inventory == tmp_path / "hosts.toml"
    file.write_text(VCENTER + 'password_env = "X"\npassword_file = "y"\n')
    with pytest.raises(ConfigError) as caught:
        load_plan(file)
    assert str(caught.value.problems[0]).endswith("password_file: stands beside password_env")
