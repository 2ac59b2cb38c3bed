"""Hosts and rotations are read from the paths that bundles really have."""

from __future__ import annotations

import pytest

from tidegate.watch.places import host_of_path, log_name, missing_rotations


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("b.tgz!esx-esx01.lab.local-2025-08-08--12.20-2099041/var/run/log/vvold.log", "esx01.lab.local"),
        ("esx-esx-a7-2025-08-08--12.20-2099041.tgz", "esx-a7"),
        ("vc-vcsa01-2025-08-08--12.20-1234.zip!x/vpxd.log", "vcsa01"),
        ("examples/logs/esx-01/var/run/log/vvold.log", "esx-01"),
        ("collected/esx07/commands/esxcli_network.txt", "esx07"),
        ("/var/log/vmware/vpxd/vpxd.log", None),
        ("vvold.log", None),
        ("/scratch/log/hostd.log", None),
        ("", None),
    ],
)
def test_host(path: str, host: str | None) -> None:
    assert host_of_path(path) == host


@pytest.mark.parametrize(
    ("path", "name", "number"),
    [
        ("a/hostd.log", "hostd", None),
        ("a/hostd.0.gz", "hostd", 0),
        ("a/hostd.10.gz", "hostd", 10),
        ("a/vpxd-12.log.gz", "vpxd", 12),
        ("a/vpxd-12.log", "vpxd", 12),
        ("a/messages.1", "messages", 1),
        ("b.tgz!a/syslog.log.3.gz", "syslog", 3),
        ("vmkernel-zdump.1", "vmkernel-zdump", 1),
    ],
)
def test_rotation(path: str, name: str, number: int | None) -> None:
    assert log_name(path)[1:] == (name, number)


def test_a_rotation_that_is_missing_is_told() -> None:
    paths = ["a/hostd.log", *(f"a/hostd.{n}.gz" for n in (0, 1, 3, 10)), "b/hostd.2.gz", "b/vpxd-7.log.gz"]
    assert missing_rotations(paths) == ["a/hostd: rotation 2, 4, 5, 6, 7, 8, 9 is missing"]


def test_dates_are_no_rotations() -> None:
    assert missing_rotations(["a/x.log", "a/x-1.log", "a/x-2024.log"]) == []


def test_hosts_are_no_rotations() -> None:
    assert missing_rotations(["a/esx-01.log", "a/esx-03.log"]) == []
