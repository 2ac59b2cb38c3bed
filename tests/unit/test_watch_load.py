"""Rule files: every mistake is found at once, with file, line and what to write instead."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rule_texts import GOOD, NAME, rule_of, written
from tidegate.errors import ConfigError, Problem
from tidegate.watch.load import load_rules, parse_rule, rule_files
from tidegate.watch.regexes import refused
from tidegate.watch.rule import Counted, Distinct
from tidegate.watch.schema import SCHEMA, schema_text

FILE = Path("rules") / NAME


def problems_of(text: str, *, compiled: bool = False) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_rule(text.encode(), FILE, compiled=compiled)
    return list(caught.value.problems)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_good_rule_is_read() -> None:
    rule = rule_of(GOOD)
    assert (rule.id, rule.article, rule.severity) == ("lab.pump.stuck", "123456", "critical")
    storm, pumps = rule.windows
    assert isinstance(storm, Counted)
    assert isinstance(pumps, Distinct)
    assert (storm.over.seconds, storm.more_than, pumps.field) == (300, 10, "pump")
    assert rule.signature_id(rule.signatures[0]) == "lab.pump.stuck/stuck"
    assert rule.signatures[0].not_ == ("rehearsal",)
    assert rule.tests.positive[0].fields == {"pump": "p-7"}
    assert rule.versions is not None
    assert rule.versions.facts().fixes[0].branch is not None


@pytest.mark.parametrize(
    ("old", "new", "where", "message", "hint"),
    [
        ("severity: critical\nproducts", "severity: crit\nproducts", "severity", '"crit" is not one', '"critical"?'),
        ("explains:", "explain:", "explain", 'there is no key "explain" here', 'did you mean "explains"?'),
        ("    says: A pump", "    say: A pump", "signatures[0].say", 'no key "say"', 'did you mean "says"?'),
        ("over: 300s", "over: 300", "windows[0].over", "300 has no unit", 'write "300s"'),
        ("over: 300s", "over: 25h", "windows[0].over", "1d1h is out of range", "at most 24h"),
        ("more_than: 10", "more_than: 0", "windows[0].more_than", "0 is out of range", "write 1 or more"),
        ("more_than: 10", "more_than: '10'", "windows[0].more_than", "valid integer", ""),
        ("at_least: 3", "at_least: 1", "windows[1].at_least", "1 is out of range", "write 2 or more"),
        ("kind: distinct", "kind: unique", "windows[1]", '"unique" is not one of the words', "distinct"),
        ("of: [stuck], over", "of: [stukc], over", "windows[0].of[0]", 'no signature "stukc"', 'did you mean "stuck"?'),
        ("window: storm, fires: 1", "window: strom, fires: 1", "tests.replay[0].window", 'no window "strom"', "storm"),
        ("quiet: stuck", "quiet: gone", "remedies[0].verify[0].quiet", 'no signature "gone"', "this rule has: stuck"),
        ("signature: stuck\n", "signature: x\n", "tests.positive[0].signature", 'no signature "x"', "stuck"),
        ("article: 123456", "article: KB123456", "article", "is not the number of an article", "440879"),
        ("id: lab.pump.stuck", "id: Lab pump", "id", '"Lab pump" is not an id', "words of a-z"),
        ("id: lab.pump.stuck", "id: lab.pump.other", "id", "stands in lab.pump.stuck.yaml", "lab.pump.other.yaml"),
        ("https://example.org/pumps", "example", "source.url", "is not an address on the web", "https://"),
        ("retrieved: 2026-11-25", "retrieved: yesterday", "source.retrieved", "is not a day", "2026-11-25"),
        ("from: 4.1.2.3", "from: soon", "versions.fixed[0].from", "is no version", "4.1.2.3"),
        ("from: 4.1.2.3", "from: 4.1", "versions.fixed[0].from", "is a number", 'put it in quotes: "4.1"'),
        ('range: "4.1.2.1"', 'range: ">>1"', "versions.affected[0].range", "is no version", ">=8.0 <9.0"),
        ("kind: log", "kind: probe\nprobe: {measure: port.share, at_least: 1}", "probe.measure", "no measure", "ports"),
        ("kind: log", "kind: log\nprobe: {measure: ports.share, at_least: 1}", "probe", "has no probe", "kind: probe"),
        ("kind: log", "kind: probe", "kind", 'the key "probe" is missing', "probe: {measure"),
        ("severity: critical\nproducts", "products", "severity", 'the key "severity" is missing', ""),
        ("literals: [PRESSURE_FAULT]", "literals: [abc]", "signatures[0].literals[0]", "4 to 1024 bytes", "one line"),
        ("literals: [PRESSURE_FAULT]", "literals: []", "signatures[0].literals", "at least 1 item", ""),
    ],
)  # fmt: skip
def test_one_mistake(old: str, new: str, where: str, message: str, hint: str) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    found = problems_of(text)
    problem = next(one for one in found if one.where == where)
    assert message in problem.message
    assert hint in problem.hint
    assert problem.file == FILE
    if new.strip() and where not in {"severity", "kind"}:
        assert abs(problem.line - line_of(GOOD, old)) <= 1


def test_every_mistake_is_found_at_once() -> None:
    text = (
        GOOD.replace("over: 300s", "over: 300").replace("explains:", "explain:").replace("kind: count", "kind: cuont")
    )
    assert {problem.where for problem in problems_of(text)} == {"explain", "windows[0]"}


def test_names_that_stand_twice() -> None:
    again = "  - {id: turn, title: x, steps: [{do: y}]}\n"
    (problem,) = problems_of(GOOD.replace("tests:\n", f"{again}tests:\n"))
    assert (problem.where, problem.message) == ("remedies[1].id", '"turn" is the id of two of them')


def test_what_is_no_rule() -> None:
    assert problems_of("- a\n")[0].message == "is not a rule"
    assert problems_of("x")[0].message == "is not a rule"


@pytest.mark.parametrize(
    ("regex", "reason"),
    [
        (r"a(?=b)", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(a)\\1", "back-reference, which cannot be matched in linear time"),
        (r"(?P<x>a)(?P=x)", "back-reference"),
        (r"(?>a)", "an atomic group"),
        (r"(a)?(?(1)b|c)", "a condition"),
        (r"a\\Z", r"\Z, which is Python's"),
        (r"a++b", "a possessive quantifier"),
        (r"a(", "unclosed group"),
        (r"(\\s*\\S+\\s*)+ failed$", "repeats a repeat"),
        (r"(\\w{1000}){1000}", "more than 1 MiB when compiled"),
    ],
)
def test_a_regex_that_the_engine_does_not_take(regex: str, reason: str) -> None:
    text = GOOD.replace("not: [rehearsal]", f'not: ["{regex}"]')
    (problem,) = problems_of(text, compiled=True)
    assert problem.where == "signatures[0].not[0]"
    assert reason in problem.message + problem.hint
    assert problem.line == line_of(GOOD, "not: [rehearsal]")


@pytest.mark.parametrize(
    "regex", [r"[(?=]", r"\\1", r"\S+(?:\s+\S+)* failed$", r"(?i)a\+\+", r"(?P<a>x)", r"\[+\]", r"[\]*+]+"]
)
def test_a_regex_that_the_engine_takes(regex: str) -> None:
    assert refused(regex) is None


def test_a_regex_may_not_be_endless() -> None:
    words = refused("a" * 2001)
    assert words is not None
    assert "more than 2000 characters" in words[0]


def test_rules_of_ones_own_stand_beside_ours(tmp_path: Path) -> None:
    file = written(tmp_path)
    both, own = load_rules([file]), load_rules([tmp_path], shipped=False)
    assert [rule.id for rule in own.rules] == ["lab.pump.stuck"]
    assert own.files["lab.pump.stuck"] == file
    assert len(both) == len(load_rules()) + 1
    found = own.of_signature("lab.pump.stuck/stuck")
    assert found is not None
    assert found[1].says == "A pump does not turn."
    assert own.of_signature("lab.pump.stuck/no") is None
    assert own.get("no") is None


def test_two_rules_with_one_id(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first, second = written(tmp_path), written(tmp_path / "b")
    with pytest.raises(ConfigError) as caught:
        load_rules([first, second], shipped=False)
    (problem,) = caught.value.problems
    assert problem.file == second
    assert problem.message == f'the rule "lab.pump.stuck" is also in {first}'
    assert len(load_rules([first, tmp_path, first], shipped=False)) == 1


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace("kind: log", "kind: lag"))
    (tmp_path / "x.yaml").write_text("a: *b")
    with pytest.raises(ConfigError) as caught:
        load_rules([tmp_path], shipped=False)
    assert {problem.file.name for problem in caught.value.problems} == {NAME, "x.yaml"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lab.pump.stuck.yaml")
    with pytest.raises(ConfigError) as refused:
        load_rules([tmp_path])
    assert "is a pipe" in refused.value.problems[0].message


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        rule_files([tmp_path / "no.yaml", tmp_path])
    messages = {problem.message for problem in caught.value.problems}
    assert messages == {"is not there", "holds no rule"}


def test_the_schema_is_the_models() -> None:
    assert SCHEMA.read_text() == schema_text(), "run python -m tidegate.watch.schema"


@given(st.integers(0, len(GOOD) - 1), st.text(max_size=3), st.integers(0, 30))
def test_a_damaged_rule_is_read_or_refused(place: int, text: str, cut: int) -> None:
    with contextlib.suppress(ConfigError):
        rule_of(GOOD[:place] + text + GOOD[place + cut :])
