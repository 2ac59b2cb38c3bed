"""The page's sections about captures: what they say, the ladder's arrows, and that nothing of a packet can act."""

from __future__ import annotations

import re
from typing import Any

import pytest

from capture_reports import START, captured, collision, exhausted, ladder, night
from diagnoses import HOSTILE, spoiled
from pages import data, seen
from tidegate.watch.capture.report_found import capture_evidence, capture_facts, told
from tidegate.watch.capture.report_ladder import after, ladder_figure
from tidegate.watch.capture.report_section import capture_charts, captures_section
from tidegate.watch.report import diagnosis_page
from tidegate.watch.report_finding import finding_card
from tidegate.watch.report_load import coverage_section

PATHS = ["up.pcapng", "down.pcapng"]


def plain(page: str) -> str:
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_finding_says_its_outcome_and_every_fact_with_its_unit() -> None:
    card = plain(finding_card(collision(), 0))
    for text in (
        "3 connections began on a tuple",
        "Captures up.pcapng , down.pcapng Outcome challenge, reset, retry succeeded",
        "Occupant idle 71.2 s",
        "Reuse gap 2.25 ms",
        "Share 12.5 %",
        "Outcomes superseded: 1 , challenge, reset, retry succeeded: 2",
        "Retry shape 1, 1, 2, 4 s",
        "One sided no",
        "Syn 1\u202f812.4/s",
        "Ceiling –",
        "10.0.0.1 → 10.0.0.9:443",
        "idle, s",
        "frame.number in {8, 9, 10, 11}",
    ):
        assert text in card


def test_findings_of_many_captures_are_told_apart() -> None:
    names = [f"{n}.pcap" for n in range(6)]
    page = diagnosis_page(night() | {"findings": [collision(file=name, files=[name]) for name in names]})
    assert all(f"retry succeeded <small><bdi>{name}</bdi></small>" in page for name in names)
    assert "Capture 5.pcap " in plain(page)
    assert "3.pcap and 2 more" in plain(capture_facts({"files": names}))


def test_a_group_has_columns_for_what_the_finding_does_not_say() -> None:
    facts = {"live": 4, "taken_percent": 97.8, "cut": 0}
    table = plain(capture_evidence({"facts": facts, "groups": [{"who": "a", "count": 3, "facts": facts}]}))
    assert table == " Where, worst first who times a 3 "
    other = {"who": "b", "count": 1, "facts": {"live": 1, "taken_percent": 20}}
    table = plain(capture_evidence({"facts": facts, "groups": [{"who": "a", "count": 3, "facts": facts}, other]}))
    assert table == " Where, worst first who times taken, % live a 3 97.8 4 b 1 20 1 "
    assert "Cut" not in capture_facts({"facts": facts})
    assert "Cut" in capture_facts({"facts": {"cut": 2}})


def test_a_level_over_time_is_no_hits() -> None:
    level = [[START + second, 460 * second] for second in range(1, 1200)]
    page = diagnosis_page({"findings": [collision(rule="capture.tcp.port-exhaustion", timeline=level)]})
    assert data(page)["hits"] == []
    assert "level over time, at most 551540" in page


def test_windows_of_ten_seconds_are_drawn_as_such() -> None:
    page = diagnosis_page({"findings": [collision(timeline=[[START + 30, 3000], [START + 50, 1000]])]})
    assert data(page)["hits"][0]["points"][1] == [0, 18_000, 0, 6000, 0]
    assert "most in 10 seconds: 3000" in page
    short = data(diagnosis_page({"findings": [collision(timeline=[[START + 1, 1]])]}))
    assert short["until"] - short["from"] == 10


def test_frames_are_not_told_twice() -> None:
    records = [{"path": "up.pcapng", "line": None, "record": "frame 8: 10.0.0.1:40001 > 10.0.0.9:443 SYN seq 0"}]
    assert "frame 8:" not in finding_card(collision(evidence=records), 0)
    assert "frame 8:" in finding_card(collision(evidence=records, ladder=None), 0)


