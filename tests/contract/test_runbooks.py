"""The pages in docs/runbooks/rules are what their rules say today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.watch.load import load_rules
from tidegate.watch.runbooks import INDEX, index_of, page_name, runbook_of

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "runbooks" / "rules"
RULES = load_rules().rules
AGAIN = "run: tidegate rules runbook --folder docs/runbooks/rules"


def test_there_is_a_page_for_every_rule_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {INDEX, *(page_name(rule) for rule in RULES)}, AGAIN
    assert (FOLDER / INDEX).read_text() == index_of(RULES), AGAIN


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_page_is_current(rule: object) -> None:
    known = next(one for one in RULES if one is rule)
    assert (FOLDER / page_name(known)).read_text() == runbook_of(known), AGAIN
