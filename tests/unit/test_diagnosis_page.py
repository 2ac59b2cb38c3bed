"""The page about a diagnosis: its sentences, what it shows of each part, and that nothing of a log can act in it."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from diagnoses import finding, hostile, storm, unknown
from pages import data, seen
from tidegate.harmless import visible
from tidegate.watch.report import diagnosis_page
from tidegate.watch.report_finding import finding_card
from tidegate.watch.report_load import callers_section, coverage_section, gaps, ports_section
from tidegate.watch.report_parts import moment, step_of, strip
from tidegate.watch.shown import escaped


def verdict(report: dict[str, Any]) -> str:
    found = re.search(r'<p class="verdict">(.*?)</p>', diagnosis_page(report))
    assert found
    return re.sub(r"<[^>]+>", "", found[1])


def test_the_verdict_in_one_sentence() -> None:
    whole = storm()
    assert verdict(whole) == (
        "2 incidents were found. The gravest: A VASA provider is flooded by hosts that reconnect on 40 hosts, "
        "from 2026-11-25 02:14:07 UTC to 2026-11-25 02:28:40 UTC."
    )
    assert verdict(whole | {"findings": [finding(scope={"hosts": ["esx01"]})]}).startswith(
        "One incident was found: A VASA provider is flooded by hosts that reconnect on esx01, from"
    )
    assert verdict(whole | {"verdict": "article", "findings": whole["findings"][2:]}).endswith(
        "Ens-Lcore threads stop."
    )


def test_no_finding_is_clear_only_when_all_was_read() -> None:
    complete = {
        "members": [{"path": "a", "ended": "whole"}],
        "from": "2026-11-25T01:50:00Z",
        "to": None,
        "complete": True,
    }
    clear = {"verdict": "clear", "findings": [], "coverage": complete}
    assert verdict(clear).startswith("Nothing known was found, and all that was given was read")
    for lacking in ({"complete": False}, {"missing": ["x"]}, {"troubles": [{"path": "b", "what": "not-a-log"}]}):
        assert verdict(clear | {"coverage": complete | lacking}).startswith("No finding, ")
        assert "banner unknown" in diagnosis_page(clear | {"coverage": complete | lacking})


def test_no_finding_and_a_gap_is_unknown_and_says_why() -> None:
    page = diagnosis_page(unknown())
    assert verdict(unknown()) == (
        "No finding, but not everything was there to be read: whether there was an incident is unknown."
    )
    assert page.count("was not read to its end (truncated): the gzip stream ends early") == 2
    assert "No record has a time." in page
    assert "no times were found" in page


def test_an_empty_report_is_a_page_too() -> None:
    assert verdict({}).endswith("unknown.")
    assert verdict({"verdict": "incident"}) == "An incident was found."


def test_everything_of_a_finding() -> None:
    card = finding_card(finding(), 0)
    for text in (
        "confidence: high",
        'href="https://knowledge.broadcom.com/external/article/412434"',
        "40: <bdi>esx01.dc1.example</bdi>",
        "A host lost a vVols container. (44 ×)",
        "<strong>Ten or more hosts within 60 s.</strong> (40, limit 10, first at 2026-11-25 02:14:31 UTC)",
        "Not reached: Twenty minutes without an end. (14, limit 20)",
        "No fix exists",
        "build=22380479",
        "esx01-vmsupport.tgz!/var/run/log/vvold.log:4121",
        "3 more are in the JSON report.",
        '<pre class="run" tabindex="0">esxcli storage vvol vasaprovider list</pre>',
        "expected: <code>Status: online</code>",
        "<code>certificate has expired</code>: not this",
    ):
        assert text in card
    said = finding_card(finding(evidence=[{"path": "callers", "line": None}], without_time=2), 0)
    assert "<bdi>callers</bdi>" in said
    assert "856, 2 of them without a time" in said
    assert card.index("Let the hosts back in waves") < card.index("Restart vvold on all hosts")
    assert card.count('<div class="record">') == 11


def test_callers_ports_and_coverage() -> None:
    whole = storm()
    called = callers_section(whole["callers"])
    assert "opened 1600 of 1900 sessions (84%)" in called
    assert "user not known" in called
    assert "(on the server itself)" in called
    assert called.count('class="bar ') == 8
    ports = ports_section(whole["ports"])
    assert "10.1.4.1 → 10.1.4.20:443" in ports
    assert '<rect class="part" width="99.05"' in ports
    assert "≤ 1\u202f200" in ports
    assert '<span class="chip critical">exhausted</span>' in ports
    assert "612 ports of 64512 are left." in ports
    assert "Inet port exhaustion" in ports
    assert "7 more buckets" in ports
    assert "In no row: 12 listening." in ports
    assert "OPER_UP" in ports
    assert "With multiplexing 310 connections would do." in ports
    assert "40 files, 419 MB, 2\u202f440\u202f000 lines" in coverage_section(whole["coverage"])
    assert gaps(whole["coverage"])[1].endswith("missing fragment: no vmkernel.log.FRAG-00002")
    assert gaps(whole["coverage"])[2] == "1\u202f200 hits were left out to stay within the limits"
    assert "<code>**/haproxy*.log*</code>: haproxy.backend.no-server" in coverage_section(whole["coverage"])
    told = {"members": [{"path": "a.gz", "ended": "truncated"}], "missing": ["a.gz: the stream ends early"]}
    assert gaps(told) == ["a.gz: the stream ends early"]
    many = {"members": [{"path": "a"}], "members_total": 700, "bytes": 5_000_000_000, "lines": 3}
    assert "700 files, 5.0 GB, 3 lines" in coverage_section(many)
    assert callers_section(None) == ports_section([]) == ""
    assert "Nobody stands out." in callers_section({"top": []})


def test_what_the_scripts_draw() -> None:
    drawn = data(diagnosis_page(storm()))
    assert [line["label"] for line in drawn["hits"]] == [
        "A VASA provider is flooded by hosts that reconnect",
        "Backups fail: NFC calls are not authenticated",
    ]
    times, counts = drawn["hits"][0]["points"]
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (0, 40, 3, 0)
    assert times == list(range(times[0], times[-1] + 60, 60))
    assert [line["label"] for line in drawn["load"]] == ["logins", "calls"]
    assert drawn["from"] < times[0] < drawn["until"]


def test_long_time_lines_are_drawn_in_longer_steps() -> None:
    long = [[minute * 60, 2] for minute in range(100_000)]
    times, counts = data(diagnosis_page({"findings": [finding(timeline=long)]}))["hits"][0]["points"]
    assert len(times) < 1500
    assert set(counts[2:-2]) == {2}
    assert strip(long).count("<rect") <= 240
    assert strip(long[:1]) == ""


def test_steps_of_ten_minutes_are_no_minutes() -> None:
    days = [[600 * step, 30] for step in range(1000)]
    times, counts = data(diagnosis_page({"findings": [finding(timeline=days)]}))["hits"][0]["points"]
    assert (times[1] - times[0], set(counts[1:-1])) == (600, {3})
    assert "most in 50 minutes: 150" in strip(days)
    assert "most in one second: 9" in strip([[601, 9], [602, 3]])
    assert [step_of([(0, 1), (last, 1)]) for last in (90_000, 90_600, 90_060, 960_000)] == [60, 600, 60, 6000]


def test_nothing_of_a_log_becomes_a_part_of_the_page() -> None:
    plain, spoiled = seen(diagnosis_page(storm())), seen(diagnosis_page(hostile()))
    assert set(spoiled.tags) <= set(plain.tags)
    assert spoiled.tags.count("script") == plain.tags.count("script") == 1
    assert {name for name, _ in spoiled.attributes} <= {name for name, _ in plain.attributes}
    assert not any(str(value).startswith(("javascript:", "http:", "//", "data:")) for _, value in spoiled.attributes)


def test_nothing_invisible_is_left() -> None:
    page = diagnosis_page(hostile())
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)
    assert "⟨ESC⟩[31mred" in page
    assert "⟨U+202E⟩gpj.exe" in page


def test_the_page_runs_its_own_script_only() -> None:
    for report in (storm(), unknown(), hostile()):
        page = diagnosis_page(report)
        script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        assert len(script) == 1
        digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in page
        assert "default-src 'none'" in page
        assert not {name for name, _ in seen(page).attributes} & {"src", "srcset", "style", "onload", "onerror"}
        assert not re.search(r"@import|url\(", "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL)))


def test_invisible_characters_are_spelled_out() -> None:
    assert visible("a\tb\nc d é שלום 😀") == "a\tb\nc d é שלום 😀"
    assert visible("\x1b\x00\r\x7f\x85\u2028\ufeff\U000e0041") == (
        "⟨ESC⟩⟨U+0000⟩⟨U+000D⟩⟨U+007F⟩⟨U+0085⟩⟨U+2028⟩⟨U+FEFF⟩⟨U+E0041⟩"
    )
    assert escaped("<&>\"'", None) == "&lt;&amp;&gt;&quot;&#x27;"
    assert escaped("x" * 12, 10) == "x" * 10 + " … (2 more characters)"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2026-11-25T02:14:07Z", "2026-11-25 02:14:07 UTC"),
        ("2026-11-25T02:14:07.512Z", "2026-11-25 02:14:07 UTC"),
        ("2026-11-25T02:14:07+01:00", "2026-11-25T02:14:07+01:00"),
        (1_795_572_840_000_000_000, "2026-11-25 02:14:00 UTC"),
        (2**80, ""),
        (None, ""),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_moments(time: object, said: str) -> None:
    assert moment(time) == said