def test_a_notice_is_no_incident() -> None:
    page = diagnosis_page(night() | {"findings": [collision(), collision(kind="notice", severity="notice", title="x")]})
    assert "One incident was found: <strong>New connections" in page
    assert "no incident by itself" in page


def test_a_finding_of_a_log_has_none_of_it() -> None:
    assert capture_facts({"severity": "warning"}) == capture_evidence({"evidence": []}) == ""
    assert ladder_figure(None) == ladder_figure({"rows": []}) == ""


def test_only_numbers_become_a_filter() -> None:
    assert "frame.number in {1, 3}<" in capture_evidence({"frames": [1, "2} or (1", 3]})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("idle_s", 0.0312, ("Idle", "0.0312 s")),
        ("flows", 61_233, ("Flows", "61\u202f233")),
        ("syn_per_s", 12, ("Syn", "12/s")),
        ("idle_s", None, ("Idle", "<bdi>–</bdi>")),
        ("ports", list(range(20)), ("Ports", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more")),
        ("sni", "<b>", ("Sni", "<bdi>&lt;b&gt;</bdi>")),
    ],
)
def test_facts_in_words(name: str, value: Any, says: tuple[str, str]) -> None:
    assert told(name, value) == says


def test_the_ladder_has_an_arrow_per_frame_and_says_when_nothing_came() -> None:
    drawn = ladder_figure(ladder(), PATHS)
    assert [drawn.count(f'<g class="{looks}">') for looks in ("syn", "rst", "fin", "plain")] == [3, 1, 1, 3]
    assert drawn.count('x1="176" x2="569"') == 5  # from the left, short of the arrow's tip
    assert drawn.count('x1="578" x2="185"') == 3
    text = plain(drawn)
    for says in (
        "Before this: established, idle for 71.2 s",
        "+9.804 ms #1:10 SYN seq 0 retry",
        "+21 µs #2:5 ACK seq 1 ack 101 challenge",
        "PSH ACK seq 1 ack 1 len 517",
        "nothing for 3610.010 s",
        "# is file:frame; 1 is up.pcapng , 2 is down.pcapng",
    ):
        assert says in text


def test_frames_of_one_file_are_plain_numbers() -> None:
    rows = [row | {"file": 1} for row in ladder()["rows"]]
    text = plain(ladder_figure(ladder() | {"rows": rows}, PATHS))
    assert "#8 SYN" in text
    assert "# is the number of the frame of down.pcapng ." in text
    assert "# is the number of the frame." in plain(ladder_figure(ladder() | {"rows": rows}))
    assert "# is the number of the frame of down.pcapng ." in plain(ladder_figure(ladder() | {"rows": rows}, PATHS[1:]))


def test_frames_of_files_without_names_are_told_apart_too() -> None:
    assert "# is file:frame; 1 is up.pcapng , 2 is file 2." in plain(ladder_figure(ladder(), PATHS[:1]))


def test_a_long_ladder_ends_and_long_names_lose_their_middle() -> None:
    drawn = ladder_figure(ladder() | {"rows": ladder()["rows"] * 9, "left": "x" * 40 + "y" * 40})
    assert drawn.count("<g class=") == 40
    assert f"{'x' * 21}…{'y' * 21}" in drawn


@pytest.mark.parametrize(
    ("ns", "says"),
    [(0, "+0 µs"), (9_804_000, "+9.804 ms"), (-20_000, "-20 µs"), (61 * 10**9, "+61.000 s"), (36 * 10**12, "+10.0 h")],
)
def test_times_after_the_first_frame(ns: int, says: str) -> None:
    assert after(ns) == says


def test_a_capture_tells_what_it_cannot_tell_first() -> None:
    text = plain(captures_section([exhausted()]))
    for says in (
        "Only one direction was captured. Not judged: half-open , idle-timeout .",
        "12 flows had to make room for others: numbers are at least what is shown",
        "80\u202f000, 27\u202f800 of them live at the end",
        "SF established, and ended by both sides 90 % 71\u202f800",
        "OTH none of these: begun before the capture, or never done with its handshake &lt; 1 % 10",
        "time-wait 86 % 23\u202f800",
        "truncated left out: 200 not-ip, 10 cut-short",
        "at most 259 at once",
    ):
        assert says in text
    assert "SH SYN" not in text


