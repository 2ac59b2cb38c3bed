"""Runbooks: everything that a rule tells people to do stands in its page, and no text of it breaks the page."""

from __future__ import annotations

import re

import pytest

from rule_texts import GOOD, rule_of
from tidegate.watch.load import load_rules
from tidegate.watch.rule import Rule
from tidegate.watch.runbooks import index_of, runbook_of

RULES = load_rules().rules
FENCED = re.compile(r"^( *)(`{3,})(?:sh|text)\n(.*?)\n\1\2$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_command_is_to_be_copied(rule: Rule) -> None:
    page = runbook_of(rule)
    blocks = [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, _, text in FENCED.findall(page)]
    for remedy in rule.remedies:
        for step in remedy.steps:
            assert step.run is None or step.run.strip("\n") in blocks
    assert FENCED.sub("", page).count("```") == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_page_says_why_it_alerts_and_what_shows_that_it_helped(rule: Rule) -> None:
    page = runbook_of(rule)
    assert page.count("It has helped when:") == sum(bool(remedy.verify) for remedy in rule.remedies)
    for window in rule.windows:
        assert f"| {window.id} | {window.severity or rule.severity} |" in page
    assert "\n\n\n" not in page
    assert f"({rule.id}.md)" in index_of(RULES)


def test_a_sample_with_a_fence_stays_a_sample() -> None:
    rule = rule_of(GOOD)
    first = rule.tests.positive[0]
    fenced = first.model_copy(update={"text": "before\n```\n# not a heading"})
    tests = rule.tests.model_copy(update={"positive": (fenced, *rule.tests.positive[1:])})
    page = runbook_of(rule.model_copy(update={"tests": tests}))
    assert "\n````text\nbefore\n```\n# not a heading\n````\n" in page
