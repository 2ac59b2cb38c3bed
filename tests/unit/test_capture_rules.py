"""Rules of kind ``capture``: what may stand in one, what lint asks of it, and what its played tests try."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import ConfigError
from tidegate.watch.export import aria, loki, prometheus
from tidegate.watch.lint import lint_rule
from tidegate.watch.load import load_rules, parse_rule
from tidegate.watch.rule import CaptureWord, Rule
from tidegate.watch.runbooks import runbook_of
from tidegate.watch.selftest import run_tests

COLLIDES = """\
schema: 1
id: lab.tuple.taken
rev: 1
title: A tuple is taken
kind: capture
source: {title: About tuples, url: "https://example.org/tuples", retrieved: 2026-11-26}
severity: warning
products: [linux]
explains: A port is taken again too soon.
capture: {finding: tuple-collision}
discriminate:
  - {if: one client only, then: It died.}
remedies:
  - id: wait
    title: Wait
    steps: [{do: Wait for a minute.}]
    verify: [{say: A new capture shows none., run: tidegate diagnose after.pcap}]
tests:
  played:
    - name: rejected
      outcome: rejected
      packets: |-
        0s     client S   seq 1000
        100us  server SA  seq 7000 ack 1001
        100us  client A   seq 1001 ack 7001
        5s     client S   seq 900000
        50us   server RA  seq 0 ack 900001
    - name: a plain handshake
      found: false
      packets: |-
        0s     client S   seq 1000
        100us  server SA  seq 7000 ack 1001
        100us  client A   seq 1001 ack 7001
"""


def rule_of(text: str) -> Rule:
    return parse_rule(text.encode(), Path("lab.tuple.taken.yaml"))


def changed(old: str, new: str) -> str:
    assert old in COLLIDES
    return COLLIDES.replace(old, new, 1)


def test_a_good_rule_is_read_and_passes() -> None:
    rule = rule_of(COLLIDES)
    assert rule.capture is not None
    assert rule.capture.finding == "tuple-collision"
    assert list(lint_rule(rule)) == []
    outcome = run_tests([rule])
    assert (outcome.failures, outcome.counts.captures) == ((), 2)


def test_everything_that_a_capture_shows_has_one_shipped_rule() -> None:
    words = [rule.capture.finding for rule in load_rules().rules if rule.capture]
    assert sorted(words) == sorted(CaptureWord.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("capture: {finding: tuple-collision}", "versions: {product: linux, fix: none}", "kind", "is missing"),
        ("finding: tuple-collision", "finding: tuple-colision", "capture.finding", "tuple-collision"),
        ("kind: capture", "kind: log", "capture", "a log rule does not look into captures"),
        ("discriminate:", "windows: [{id: w, kind: count, of: [s], over: 1s, more_than: 1, says: S.}]\ndiscriminate:",
         "windows", "a capture rule has no windows"),
        ("discriminate:", "signatures: [{id: s, says: S., literals: [something]}]\ndiscriminate:",
         "signatures", "a capture rule has no signatures"),
        ("0s     client S ", "0s     nobody S ", "tests.played[0].packets", '"nobody" sends it'),
        ("outcome: rejected", "outcome: rejected\n      times: 30000\n      port: 40000", "tests.played[0].port",
         "do not suffice"),
        ("outcome: rejected", "outcome: rejected\n      times: 40000", "tests.played[0].times", "is out of range"),
    ],
)  # fmt: skip
def test_one_mistake(old: str, new: str, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rule_of(changed(old, new))
    told = [(problem.where, f"{problem.message} {problem.hint}") for problem in caught.value.problems]
    assert any(where == place and words in text for place, text in told), told


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("found: false", "found: true", "no played test has found: false"),
        ("outcome: rejected", "found: false", "no played test has found: true"),
        ("found: false", "found: false\n      outcome: rejected", "what is not found has no outcome"),
        ("name: rejected", "name: a plain handshake", 'two tests are called "a plain handshake"'),
    ],
)
def test_what_lint_asks_for(old: str, new: str, words: str) -> None:
    assert words in " ".join(text for _, text, _ in lint_rule(rule_of(changed(old, new))))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("found: false", "found: true", "its packets do not show tuple-collision"),
        ("outcome: rejected", "found: false", "its packets show tuple-collision, and must not"),
        ("outcome: rejected", "outcome: superseded", 'the outcome is "rejected" instead of "superseded"'),
    ],
)
def test_a_played_test_that_does_not_hold(old: str, new: str, words: str) -> None:
    (failure,) = run_tests([rule_of(changed(old, new))]).failures
    assert words in str(failure)


def test_no_engine_of_logs_takes_it() -> None:
    for export in (aria.export, loki.export, prometheus.export):
        made = export([rule_of(COLLIDES)])
        assert made.alerts == ()
        assert "it is about packets" in str(made.refusals[0])


def test_its_runbook_says_what_a_capture_shows() -> None:
    page = runbook_of(rule_of(COLLIDES))
    assert "The packets of a capture show it (`tuple-collision`)." in page
    assert "- If one client only: It died." in page
    assert "What a capture holds by now:" in page