def test_what_was_read_of_captures_is_told_in_packets() -> None:
    capture = {"path": "a.pcap", "bytes": 0, "lines": 0, "packets": 1300, "ended": "whole"}
    text = plain(coverage_section({"members": [capture], "complete": True}))
    assert "1 file, 1\u202f300 packets of TCP" in text
    assert "a.pcap – 1\u202f300 packets – – whole" in text
    mixed = plain(coverage_section({"members": [capture, {"path": "b.log", "bytes": 70, "lines": 2}]}))
    assert "2 files, 70 bytes, 2 lines, 1\u202f300 packets of TCP" in mixed


def test_ports_are_judged_by_the_watermarks_of_the_house() -> None:
    section = captures_section([exhausted()])
    assert section.count('<line x1="90" x2="90"') == 3
    assert re.findall(r'class="chip \w*">(\w+)', section) == ["exhausted", "warning", "ok"]
    assert "32768–60999" in section
    assert "28\u202f232" in section


def test_many_captures_have_few_cards_and_one_table() -> None:
    section = captures_section(night()["captures"])
    assert section.count('<section class="card capture"') == 2
    assert section.index("up.pcapng") < section.index("quiet.pcap") < section.index("empty.pcap")
    assert "4 files" in section
    many = captures_section([captured([f"{n}.pcap"]) for n in range(300)])
    assert many.count('<section class="card capture"') == 8
    assert "100 more are in the JSON report." in many
    assert captures_section([]) == ""
    assert "no packet" in captures_section([{}])


def test_what_the_script_draws() -> None:
    charts = capture_charts(night()["captures"])
    assert [chart["place"] for chart in charts] == ["capture-charts-0", "capture-charts-1"]
    assert [line["label"] for line in charts[0]["handshakes"]] == ["established", "opened", "answered", "refused"]
    times, opened = charts[0]["handshakes"][1]["points"]
    assert (opened[0], opened[1], len(times)) == (0, 400, 602)
    assert charts[1]["until"] - charts[1]["from"] == 10
    assert charts[1]["half_open"] == []
    assert data(diagnosis_page(night()))["captures"][0]["place"] == "capture-charts-0"


def test_a_long_capture_is_drawn_in_longer_steps() -> None:
    # the report has a point for every 32 s of a day
    day = [[second, 128, 128, 64, 0] for second in range(0, 86_400, 32)]
    chart = capture_charts([captured(["day.pcap"], handshakes=day, half_open=[[n, n % 96] for n, *_ in day])])[0]
    times, opened = chart["handshakes"][1]["points"]
    assert (len(times), times[2] - times[1], set(opened[1:-1])) == (1352, 64, {4})
    assert set(chart["half_open"][0]["points"][1]) == {32, 64}


def test_a_gauge_holds_until_the_end() -> None:
    start = night()["captures"][1]["handshakes"][0][0]
    made = captured(["x.pcap"], handshakes=[[start + 90, 1, 1, 1, 0]], half_open=[[start, 5], [start + 2, 3]])
    assert capture_charts([made])[0]["half_open"][0]["points"] == [[start, start + 2, start + 91], [5, 3, 3]]


def test_nothing_of_a_packet_becomes_a_part_of_the_page() -> None:
    clean, bad = diagnosis_page(night()), diagnosis_page(spoiled(night()))
    for page in (clean, bad):
        assert not {name for name, _ in seen(page).attributes} & {"src", "srcset", "style", "onload", "onerror"}
    assert set(seen(bad).tags) <= set(seen(clean).tags)
    assert {name for name, _ in seen(bad).attributes} <= {name for name, _ in seen(clean).attributes}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", bad)
    assert "<script>" not in capture_facts({"facts": {HOSTILE: HOSTILE}})
