"""Exports: right queries for what a target can count, and a refusal with the reason for what it cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from rule_texts import GOOD, rule_of
from tidegate.watch.export import aria, loki, prometheus
from tidegate.watch.export.common import Export
from tidegate.watch.export.phrases import literal_of, phrases_of
from tidegate.watch.export.text import as_text
from tidegate.watch.live.groups import groups
from tidegate.watch.load import load_rules
from tidegate.watch.rule import Rule

EXPORTERS = {"aria": aria.export, "loki": loki.export, "prometheus": prometheus.export}


@pytest.fixture(scope="module")
def shipped() -> dict[str, Rule]:
    return {(rule.kind != "capture" and rule.article) or rule.id: rule for rule in load_rules().rules}


def changed(old: str, new: str) -> Rule:
    text = GOOD.replace(old, new)
    assert text != GOOD
    return rule_of(text)


def reasons(made: Export) -> dict[str, str]:
    return {refusal.alert: refusal.reason for refusal in made.refusals}


def texts_of(alert: dict[str, Any]) -> list[str]:
    (inner,) = alert["query"]["constraints"]["constraints"]
    return [one["value"] for one in inner["constraints"]]


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"code: 500\(Internal\)", "code: 500(Internal)"),
        ("plain", "plain"),
        (r"a\.b", "a.b"),
        (r"a.b", None),
        (r"a+", None),
        (r"\d", None),
        (r"a\s+b", None),
        ("a|b", None),
        ("ab?", None),
    ],
)
def test_the_one_text_of_a_regex(pattern: str, literal: str | None) -> None:
    assert literal_of(pattern) == literal


@pytest.mark.parametrize(
    ("pattern", "phrases"),
    [
        (r"fileManagement\. The session is not", ["fileManagement. The session is not"]),
        (r"PFSTATE\)\s+==\s+0", ["PFSTATE) == 0"]),
        (r"backend \S+ has no server", ["backend", "has no server"]),
        (r"host-\d+ is gone", ["is gone"]),
        (r"from \[[^\]]*\] failed", ["from [", "] failed"]),
        (r"(?:one|two) three", ["three"]),
        (r"\[a\]b{2,3}cde fgh", ["fgh"]),
        (r"one|two", None),
        (r"\d+", None),
    ],
)
def test_texts_that_are_in_whatever_a_regex_matches(pattern: str, phrases: list[str] | None) -> None:
    assert phrases_of(pattern) == phrases


@given(st.text(alphabet=r"ab \.*+?()[]{}|^$1,-sd", max_size=20))
def test_any_pattern_is_read_to_its_end(pattern: str) -> None:
    literal_of(pattern)
    phrases_of(pattern)


def test_contains_looks_for_words() -> None:
    text = '--> msg = "fault from [...]: fileManagement. The session is not authenticated."'
    assert aria.contains("filemanagement the session", text)
    assert aria.contains("The session is not authenticated", text)
    assert not aria.contains("session is not authentic", text)
    assert not aria.contains("is the session", text)


def test_the_alert_that_the_article_asks_for(shipped: dict[str, Rule]) -> None:
    made = aria.export([shipped["440879"]])
    assert made.refusals == ()
    (alert,) = made.alerts
    assert (alert["periodInMillis"], alert["threshold"], alert["operator"]) == (300_000, 10, "GREATER_THAN")
    assert alert["alertType"] == "windowed"
    assert texts_of(alert) == ["fileManagement. The session is not authenticated"]
    assert (
        "vim.NfcService.fileManagement\") does not match the article's own sample; this one does"
        in alert["description"]
    )
    assert "Restart vpxd and the host gateway" in alert["recommendations"]


def test_loki_counts_the_one_line_of_a_record(shipped: dict[str, Rule]) -> None:
    made = loki.export([shipped["440879"]])
    assert made.refusals == ()
    expressions = {alert["alert"].partition("/")[2]: alert["expr"] for alert in made.alerts}
    line = "`fileManagement. The session is not authenticated`"
    counted = f'count_over_time({{job=~"(?i:envoy-hgw|vpxd)"}} |= {line} [300s] offset 30s)'
    assert expressions["storm"] == f"sum ({counted}) > 10"


def test_loki_counts_hosts_by_provider(shipped: dict[str, Rule]) -> None:
    made = loki.export([shipped["412434"]])
    expressions = {alert["alert"].partition("/")[2]: alert["expr"] for alert in made.alerts}
    assert expressions["storm"].startswith(
        'count by (url) (sum by (url, host) (count_over_time({job=~"(?i:vvold)"} |~ `'
    )
    assert expressions["storm"].endswith("[60s] offset 30s)) > 0) >= 5")
    assert expressions["one-host"].startswith("sum by (host, url) (count_over_time(")
    assert expressions["one-host"].endswith("[600s] offset 30s)) > 4")
    assert "| regexp `setContext" in expressions["storm"]


def test_prometheus_compares_our_gauge(shipped: dict[str, Rule]) -> None:
    made = prometheus.export([shipped["412434"]])
    assert made.refusals == ()
    gauge = 'tidegate_watch_window_count{rule="vasa.provider.setcontext-storm", window='
    assert [alert["expr"] for alert in made.alerts] == [f'{gauge}"storm"}} >= 5', f'{gauge}"one-host"}} > 4']


def test_what_aria_cannot_count() -> None:
    made = aria.export([rule_of(GOOD)])
    assert reasons(made) == {
        "lab.pump.stuck/pumps": "it counts different values of pump, and an alert there counts events"
    }
    assert [alert["name"] for alert in made.alerts] == ["tidegate lab.pump.stuck/storm"]
    by = aria.export([changed("more_than: 10,", "more_than: 10, by: [host],")])
    assert "it counts by host, and an alert there counts all events together" in reasons(by)["lab.pump.stuck/storm"]
    short = aria.export([changed("over: 300s", "over: 59s")])
    assert "shorter than the shortest there, 60 s" in reasons(short)["lab.pump.stuck/storm"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("line: 'is stuck: PRESSURE_FAULT'", "line: 'is stuck forever'", 'it would count the test "sample" 0 times'),
        ("text: |-\n", "text: |-\n        x is stuck: PRESSURE_FAULT\n", 'it would count the test "sample" 2 times'),
        ("is stuck in a rehearsal: ", "is stuck: ", 'it would count the test "a rehearsal", which is no failure'),
    ],
)
@pytest.mark.parametrize("target", ["aria", "loki"])
def test_what_would_be_missed_or_counted_twice(target: str, old: str, new: str, reason: str) -> None:
    made = EXPORTERS[target]([changed(old, new)])
    assert reason in reasons(made)["lab.pump.stuck/storm"]


def test_a_signature_without_a_line_is_asked_for_in_all_its_parts() -> None:
    rule = changed("    line: 'is stuck: PRESSURE_FAULT'\n", "")
    made = loki.export([rule])
    assert made.refusals == ()
    asked = r"|= `PRESSURE_FAULT` |~ `Pump\s+(?P<pump>p-\d+)\s+is\s+stuck` !~ `rehearsal` [300s]"
    assert asked in made.alerts[0]["expr"].replace("|= `rehearsal`", "")
    refused = reasons(aria.export([rule]))["lab.pump.stuck/storm"]
    assert refused == 'it would count the test "a rehearsal", which is no failure'


def test_a_record_of_two_lines_without_a_line_is_refused() -> None:
    text = GOOD.replace("    line: 'is stuck: PRESSURE_FAULT'\n", "").replace(
        " is stuck: PRESS", " is\n        --> stuck: PRESS"
    )
    reason = reasons(loki.export([rule_of(text)]))["lab.pump.stuck/storm"]
    assert reason == 'it would count the test "sample" 0 times where each line is an event'


def test_a_phrase_is_cut_where_aria_would_take_a_sign_for_any_text() -> None:
    text = GOOD.replace("is stuck: PRESSURE_FAULT'", r"is stuck badly \* PRESSURE_FAULT'")
    (alert,) = aria.export(
        [rule_of(text.replace("is stuck: PRESSURE_FAULT", "is stuck badly * PRESSURE_FAULT"))]
    ).alerts
    assert texts_of(alert) == ["is stuck badly", "PRESSURE_FAULT"]


def test_signatures_that_need_more_than_one_filter_each() -> None:
    second = GOOD[GOOD.index("  - id: stuck\n") : GOOD.index("windows:")].replace("id: stuck", "id: still")
    text = GOOD.replace("windows:", f"{second}windows:", 1).replace("of: [stuck], over", "of: [stuck, still], over")
    one = loki.export([rule_of(text)])
    assert reasons(one) == {}
    both = rule_of(
        text.replace("    line: 'is stuck: PRESSURE_FAULT'\n", "").replace("id: still\n", "id: still\n    fold: true\n")
    )
    assert "filters have no `or`" in reasons(loki.export([both]))["lab.pump.stuck/storm"]


def test_prometheus_refuses_what_the_engine_counts_otherwise() -> None:
    missed = prometheus.export([changed("is\\s+stuck'", "is\\s+broken'")])
    assert 'would count the test "sample" 0 times' in reasons(missed)["lab.pump.stuck/storm"]
    found = prometheus.export([changed("not: [rehearsal]", "not: [exercise]")])
    assert 'the test "a rehearsal", which is no failure' in reasons(found)["lab.pump.stuck/storm"]
    other = prometheus.export([changed("more_than: 10,", "more_than: 9,")])
    assert other.alerts[0]["expr"].endswith("> 9") or reasons(other)


def test_order_and_absence_are_refused_where_a_target_only_counts() -> None:
    text = GOOD.replace("kind: count, of: [stuck]", "kind: absence, after: stuck, of: [stuck]").replace(
        "more_than: 10, severity: critical", "severity: critical"
    )
    rule = rule_of(text)
    assert "it is about what does not come" in reasons(loki.export([rule]))["lab.pump.stuck/storm"]
    made = prometheus.export([rule])
    assert made.alerts[0]["expr"].endswith('window="storm"} >= 300')  # seconds, as the gauge has them
    ordered = text.replace("kind: absence, after: stuck, of: [stuck]", "kind: sequence, of: [stuck, stuck]")
    steps = rule_of(ordered)
    assert next(groups(steps, 0)).windows[0].limit == 2
    assert prometheus._condition(steps.windows[0]) == ">= 2"


def test_probes_and_prose_are_no_records(shipped: dict[str, Rule]) -> None:
    for export in (aria.export, loki.export, prometheus.export):
        made = export([shipped["425869"]])
        assert made.alerts == ()
        assert len(made.refusals) == 1
        assert "it is about the output of a command" in str(made.refusals[0])


@pytest.mark.parametrize("target", ["aria", "loki", "prometheus"])
def test_every_shipped_rule_is_exported_or_refused(target: str, shipped: dict[str, Rule]) -> None:
    made = EXPORTERS[target](list(shipped.values()))
    named = {alert.get("alert") or alert["name"].removeprefix("tidegate ") for alert in made.alerts}
    named |= {refusal.alert for refusal in made.refusals}
    assert {name.partition("/")[0] for name in named} == {rule.id for rule in shipped.values()}
    assert all(refusal.reason for refusal in made.refusals)


def test_what_is_written_can_be_read(shipped: dict[str, Rule]) -> None:
    rules = list(shipped.values())
    assert json.loads(as_text(aria.export(rules))) == list(aria.export(rules).alerts)
    made = loki.export(rules)
    (group,) = YAML(typ="safe", pure=True).load(as_text(made))["groups"]
    assert group["rules"] == list(made.alerts)
    assert group["name"] == "tidegate"
