"""The pages about captures are true: every word, timer, rule and key of the program stands in them, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tidegate.watch.load import load_rules

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


def test_every_rule_is_told_and_no_other() -> None:
    rules = {rule.id for rule in load_rules(None).rules if rule.capture is not None}
    assert set(re.findall(r"^\| `(capture\.[a-z.-]+)` \|", section("Findings"), re.MULTILINE)) == rules
    assert len(rules) == 10


def test_what_is_withheld_is_told() -> None:
    source = (CRATES / "tidegate-scan/src/flows/find/sides.rs").read_text()
    needs = re.search(r"const NEEDS_BOTH: \[&str; \d+\] = \[([^\]]+)\]", source)
    assert needs
    told = section("When verdicts are withheld")
    assert {name for name in re.findall(r'"([a-z-]+)"', needs[1]) if f"`{name}`" not in told} == set()


def test_every_key_of_a_report_is_told() -> None:
    """Fields of the report and of a file's part, as Rust has them; ``each`` is for those who compare machines."""
    told = section("JSON")
    for file, name in (
        ("report.rs", "Report"),
        ("files.rs", "FileLine"),
        ("found.rs", "Found"),
        ("found.rs", "BucketLine"),
    ):
        source = (CRATES / "tidegate-scan/src/flows" / file).read_text()
        body = re.search(rf"pub struct {name} \{{(.*?)^\}}", source, re.MULTILINE | re.DOTALL)
        assert body
        fields = set(re.findall(r"^    pub (\w+):", body[1], re.MULTILINE)) - {"each"}
        assert {field for field in fields if f"`{field}`" not in told} == set(), name
