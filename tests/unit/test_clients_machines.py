"""Choosing machines by cluster and folder, and what a vCenter's cookie says."""

from __future__ import annotations

import pytest

from tidegate.clients.vcenter_machines import Machine, select_machines
from tidegate.clients.vcenter_session import token_in
from tidegate.errors import FleetError

MACHINES = [
    Machine("a", "C1", ("DC1", "vm", "web")),
    Machine("b", "C2", ("DC1", "vm", "web", "old")),
    Machine("c", "C2", ("DC1", "vm")),
    Machine("d", "", ("DC2", "vm", "web")),
]


def chosen(clusters: list[str], folders: list[str]) -> str:
    return "".join(machine.name for machine in select_machines(MACHINES, clusters, folders))


def test_clusters_and_folders_add_up() -> None:
    assert chosen(["C2"], []) == "bc"
    assert chosen([], ["DC1/vm/web"]) == "ab"
    assert chosen(["C1"], ["old"]) == "ab"
    assert chosen([], ["DC2"]) == "d"


@pytest.mark.parametrize(
    ("clusters", "folders", "says"),
    [
        (["C3"], [], 'no cluster "C3"'),
        ([""], [], 'no cluster ""'),
        ([], ["x"], 'no folder "x"'),
        ([], ["/"], 'no folder "/"'),
        ([], ["web"], '"web" is the name of 2 folders: DC1/vm/web, DC2/vm/web'),
    ],
)
def test_what_is_not_there_or_is_there_twice_is_said(clusters: list[str], folders: list[str], says: str) -> None:
    with pytest.raises(FleetError, match=says):
        select_machines(MACHINES, clusters, folders)


@pytest.mark.parametrize(
    "cookie",
    [
        'vmware_soap_session="abc-1"; Path=/; HttpOnly; Secure;',
        "vmware_soap_session=abc-1; Path=/",
        ' vmware_soap_session="abc-1"',
    ],
)
def test_a_session_is_found_in_its_cookie(cookie: str) -> None:
    assert token_in(cookie) == "abc-1"


@pytest.mark.parametrize("cookie", ["", "other=1", "vmware_soap_session="])
def test_no_session_is_no_session(cookie: str) -> None:
    with pytest.raises(FleetError, match="no session cookie"):
        token_in(cookie)
