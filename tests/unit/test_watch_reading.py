"""Batches become hits: places that repeat, hosts as the source knows them, articles that are no incidents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.watch.live.model import Batch, Hit
from tidegate.watch.live.reading import ROWS, Reader, sender_gaps
from tidegate.watch.live.source import Source
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

RULE = """\
schema: 1
id: test.storm.refused
rev: 1
title: Clients are refused
kind: log
source: {title: A page, url: "https://example.org/page", retrieved: 2026-11-25}
severity: critical
products: [vcenter]
explains: Too many of them.
signatures:
  - {id: refused, says: One is refused., literals: ["connection refused by"], all: ['by (?P<vp>\\S+)']}
  - {id: deep, says: Two lines tell it., literals: ["client was refused"], all: ['(?s)client was refused.+for good']}
  - {id: said, says: The article., from: prose, literals: ["clients are refused when"]}
"""
DAY = 86_400 * 10**9
NOON = 20_000 * DAY + DAY // 2
LINE = "2024-10-04T12:00:{:02d}.000Z info vpxd[12] [Originator@6876 sub=x] connection refused by {}\n"
SAID = "2024-10-04T12:00:00.000Z esx1 root: {}\n"
HEADINGS = SAID.format("Article ID: 412434") + SAID.format("Issue/Introduction")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "test.storm.refused.yaml").write_text(RULE)
    return load_rules([folder, Path(__file__).parents[2] / "src/tidegate/watch/rules/esxi.syslog.dropped.yaml"])


def batch(text: str, base: int = 0, **changes: object) -> Batch:
    data = text.encode()
    position = {"offset": base + len(data)}
    made = Batch("files.logs", "vpxd.log#1", "/var/log/vpxd.log", data, base, NOON, position)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_hit_tells_where_its_record_begins(rules: RuleSet) -> None:
    noise = "2024-10-04T11:59:59.000Z info vpxd[12] nothing\n"
    hits = Reader(rules).read(batch(noise + LINE.format(1, "vasa1"), base=5_000_000_000))
    assert [(hit.rule, hit.signature, hit.place) for hit in hits] == [
        ("test.storm.refused", "refused", 5_000_000_000 + len(noise))
    ]
    assert hits[0].time == 1_728_043_201 * 10**9
    assert hits[0].values["provider"] == "vasa1"
    assert hits[0].values["host"] == ""


def test_a_host_lends_another_one_no_time(rules: RuleSet) -> None:
    one, two = LINE.format(1, "vasa1"), "<13>connection refused by vasa1\n"
    reader = Reader(rules)
    assert [hit.time for hit in reader.read(batch(one + two))] == [1_728_043_201 * 10**9] * 2
    hits = reader.read(batch(one + two, hosts=((0, "esx1"), (len(one), "esx2"))))
    assert [hit.time for hit in hits] == [1_728_043_201 * 10**9, NOON]


@pytest.mark.parametrize(
    ("clock", "live", "seconds"),
    [
        # NOON is 12:00:00 UTC of 4 October 2024.
        ("Oct  4 12:00:03", True, 3),
        ("Oct  4 13:59:58", True, -2),
        ("Oct  4 06:00:01", True, 1),
        ("Oct  4 17:45:01", True, 1),
        ("Oct  4 13:59:58", False, 7198),
        ("Oct  2 12:00:00", True, -2 * 86_400),
        ("2024-10-04T13:59:58Z", True, 7198),
    ],
)
def test_a_time_without_a_zone_is_in_the_zone_that_it_was_sent_from(
    rules: RuleSet, clock: str, live: bool, seconds: int
) -> None:
    text = f"<13>{clock} esx1 vpxd[12]: connection refused by vasa1\n"
    (hit,) = Reader(rules).read(batch(text, hosts=((0, "esx1"),), live=live))
    assert hit.time == NOON + seconds * 10**9


def test_hosts_are_those_that_the_source_knows(rules: RuleSet) -> None:
    one, two = LINE.format(1, "vasa1"), LINE.format(2, "vasa1")
    given_hosts = ((0, "esx1"), (len(one), "esx2"))
    hits = Reader(rules).read(batch(one + two, hosts=given_hosts))
    assert [hit.values["host"] for hit in hits] == ["esx1", "esx2"]


def test_a_path_names_the_host_where_nothing_else_does(rules: RuleSet) -> None:
    name = "esx7.example/var/log/vvold.log"
    assert Reader(rules).read(batch(LINE.format(1, "vasa1"), name=name))[0].values["host"] == "esx7.example"


def test_secrets_and_controls_are_not_handed_on(rules: RuleSet) -> None:
    line = LINE.format(1, "vasa1 password=hunter2 \x1b[31mred")
    hit = Reader(rules).read(batch(line))[0]
    assert "hunter2" not in hit.record
    assert "\x1b" not in hit.record


def test_so_many_records_are_shown_as_evidence_needs(rules: RuleSet) -> None:
    text = "".join(LINE.format(second, f"vasa{second % 2}") for second in range(20))
    hits = Reader(rules).read(batch(text))
    assert len(hits) == 20
    assert sum(bool(hit.record) for hit in hits) == 6


def test_what_stands_in_an_article_is_quoted(rules: RuleSet) -> None:
    hits = Reader(rules).read(
        batch(LINE.format(1, "a") + HEADINGS + LINE.format(2, "b") + SAID.format("clients are refused when"))
    )
    assert [(hit.signature, hit.quoted) for hit in hits] == [("refused", False), ("refused", True), ("said", True)]


def test_a_record_that_holds_the_headings_is_quoted(rules: RuleSet) -> None:
    text = LINE.format(1, "a") + "Article ID: 412434\nIssue/Introduction\n"
    assert [hit.quoted for hit in Reader(rules).read(batch(text))] == [True]


def test_one_heading_makes_no_article(rules: RuleSet) -> None:
    text = SAID.format("Article ID: 412434") * 3 + LINE.format(2, "b")
    assert [hit.quoted for hit in Reader(rules).read(batch(text))] == [False]


def test_headings_far_before_a_record_quote_nothing(rules: RuleSet) -> None:
    noise = SAID.format("nothing at all") * 2_000
    reader = Reader(rules)
    assert reader.read(batch(HEADINGS)) == []
    assert list(reader.changed().values()) == [{"article/id": 0, "article/introduction": len(HEADINGS) // 2}]
    assert [hit.quoted for hit in reader.read(batch(noise + LINE.format(2, "b"), base=len(HEADINGS)))] == [False]
    assert list(reader.changed().values()) == [None]


def test_a_host_quotes_no_other(rules: RuleSet) -> None:
    reader = Reader(rules)
    reader.read(batch(HEADINGS, hosts=((0, "mallory"),)))
    record = LINE.format(1, "a")
    hosts = ((0, "alice"), (len(record), "mallory"))
    assert [hit.quoted for hit in reader.read(batch(record * 2, base=len(HEADINGS), hosts=hosts))] == [False, True]


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([LINE.format(1, "a"), HEADINGS, SAID.format("noise"), LINE.format(2, "b")]), max_size=8),
    st.data(),
)
def test_batches_and_crashes_change_nothing(rules: RuleSet, parts: list[str], data: st.DataObject) -> None:
    whole = Reader(rules).read(batch("".join(parts)))
    reader, rows, base = Reader(rules), {}, 0
    found: list[Hit] = []
    for part in parts:
        found += reader.read(batch(part, base=base))
        base += len(part)
        rows.update(reader.changed())
        if data.draw(st.booleans()):
            reader = Reader(rules, [(kind, key, row) for (kind, key), row in rows.items() if row is not None])
    assert [(hit.place, hit.signature, hit.quoted) for hit in found] == [
        (hit.place, hit.signature, hit.quoted) for hit in whole
    ]
    assert {kind for kind, _ in rows} <= {ROWS}


def test_what_a_sender_has_lost_is_a_gap(rules: RuleSet) -> None:
    text = "2024-10-04T12:00:01.000Z esx1 vmsyslogd: vmsyslog logger 10.0.0.1:514 lost 156959 log messages\n"
    gaps = sender_gaps(Reader(rules).read(batch(text)))
    assert [(gap.kind, gap.count, gap.since) for gap in gaps] == [("sender_lost", 156_959, 1_728_043_201 * 10**9)]
    stress = "2024-10-04T12:00:01.000Z esx1 vmsyslogd: Dropping messages due to log stress (qsize = 25000)\n"
    assert [gap.count for gap in sender_gaps(Reader(rules).read(batch(stress)))] == [None]


def test_years_are_given_by_the_day_of_arrival(rules: RuleSet) -> None:
    text = "Oct  4 12:00:01 esx1 vpxd: connection refused by vasa1\n"
    reader = Reader(rules)
    times = [reader.read(batch(text, arrival=NOON + years * 365 * DAY))[0].time for years in (0, 1)]
    assert times[0] is not None
    assert times[1] is not None
    assert times[1] - times[0] == 365 * DAY


def test_the_newest_time_is_told_without_hits(rules: RuleSet) -> None:
    reader = Reader(rules)
    assert reader.read(batch(SAID.format("nothing"))) == []
    assert reader.newest == 1_728_043_200 * 10**9
    assert reader.read(batch("")) == []
    assert reader.newest is None


def test_a_source_has_a_name_runs_and_tells() -> None:
    assert {"name", "run", "view"} <= set(Source.__annotations__) | set(vars(Source))
