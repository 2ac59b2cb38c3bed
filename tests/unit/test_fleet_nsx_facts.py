"""Verdicts over NSX builds by KB 433412, and what a host says of its uplinks."""

from __future__ import annotations

import pytest

from tidegate.fleet.plans.nsx_facts import build_verdict, exposure, reads_ens
from tidegate.versions import Version

NICS = """\
Name    Driver      ENS Capable   ENS Driven    INTR Capable  INTR Enabled  MAC Address       Description
vmnic0  igbn        False         False         False         False         00:00:00:00:00:00 Intel(R) I350
vmnic4  ixgben      True          {poll:5}         False         False         00:00:00:00:00:00 True story NIC
vmnic6  i40en       True          False         True          {intr:5}         00:00:00:00:00:00 Intel(R) Ethernet
"""
OLD_NICS = """\
Name    Driver   ENS Capable   ENS Driven    MAC Address       Description
vmnic0  ixgben   True          {poll:5}         00:00:00:00:00:00 Intel(R) Ethernet Controller X550
"""


@pytest.mark.parametrize(
    ("build", "verdict"),
    [
        ("4.1.2.1.0.22667789", "affected"),
        ("4.1.2.1", "affected"),
        ("4.1.2.2.0.23400000", "unknown"),
        ("4.1.2.3.0.23382408", "fixed"),
        ("4.1.2.10.0.24000000", "fixed"),
        ("4.1.3.0.0.1", "fixed"),
        ("4.2.0", "fixed"),
        ("9.0.1.0.24900000", "fixed"),
        ("4.1.2.0.0.22589037", "unknown"),
        ("4.1.1.0.0.22224312", "unknown"),
        ("3.2.3.1.0.22104592", "unknown"),
        ("", "unknown"),
        ("4.1.2.3-dev", "unknown"),
    ],
)
def test_builds_are_judged_by_numbers_and_never_beyond_the_article(build: str, verdict: str) -> None:
    assert build_verdict(build).verdict == verdict


def test_numbers_are_compared_as_numbers() -> None:
    assert Version.parse("4.1.2.10") > Version.parse("4.1.2.3")


@pytest.mark.parametrize(
    ("build", "modes", "exposed", "says"),
    [
        ("4.1.2.1.0.1", {"ENS"}, True, "affected and exposed"),
        ("4.1.2.1.0.1", {"STANDARD"}, False, "affected, not exposed"),
        ("4.1.2.2.0.1", {"ENS_INTERRUPT"}, True, "treat as suspect"),
        ("4.1.2.2.0.1", {"LEGACY"}, False, "unknown, not exposed"),
        ("4.1.2.2.0.1", set(), True, "treat as suspect"),
        ("4.1.2.3.0.1", {"ENS"}, False, "fixed"),
        ("4.1.2.1.0.1", {"STANDARD", "ENS"}, True, "ENS, STANDARD"),
    ],
)
def test_exposed_is_the_build_and_the_realised_mode_together(
    build: str, modes: set[str], exposed: bool, says: str
) -> None:
    found = exposure(build, frozenset(modes))
    assert found[0] is exposed
    assert says in found[1]


@pytest.mark.parametrize(
    ("output", "driven"),
    [
        (NICS.format(poll="False", intr="False"), False),
        (NICS.format(poll="True ", intr="False"), True),
        (NICS.format(poll="False", intr="True "), True),
        (OLD_NICS.format(poll="False"), False),
        (OLD_NICS.format(poll="True "), True),
        ("esxcfg-nics: invalid option -- 'e'", None),
        ("", None),
        (NICS.splitlines()[0], None),
    ],
)
def test_what_the_host_says(output: str, driven: bool | None) -> None:
    assert reads_ens(output) is driven
