"""The pages about captures are true: every word, timer, rule and key of the program stands in them, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "captures.md").read_text()
CRATES = ROOT / "crates"


def section(title: str) -> str:
    """Return what stands under a heading."""
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_reason_to_skip_a_record_is_told() -> None:
    source = (CRATES / "tidegate-scan/src/capture/skip.rs").read_text()
    words = re.findall(r'Skip::\w+ => "([a-z-]+)"', source)
    told = re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", section("What is read"), re.MULTILINE)))
    assert sorted(words) == sorted(told)


def test_every_state_is_told() -> None:
    source = (CRATES / "tidegate-core/src/flow/state.rs").read_text()
    names = set(re.findall(r'State::\w+ => "([a-z-]+)"', source)) - {"none"}
    assert names == set(re.findall(r"`([a-z-]+)`", section("States")))


def test_the_timers_are_those_of_the_program() -> None:
    source = (CRATES / "tidegate-core/src/flow/profile.rs").read_text()
    profiles = {
        name: [int(each.replace("_", "")) for each in seconds.split(",")]
        for name, seconds in re.findall(r'profile\("([a-z-]+)", \[([\d_, ]+)\]\)', source)
    }
    rows = re.findall(
        r"^\| `([a-z-]+)` \|([\d| ]+)\|$", section("How long others remember a silent flow"), re.MULTILINE
    )
    assert {name: [int(each) for each in cells.split("|")] for name, cells in rows} == profiles
    assert len(profiles) == 4
