"""Whether a rule is a good one: what makes rules miss, cry wolf, or leave an operator alone.

:mod:`tidegate.watch.load` refuses what the engine cannot run. Here a rule is held against what it promises: its
literals stand in every sample and are rare, its regexes hold nothing that another release or relay writes differently,
its tests and remedies are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tidegate.config.problems import dotted
from tidegate.errors import Problem
from tidegate.watch.damage import Transform, damaged
from tidegate.watch.load import regex_problems
from tidegate.watch.rule import Distinct, Rule, RuleSet, Signature
from tidegate.watch.scan import finds

__all__ = ["SCOPES", "lint", "lint_rule"]

SCOPES = frozenset({"host", "provider", "vcenter", "program", "path"})
"""What windows may be kept apart by without a field of that name: the engine knows it of every hit."""

_SHORTEST = 10
_ORDINARY = Path(__file__).with_name("ordinary.txt")
_WORDS = "panic|alert|critical|crit|error|warning|notice|info|verbose|trivia|debug"
_PROGRAMS = (
    "hostd|vpxd|vpxa|vvold|vobd|vmkernel|vmkwarning|fdm|rhttpproxy|envoy-hgw|envoy|haproxy|nginx|kernel|tmm|mcpd"
)
_ONE_WORD = rf"(?:{_WORDS})(?:\|(?:{_WORDS}))*"
_TIME = r"\\d(?:\{2\}|\\d|\+):\\d|\[0-9\](?:\{2\}|\+)?:|\\d(?:\{4\}|\\d\\d\\d|\+)-\\d|\d\d:\d\d:\d\d|\\d[TZ]"
_SEVERITY = "a severity, which other releases write in another way"
_HEADER = (
    (re.compile(_TIME), "a time, which other releases and relays write in another way"),
    (re.compile(r"\b(?:Em|Al|Cr|Er|Wa|No|In|Db)\\?\((?:\\d|\d)"), _SEVERITY),
    (re.compile(rf"(?i)(?:^|\\b|\^)\(?(?:\?:)?{_ONE_WORD}\)?(?:\\s[+*]?| )(?:{_PROGRAMS})\b"), _SEVERITY),
    (re.compile(rf"(?i)\\\[(?:\(\?:)?{_ONE_WORD}\)?\\\]"), _SEVERITY),
    (re.compile(rf"(?i)\b(?:{_PROGRAMS})(?:\\\[|\[\[\])"), "a program's name, whose case differs between releases"),
)
_GROUP = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")

_Found = tuple[tuple[str | int, ...], str, str]


def lint(rules: RuleSet) -> list[Problem]:
    """Return every problem of every rule, in the order of files and lines.

    Raises
    ------
    GateError
        When the compiled part of tidegate, which judges regexes, is missing.
    """
    found = []
    for rule in rules.rules:
        file, lines = rules.files[rule.id], rules.lines[rule.id]
        found += [Problem(file, lines.of(path), dotted(path), text, hint) for path, text, hint in lint_rule(rule)]
    return sorted(found)


def lint_rule(rule: Rule) -> Iterator[_Found]:
    """Yield where, what is wrong, and what to do about it."""
    yield from regex_problems(rule)
    for index, signature in enumerate(rule.signatures):
        where = ("signatures", index)
        for path, text, hint in _signature(rule, signature):
            yield (*where, *path), text, hint
    yield from _windows(rule)
    yield from _versions(rule)
    yield from _remedies(rule)
    yield from _tests(rule)


def _signature(rule: Rule, signature: Signature) -> Iterator[_Found]:
    for place, literal in enumerate(signature.literals):
        yield from _literal(rule, signature, ("literals", place), literal)
    regexes = [("all", place, text) for place, text in enumerate(signature.all_)]
    regexes += [("not", place, text) for place, text in enumerate(signature.not_)]
    for key, place, text in regexes:
        for sign, what in _HEADER:
            if sign.search(text):
                hint = "match the body of the record; `programs` names programs, in any case"
                yield (key, place), f"the regex holds {what}", hint
    if not signature.all_:
        yield ("all",), "the signature has no regex", "a literal alone says too little: match what stands around it"
    samples = [test for test in rule.tests.positive if test.signature == signature.id]
    if not samples:
        yield ("id",), f"no positive test has the signature {signature.id}", "add the sample that it was written from"
    for sample in samples:
        yield from _served(signature, sample.name, sample.text)


def _literal(rule: Rule, signature: Signature, where: tuple[str | int, ...], literal: str) -> Iterator[_Found]:
    if len(literal.encode()) < _SHORTEST:
        hint = "take more of what stands around it"
        yield where, f'the literal "{literal}" has fewer than {_SHORTEST} bytes, so it is met too often', hint
        return
    if "\t" in literal:
        yield where, "the literal holds a tab, which copies change", "take what stands before or after it"
    wanted = literal.lower() if signature.fold else literal
    for number, line in _ordinary():
        if wanted in (line.lower() if signature.fold else line):
            hint = "choose what only the failure writes"
            yield where, f'the literal "{literal}" stands in ordinary records (line {number} of ordinary.txt)', hint
            return
    if rule.article and rule.article in literal:
        yield where, "the literal holds the number of the article", "match what the failure writes"


def _served(signature: Signature, name: str, text: str) -> Iterator[_Found]:
    """Yield what keeps a sample from being found: no literal in it, also when damaged; a line that is not one line."""
    for under, changed in [("", text), *((t.says, c) for t, c in _damaged(signature, text))]:
        there = changed.lower() if signature.fold else changed
        if not any((one.lower() if signature.fold else one) in there for one in signature.literals):
            damage = f" when it has {under}" if under else ""
            hint = "a literal must be there byte for byte: leave out quotes, & and <, which copies escape"
            yield ("literals",), f'no literal stands in the test "{name}"{damage}', hint
            break
    if signature.line is not None:
        count = sum(finds(signature.line, line, fold=signature.fold) for line in text.split("\n"))
        if count != 1:
            hint = "it is what engines count that see single lines: exactly one per record"
            yield ("line",), f'`line` matches {count} lines of the test "{name}" instead of one', hint


def _damaged(signature: Signature, text: str) -> list[tuple[Transform, str]]:
    return list(damaged(text, signature.literals, prose=signature.from_ == "prose"))


def _windows(rule: Rule) -> Iterator[_Found]:
    for index, window in enumerate(rule.windows):
        names = [("by", place, name) for place, name in enumerate(window.by)]
        needed = [*names, *([("field", name) for name in [window.field]] if isinstance(window, Distinct) else [])]
        for path in needed:
            name = str(path[-1])
            lacking = [one for one in window.of if name not in SCOPES and name not in _groups(rule.signature(one))]
            if lacking:
                hint = f"name a group (?P<{name}>…) in `all`, or use one of: {', '.join(sorted(SCOPES))}"
                yield ("windows", index, *path[:-1]), f"the signature {lacking[0]} has no field {name}", hint
        if len(set(window.of)) != len(window.of) and window.kind != "sequence":
            yield ("windows", index, "of"), "a signature stands twice in `of`", "name it once"
        for one in window.of:
            signature = rule.signature(one)
            if signature is not None and signature.from_ == "prose":
                hint = "an article is not an event"
                yield ("windows", index, "of"), f"the signature {one} is of prose, and a window counts records", hint
        if window.id not in {test.window for test in rule.tests.replay}:
            hint = "add two under tests.replay: one that just fires, and one that just does not"
            yield ("windows", index, "id"), f"no replay tests the window {window.id}", hint


def _versions(rule: Rule) -> Iterator[_Found]:
    gate = rule.versions
    if gate is None:
        return
    if gate.fix == "listed" and not gate.fixed:
        yield ("versions", "fix"), "the fix is listed, and `fixed` is empty", "list it, or write fix: none or unknown"
    if gate.fix != "listed" and gate.fixed:
        yield ("versions", "fix"), f"`fixed` names versions, and fix is {gate.fix}", "write fix: listed"


def _remedies(rule: Rule) -> Iterator[_Found]:
    if not rule.remedies:
        yield ("id",), "the rule has no remedy", "say what to do, and how to see that it helped"
    if sum(remedy.prefer for remedy in rule.remedies) > 1:
        yield ("remedies",), "more than one remedy is preferred", "prefer one"
    for index, remedy in enumerate(rule.remedies):
        where = ("remedies", index)
        if not remedy.verify:
            yield (*where, "id"), f"the remedy {remedy.id} has no verify", "say how to see that it helped"
        for place, verify in enumerate(remedy.verify):
            path = (*where, "verify", place)
            if (verify.quiet is None) != (verify.for_ is None):
                yield path, "`quiet` and `for` go together", "write {quiet: SIGNATURE, for: 10m}"
            if verify.expect is not None and verify.run is None:
                yield path, "`expect` says what a command shows, and there is no command", "add run"


def _tests(rule: Rule) -> Iterator[_Found]:
    if rule.kind == "capture":
        yield from _captures(rule)
    elif not rule.tests.negative:
        yield ("id",), "the rule has no negative test", "add the nearest record that is not this failure"
    for index, test in enumerate(rule.tests.positive):
        path = ("tests", "positive", index)
        signature = rule.signature(test.signature or "")
        if signature is None and rule.kind == "log":
            yield path, "the test names no signature", "add signature: …"
        for name in test.fields:
            if signature is not None and name not in _groups(signature):
                yield (*path, "fields", name), f"the signature {signature.id} has no field {name}", ""
    tests = rule.tests
    names = [test.name for tests in (tests.positive, tests.negative, tests.replay, tests.played) for test in tests]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ("tests",), f'two tests are called "{name}"', "give one another name"


def _captures(rule: Rule) -> Iterator[_Found]:
    for found, what in ((True, "packets that show it"), (False, "the nearest packets that do not")):
        if found not in {test.found for test in rule.tests.played}:
            yield ("id",), f"no played test has found: {str(found).lower()}", f"add {what} under tests.played"
    for index, test in enumerate(rule.tests.played):
        if test.outcome is not None and not test.found:
            yield ("tests", "played", index, "outcome"), "what is not found has no outcome", "leave it out"


def _groups(signature: Signature | None) -> set[str]:
    return {name for text in signature.all_ for name in _GROUP.findall(text)} if signature else set()


@cache
def _ordinary() -> tuple[tuple[int, str], ...]:
    lines: Iterable[str] = _ORDINARY.read_text(encoding="utf-8").split("\n")
    return tuple((n, line) for n, line in enumerate(lines, start=1) if line and not line.startswith("#"))
