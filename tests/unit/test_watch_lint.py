"""The linter: a good rule passes, and every way to write a bad one has its sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from rule_texts import GOOD, rule_of, written
from tidegate.watch.lint import lint, lint_rule
from tidegate.watch.load import load_rules


def found_in(old: str, new: str) -> list[tuple[str, str]]:
    text = GOOD.replace(old, new)
    assert text != GOOD
    return [(".".join(map(str, path)), f"{message}; {hint}") for path, message, hint in lint_rule(rule_of(text))]


def test_a_good_rule_passes(tmp_path: Path) -> None:
    assert list(lint_rule(rule_of(GOOD))) == []
    assert lint(load_rules([written(tmp_path)], shipped=False)) == []


def test_the_shipped_rules_pass() -> None:
    assert lint(load_rules()) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("[PRESSURE_FAULT]", "[is stuck]", "signatures.0.literals.0", "fewer than 10 bytes"),
        ("[PRESSURE_FAULT]", "['Originator@6876']", "signatures.0.literals.0", "stands in ordinary records (line"),
        ("[PRESSURE_FAULT]", "['VasaSession::DoSetContext']", "signatures.0.literals.0", "stands in ordinary records"),
        ("[PRESSURE_FAULT]", "[PRESSURE_FAULTS]", "signatures.0.literals", 'no literal stands in the test "sample"'),
        ("[PRESSURE_FAULT]", '["FAULT 123456"]', "signatures.0.literals.0", "the number of the article"),
        ("[PRESSURE_FAULT]", '["stuck:\\tPRESSURE"]', "signatures.0.literals.0", "holds a tab"),
        ("PRESSURE_FAULT", "PRESSURE&FAULT", "signatures.0.literals", "when it has escaped for HTML"),
        ("not: [rehearsal]", r"not: ['\d\d:\d\d:\d\d']", "signatures.0.not.0", "holds a time"),
        ("not: [rehearsal]", r"not: ['2025-08-08T12:17:14']", "signatures.0.not.0", "holds a time"),
        ("not: [rehearsal]", r"not: ['Er\(\d+\)']", "signatures.0.not.0", "holds a severity"),
        ("not: [rehearsal]", r"not: ['^(?:info|error)\s+vpxd']", "signatures.0.not.0", "holds a severity"),
        ("not: [rehearsal]", r"not: ['\[alert\] 12']", "signatures.0.not.0", "holds a severity"),
        ("not: [rehearsal]", r"not: ['VVold\[\d+\]']", "signatures.0.not.0", "a program's name"),
        ("not: [rehearsal]", r"not: ['a(?=b)']", "signatures.0.not.0", "look-around"),
        ("    all: ['Pump\\s+(?P<pump>p-\\d+)\\s+is\\s+stuck']\n", "", "signatures.0.all", "has no regex"),
        ("line: 'is stuck: PRESSURE_FAULT'", "line: 'nowhere'", "signatures.0.line", "matches 0 lines"),
        ("        2025", "        a is stuck: PRESSURE_FAULT\n        2025", "signatures.0.line", "matches 2 lines"),
        ("field: pump", "field: tank", "windows.1.field", "has no field tank"),
        ("more_than: 10,", "more_than: 10, by: [tank],", "windows.0.by.0", "has no field tank"),
        ("of: [stuck], over", "of: [stuck, stuck], over", "windows.0.of", "stands twice"),
        ("    says: A pump", "    from: prose\n    says: A pump", "windows.0.of", "is of prose"),
        ("window: pumps", "window: storm", "windows.1.id", "no replay tests the window pumps"),
        ("fix: listed", "fix: none", "versions.fix", "names versions, and fix is none"),
        ('  fixed: [{branch: "4.1", from: 4.1.2.3}]\n', "", "versions.fix", "`fixed` is empty"),
        ("quiet: stuck, for: 10m", "quiet: stuck", "remedies.0.verify.0", "`quiet` and `for` go together"),
        ("quiet: stuck, for: 10m", "expect: x", "remedies.0.verify.0", "there is no command"),
        ("[{say: Nothing more for ten minutes., quiet: stuck, for: 10m}]", "[]", "remedies.0.id", "has no verify"),
        ("fields: {pump: p-7}", "fields: {tank: x}", "tests.positive.0.fields.tank", "has no field tank"),
        ("      signature: stuck\n", "", "tests.positive.0", "names no signature"),
        ("name: a rehearsal", "name: sample", "tests", 'two tests are called "sample"'),
    ],
)  # fmt: skip
def test_one_mistake(old: str, new: str, where: str, message: str) -> None:
    found = found_in(old, new)
    assert any(place == where and message in text for place, text in found), found


def test_what_is_missing() -> None:
    head = GOOD[: GOOD.index("windows:")]
    found = [message for _, message, _ in lint_rule(rule_of(head))]
    assert found == [
        "no positive test has the signature stuck",
        "the rule has no remedy",
        "the rule has no negative test",
    ]


def test_more_than_one_preferred_remedy() -> None:
    second = "  - {id: b, title: x, prefer: true, steps: [{do: y}], verify: [{say: z}]}\n"
    assert found_in("tests:\n", f"{second}tests:\n") == [("remedies", "more than one remedy is preferred; prefer one")]


def test_problems_have_file_and_line(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD.replace("fix: listed", "fix: unknown"))
    (problem,) = lint(load_rules([file], shipped=False))
    assert str(problem).startswith(f"{file}:{GOOD[: GOOD.index('fix: listed')].count(chr(10)) + 1}: versions.fix: ")
