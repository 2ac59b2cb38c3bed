"""What a capture shows as findings, members and gaps, from reports as the reader writes them."""

from __future__ import annotations

from typing import Any

import pytest
from rich.table import Table

from capture_reports import captured, exhausted, ladder
from tidegate.cli.diagnose_capture import capture_shown
from tidegate.watch.capture.coverage import with_captures
from tidegate.watch.capture.findings import capture_findings
from tidegate.watch.capture.says import fact_words
from tidegate.watch.coverage import coverage
from tidegate.watch.load import load_rules

RESULT: dict[str, Any] = {"members": [], "hits": [], "marks": [], "troubles": [], "cut": {"hits": 0}}
COLLIDED = {
    "finding": "tuple-collision", "severity": "warning", "confidence": "high",
    "outcome": "challenge, reset, retry succeeded", "count": 2, "first": 1_795_572_840_000_000_000,
    "last": 1_795_572_841_000_000_000,
    "frames": [{"file": 1, "frame": 5}, {"file": 0, "frame": 8}, {"file": 1, "frame": 6}],
    "groups": [{"who": "10.0.0.1 -> 10.0.0.2\x1b:443", "count": 2, "facts": {"idle_s": 71.25}}],
    "facts": {"occupant_state": "established", "reuse_gap_ms": 2.25}, "timeline": [[1_795_572_840, 2]],
    "ladder": {**ladder(), "rows": [{**row, "note": row["note"] or ""} for row in ladder()["rows"]]},
}  # fmt: skip


def found(**changes: Any) -> list[dict[str, Any]]:
    report = {**exhausted(), "found": [{**COLLIDED, **changes}]}
    return list(capture_findings(load_rules(), RESULT, [captured(["quiet.pcap"]), report]))


def test_a_finding_has_its_rule_and_what_the_packets_say() -> None:
    (finding,) = found()
    assert (finding["rule"], finding["article"]) == ("capture.tcp.tuple-collision", "425869")
    assert (finding["kind"], finding["severity"], finding["confidence"]) == ("incident", "warning", "high")
    assert (finding["hits"], finding["first"]) == (2, "2026-11-25T02:14:00.000Z")
    assert finding["outcome"] == "challenge, reset, retry succeeded"
    assert finding["remedies"][0]["prefer"]
    assert finding["groups"][0]["who"] == finding["scope"]["buckets"][0] == "10.0.0.1 -> 10.0.0.2\\x1b:443"


def test_frames_are_those_of_one_file_which_is_named() -> None:
    (finding,) = found()
    assert (finding["file"], finding["frames"]) == ("down.pcapng", [5, 6])
    assert finding["files"] == ["up.pcapng", "down.pcapng"]
    assert finding["says"] == (
        "2 connections met old ones that held the same four numbers: challenge, reset, retry succeeded; "
        "10.0.0.1 -> 10.0.0.2\\x1b:443 (frame 5 of down.pcapng)."
    )


def test_the_example_is_evidence() -> None:
    (finding,) = found()
    first = finding["evidence"][0]
    assert (first["path"], first["line"], first["time"]) == ("up.pcapng", None, "2026-11-25T02:14:00.000Z")
    assert first["record"].startswith(
        "frame 8: 10.0.0.1:40001 > [2001:db8:40:2::1a2b:3c4d:5e6f]:8443 (vlan 117) SYN seq 0"
    )
    assert first["record"].endswith("(on a live tuple)")


def test_a_notice_is_no_incident() -> None:
    (finding,) = found(severity="notice", ladder=None, frames=[], groups=[], outcome=None, count=1)
    assert (finding["kind"], finding["evidence"], finding["frames"]) == ("notice", [], [])
    assert finding["says"] == "1 connection met an old one that held the same four numbers (in up.pcapng)."


@pytest.mark.parametrize("word", ["one-sided", "drops"])
def test_what_is_wrong_with_the_capture_is_no_incident(word: str) -> None:
    (finding,) = found(finding=word, outcome=None)
    assert (finding["kind"], finding["severity"]) == ("notice", "warning")
    report = detailed({**captured(["quiet.pcap"], evicted=0), "found": [{"finding": word}]}, "")
    report["files"][0]["skipped"] = {}
    assert with_captures(coverage(RESULT, {}), [report])["complete"] == (word == "one-sided")


def test_what_no_rule_is_about_is_left_out() -> None:
    assert found(finding="never-heard-of") == []


def detailed(report: dict[str, Any], *details: str) -> dict[str, Any]:
    for file, detail in zip(report["files"], details, strict=True):
        file["detail"] = detail
    return {"unplaced": 0, **report}


def test_what_was_read_of_captures_is_told_with_its_gaps() -> None:
    covered = with_captures(
        coverage(RESULT, {"**/ltm*": ["f5.rule"]}), [detailed(exhausted(), "", "It ends in the middle.")]
    )
    assert (covered["members_total"], covered["members"][0]["packets"]) == (2, 450_000)
    assert (covered["from"], covered["to"]) == ("2026-11-25T02:14:00.000Z", "2026-11-25T02:24:00.000Z")
    assert covered["missing"] == [
        "up.pcapng: records that could not be read: 10 cut-short",
        "down.pcapng: It ends in the middle.",
        "down.pcapng: records that could not be read: 10 cut-short",
        "2 captures: nothing is said about half-open, idle-timeout: Only one direction was captured.",
        "2 captures: 12 connections were given up, as there were too many at a time",
    ]
    assert (covered["complete"], covered["not_read"]) == (False, [])


def test_a_whole_capture_is_complete() -> None:
    quiet = detailed(captured(["quiet.pcap"], evicted=0), "")
    quiet["files"][0]["skipped"] = {"not-ip": 3, "not-tcp": 9}
    assert with_captures(coverage(RESULT, {}), [quiet])["complete"]
    quiet["files"][0]["packets"] = 0
    assert with_captures(coverage(RESULT, {}), [quiet])["missing"] == ["quiet.pcap: there is no packet of TCP in it"]


def test_without_captures_nothing_changes() -> None:
    covered = coverage(RESULT, {})
    assert with_captures(covered, []) == covered


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("idle_s", 71.25, "idle: 71.25 s"),
        ("share_percent", 98.456, "share: 98.46 %"),
        ("syn_per_s", 1800, "syn: 1800/s"),
        ("one_sided", False, "one sided: no"),
        ("retry_shape_s", [1, 1, 2], "retry shape: 1, 1, 2 s"),
        ("outcomes", {"rejected": 2}, "outcomes: rejected 2"),
        ("cause", "x" * 200, f"cause: {'x' * 160} …"),
    ],
)
def test_facts_in_words(name: str, value: object, words: str) -> None:
    assert fact_words(name, value) == words


def test_on_a_terminal_it_is_a_sentence_facts_and_a_ladder() -> None:
    (finding,) = found()
    says, explains, facts, group, ends, table = capture_shown(finding)
    assert "Confidence high." in str(says)
    assert str(explains) == finding["explains"]
    assert str(facts) == "occupant state: established; reuse gap: 2.25 ms"
    assert str(group).startswith(finding["groups"][0]["who"])
    assert str(ends).startswith(
        "10.0.0.1:40001 on the left, [2001:db8:40:2::1a2b:3c4d:5e6f]:8443 (vlan 117) on the right"
    )
    assert len(list(capture_shown(finding, again=True))) == 5
    assert isinstance(table, Table)
    assert table.row_count == 8
