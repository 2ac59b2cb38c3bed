"""The plan that the scanner gets, and the marks that every plan has: versions and the headings of articles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rule_texts import GOOD, rule_of
from tidegate.watch.load import load_rules
from tidegate.watch.marks import MARKS
from tidegate.watch.plan import LIMITS, to_plan, to_window
from tidegate.watch.scan import Scanner
from tidegate.watch.windows import Window

SECOND = 10**9
ROTATED = "2021-05-24T20:31:05.671Z - last log rotation time, 2021-05-24T09:30:02.683Z - time the service, Section for "
RELEASE = "version=7.0.3, build=19482537, option=Release"


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(to_plan([]))


def marks_in(scanner: Scanner, text: str) -> list[tuple[str, dict[str, str]]]:
    found: list[dict[str, Any]] = scanner.scan_text("text", text.encode())["marks"]
    return [(mark["mark"], {name: value for name, value in mark["fields"].items() if value}) for mark in found]


def test_a_plan_has_what_rust_needs_and_no_more() -> None:
    plan = to_plan([rule_of(GOOD)], now=7, dumps=[{"id": "ss", "sniff": "x"}])
    assert list(plan) == ["format", "now", "signatures", "tallies", "marks", "dumps", "limits"]
    assert (plan["format"], plan["now"], plan["limits"], plan["tallies"]) == (1, 7, LIMITS, [])
    assert plan["signatures"] == [
        {
            "id": "lab.pump.stuck/stuck",
            "literals": ["PRESSURE_FAULT"],
            "fold": False,
            "all": [r"Pump\s+(?P<pump>p-\d+)\s+is\s+stuck"],
            "not": ["rehearsal"],
            "programs": ["pumpd"],
        }
    ]
    assert [mark["id"] for mark in plan["marks"]] == [mark.id for mark in MARKS]
    json.dumps(plan)


def test_the_plan_of_all_shipped_rules_compiles() -> None:
    Scanner(to_plan(load_rules().rules))


def test_windows_are_those_of_the_rule() -> None:
    storm, pumps = rule_of(GOOD).windows
    assert to_window(storm) == Window("count", ("stuck",), 300 * SECOND, more_than=10)
    assert to_window(pumps) == Window("distinct", ("stuck",), 60 * SECOND, at_least=3)
    other = GOOD.replace("kind: count, of: [stuck]", "kind: absence, after: stuck, of: [stuck]")
    absence = rule_of(other.replace("more_than: 10, ", "")).windows[0]
    assert to_window(absence) == Window("absence", ("stuck",), 300 * SECOND, after="stuck")
    other = GOOD.replace("kind: count, of: [stuck]", "kind: sequence, of: [stuck, stuck]")
    sequence = rule_of(other.replace("more_than: 10, ", "")).windows[0]
    assert to_window(sequence) == Window("sequence", ("stuck", "stuck"), 300 * SECOND)


@pytest.mark.parametrize(
    ("text", "mark", "fields"),
    [
        (f"{ROTATED}VMware ESX, pid=1000080910, {RELEASE}", "version/esxi", {"version": "7.0.3", "build": "19482537"}),
        (
            f"{ROTATED}VMware VirtualCenter, pid=3, {RELEASE}",
            "version/vcenter",
            {"version": "7.0.3", "build": "19482537"},
        ),
        (
            "2023-03-01T13:07:09Z cpu36:1001599)\x1b[45m\x1b[33;1mVMware ESXi 7.0.1 [build-16850804 x86_64]\x1b[0m",
            "version/esxi-banner",
            {"version": "7.0.1", "build": "16850804"},
        ),
        ("VMware ESXi 8.0.2 build-22380479", "version/esxi-command", {"version": "8.0.2", "build": "22380479"}),
        (
            "VMware vCenter Server 8.0.2 build-22385739",
            "version/vcenter-command",
            {"version": "8.0.2", "build": "22385739"},
        ),
        (
            "0x4539:[0x42003c70334f]PFAssert@nsxt-vsip-22667792#1.0.8.0.22667792+0x4c stack: 0x45395879b6d0, 0x1",
            "version/nsx-module",
            {"module": "1.0.8.0", "build": "22667792"},
        ),
        (
            "0x45395879b670:[0x42003c70334f][email protected]#1.0.8.0.22667792+0x4c stack: 0x45395879b6d0, 0x1",
            "version/module",
            {"module": "1.0.8.0", "build": "22667792"},
        ),
        (
            "0x45395879b670:[0x42003c70334f][email\u00a0protected]#1.0.8.0.22667792+0x4c stack: 0x45395879b6d0, 0x1",
            "version/module",
            {"module": "1.0.8.0", "build": "22667792"},
        ),
        (
            "nsxt-vsip                      4.1.2.1.0-7.0.22667792     VMware     VMwareCertified   2023-11-20",
            "version/nsx",
            {"version": "4.1.2.1", "build": "22667792"},
        ),
        ('  "node_version": "4.1.2.1.0.22667789",', "version/nsx-manager", {"version": "4.1.2.1.0.22667789"}),
        ("Article ID: 412434", "article/id", {"article": "412434"}),
        ("Updated On: ", "article/updated", {}),
        ("calendar_today", "article/calendar", {}),
        ("Issue/Introduction", "article/introduction", {}),
        ("Additional Information", "article/more", {}),
    ],
)
def test_marks(scanner: Scanner, text: str, mark: str, fields: dict[str, str]) -> None:
    found = marks_in(scanner, text + "\n")
    assert [name for name, _ in found] == [mark]
    assert fields.items() <= found[0][1].items()


@pytest.mark.parametrize(
    "text",
    [
        "2025-08-08T12:00:00Z info hostd[1] [Originator@6876 sub=Default] Section for VMware Workstation",
        "see Additional Information in the log",
        "Article ID of the day",
        "a module#1.0 and 1.0.8.0.22667792",
    ],
)
def test_what_is_no_mark(scanner: Scanner, text: str) -> None:
    assert marks_in(scanner, text + "\n") == []
