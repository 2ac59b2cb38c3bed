"""Hits become findings: one per rule and kind, an article is no incident, and nothing counts twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidegate.watch.findings import article_members, findings
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

RULE = """\
schema: 1
id: test.storm.refused
rev: 1
title: Clients are refused
kind: log
article: 440879
source: {title: A page, url: "https://example.org/page", retrieved: 2026-11-25}
severity: critical
products: [vcenter]
explains: Too many of them.
signatures:
  - {id: refused, says: One is refused., literals: ["connection refused by"], all: ['by (?P<vp>\\w+)']}
  - {id: again, says: It tries again., literals: ["will try once more"], role: supports}
  - {id: said, says: The article., from: prose, literals: ["clients are refused when"]}
windows:
  - {id: storm, kind: count, of: [refused], over: 60s, more_than: 2, says: More than two in a minute.}
  - id: wide
    kind: distinct
    of: [refused]
    field: host
    by: [provider]
    over: 60s
    at_least: 2
    severity: warning
    says: Two hosts.
versions: {product: vcenter, affected: [{range: ">=8.0 <9.0", basis: stated}], fixed: [{from: "8.0.3"}], fix: listed}
remedies:
  - {id: second, title: Second, steps: [{do: Wait.}], verify: [{say: It is quiet.}]}
  - {id: first, title: First, prefer: true, steps: [{do: Stop.}], verify: [{say: It is quiet.}]}
"""
MINUTE = 60 * 10**9


@pytest.fixture
def rules(tmp_path: Path) -> RuleSet:
    file = tmp_path / "test.storm.refused.yaml"
    file.write_text(RULE)
    return load_rules([file], shipped=False)


def hit(at: int | None = 0, signature: str = "refused", member: int = 0, line: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "signature": f"test.storm.refused/{signature}", "member": member, "line": line, "offset": line * 100,
        "time": at, "time_source": "record" if at is not None else "none", "zone": "utc", "host": None,
        "program": "vpxd", "pid": "7", "severity": "info", "fields": {"vp": "a"}, "truncated": False,
        "record": f"connection refused by a {line}", **more,
    }  # fmt: skip


def scanned(*hits: dict[str, Any], marks: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    paths = ["esx-1/var/log/a.log", "esx-2/var/log/a.log", "kb.txt"]
    members = [
        {
            "index": i,
            "path": path,
            "bytes": 1,
            "lines": 1,
            "first": 0,
            "last": 100 * MINUTE,
            "ended": "whole",
            "why": "",
        }
        for i, path in enumerate(paths)
    ]
    return {"members": members, "hits": list(hits), "marks": list(marks)}


def mark(name: str, member: int = 2, **fields: str) -> dict[str, Any]:
    return {"mark": name, "member": member, "line": 1, "time": None, "fields": fields, "record": "…"}


def test_below_the_window_it_is_a_notice(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(hit(0), hit(1)))
    assert (found["kind"], found["severity"], found["hits"]) == ("incident", "notice", 2)
    assert [window["fired"] for window in found["windows"]] == [False, False]


def test_the_window_makes_it_what_the_rule_says(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(*(hit(n, line=n + 1) for n in range(3))))
    assert (found["severity"], found["confidence"]) == ("critical", "high")
    assert found["windows"][0]["count"] == 3
    assert found["scope"] == {"hosts": ["esx-1"], "providers": ["a"], "vcenters": ["esx-1"]}
    assert found["timeline"] == [[0, 3]]
    assert [remedy["id"] for remedy in found["remedies"]] == ["first", "second"]


def test_hosts_come_from_paths(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(hit(0), hit(5, member=1)))
    assert (found["severity"], found["scope"]["hosts"]) == ("warning", ["esx-1", "esx-2"])
    assert found["windows"][1]["episodes"][0]["scope"] == {"provider": "a"}


def test_a_copy_of_a_record_counts_once(rules: RuleSet) -> None:
    copies = [hit(n, member=m, host="h", line=n + 1) for n in (0, 1) for m in (0, 1)]
    (found,) = findings(rules, scanned(*copies))
    assert found["hits"] == 2
    assert not found["windows"][0]["fired"]


def test_the_same_line_twice_in_one_log_counts_twice(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(*(hit(0, line=n) for n in range(3))))
    assert found["windows"][0]["fired"]


def test_an_article_is_no_incident(rules: RuleSet) -> None:
    marks = (mark("article/id", article="440879"), mark("article/more"))
    result = scanned(*(hit(n, member=2) for n in range(30)), marks=marks)
    assert article_members(result) == {2}
    (found,) = findings(rules, result)
    assert (found["kind"], found["severity"]) == ("article", "notice")


def test_one_heading_makes_no_article(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(hit(0, member=2), marks=(mark("article/more"),)))
    assert found["kind"] == "incident"


def test_prose_is_an_article_wherever_it_stands(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(hit(None, "said")))
    assert found["kind"] == "article"


def test_support_alone_is_no_finding(rules: RuleSet) -> None:
    assert findings(rules, scanned(hit(0, "again"))) == []


def test_support_makes_it_surer(rules: RuleSet) -> None:
    (alone,) = findings(rules, scanned(hit(0)))
    (supported,) = findings(rules, scanned(hit(0), hit(1, "again", line=2)))
    assert (alone["confidence"], supported["confidence"]) == ("medium", "high")


def test_hits_without_a_time_are_told_and_in_no_window(rules: RuleSet) -> None:
    (found,) = findings(rules, scanned(*(hit(None, line=n) for n in range(9))))
    assert (found["without_time"], found["first"], found["severity"]) == (9, None, "notice")


@pytest.mark.parametrize(("version", "verdict"), [("8.0.2", "affected"), ("8.0.3", "fixed"), ("7.0.3", "unknown")])
def test_the_version_is_judged_by_the_line_that_says_it(rules: RuleSet, version: str, verdict: str) -> None:
    marks = (mark("version/vcenter", 0, version=version, build="23319993"), mark("version/esxi", 1, version="6.7"))
    (found,) = findings(rules, scanned(hit(0), marks=marks))
    told = found["version_verdict"]
    assert (told["verdict"], [each["path"] for each in told["evidence"]]) == (verdict, ["esx-1/var/log/a.log"])


def test_what_is_shown_is_harmless_and_holds_no_secret(rules: RuleSet) -> None:
    record = "connection refused by a password=hunter2 \x1b[2J"
    (found,) = findings(rules, scanned(hit(0, record=record, fields={"vp": "a\u202e"})))
    assert "hunter2" not in str(found)
    assert "\x1b" not in str(found)
    assert found["scope"]["providers"] == ["a\\u202e"]
