"""Rule files to checked rules; everything that is wrong is found at once.

Without paths these are the rules that tidegate ships. A file or folder that is given stands beside them; a folder gives
every ``*.yaml`` in it. What is checked here is what the engine needs to run: the form, the names that parts of a rule
call one another by, ids that are there once, regexes that compile. Whether a rule is a good one is asked by
:mod:`tidegate.watch.lint`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from tidegate.config.problems import dotted, problems_of
from tidegate.errors import ConfigError, Problem
from tidegate.watch.capture.script import PACKETS_MAX, read_script
from tidegate.watch.measures import ALL
from tidegate.watch.regexes import refused
from tidegate.watch.rule import Absence, Rule, RuleSet
from tidegate.watch.strict_yaml import SIZE_MAX, NodeLines, clipped, read_yaml

__all__ = ["FILES_MAX", "SHIPPED", "load_rules", "parse_rule", "regex_problems", "rule_files"]

SHIPPED = Path(__file__).parent / "rules"
"""The folder of the rules that come with tidegate."""
FILES_MAX = 10_000
"""How many rule files are read at most."""

_Where = tuple[str | int, ...]
_Broken = tuple[_Where, str, str]


def load_rules(paths: Iterable[Path] | None = None, *, shipped: bool = True) -> RuleSet:
    """Read the shipped rules, and those of ``paths``.

    Parameters
    ----------
    paths
        Files, or folders with ``*.yaml`` files in them.
    shipped
        Whether tidegate's own rules are part of the set. A file of theirs that is also given counts once.

    Raises
    ------
    ConfigError
        With every problem of every file.
    """
    own = rule_files([SHIPPED]) if shipped else []
    given = rule_files(paths or ())
    known = {file.resolve() for file in own}
    rules: dict[Path, Rule] = {}
    problems: list[Problem] = []
    lines: dict[Path, NodeLines] = {}
    for file, compiled in [
        *((file, False) for file in own),
        *((file, True) for file in given if file.resolve() not in known),
    ]:
        try:
            rules[file], lines[file] = _parsed(_read(file), file, compiled=compiled)
        except ConfigError as error:
            problems += error.problems
    problems += _twice(rules, lines)
    if problems:
        raise ConfigError(problems, "the rules have")
    return RuleSet(rules, lines)


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """Return the rule files that ``paths`` name, each once, in order.

    Raises
    ------
    ConfigError
        When a path is not there, or a folder holds no rule or more than :data:`FILES_MAX`.
    """
    files: dict[Path, None] = {}
    problems = []
    for path in paths:
        try:
            inside = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        except OSError as error:
            problems.append(Problem(path, 0, "", f"cannot be read: {error.strerror}"))
            continue
        if not path.exists():
            problems.append(Problem(path, 0, "", "is not there", "give a rule file, or a folder of them"))
        elif not inside and path != SHIPPED:
            problems.append(Problem(path, 0, "", "holds no rule", "rule files end in .yaml"))
        files |= dict.fromkeys(inside)
    if len(files) > FILES_MAX:
        problems.append(Problem(next(iter(files)).parent, 0, "", f"holds more than {FILES_MAX} rules"))
    if problems:
        raise ConfigError(problems, "the rules have")
    return list(files)


def parse_rule(data: bytes, file: Path, *, compiled: bool = True) -> Rule:
    """Read ``data`` as if it stood in ``file``.

    Parameters
    ----------
    compiled
        Whether regexes are compiled, one by one; the shipped ones have been, by the tests.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return _parsed(data, file, compiled=compiled)[0]


def _parsed(data: bytes, file: Path, *, compiled: bool) -> tuple[Rule, NodeLines]:
    tree, lines = read_yaml(data, file)
    if not isinstance(tree, dict):
        raise ConfigError([Problem(file, 1, "", "is not a rule", "a rule is a mapping: schema, id, title, …")])
    try:
        rule = Rule.model_validate(tree)
    except ValidationError as error:
        problems = problems_of(error, tree, Rule, file, lines)
        raise ConfigError([replace(one, message=clipped(one.message)) for one in problems]) from None
    found = [*_names(rule), *_kind(rule)]
    if file.name != f"{rule.id}.yaml":
        found.append((("id",), f'the rule "{rule.id}" stands in {file.name}', f"call the file {rule.id}.yaml"))
    if compiled:
        found += regex_problems(rule)
    if found:
        raise ConfigError(
            [Problem(file, lines.of(path), dotted(path), clipped(text), hint) for path, text, hint in found]
        )
    return rule, lines


def _read(file: Path) -> bytes:
    try:
        if file.is_fifo():  # opening one waits for somebody who writes into it
            raise ConfigError([Problem(file, 0, "", "is a pipe, which is not read")])
        with file.open("rb") as stream:
            return stream.read(SIZE_MAX + 1)
    except OSError as error:
        raise ConfigError([Problem(file, 0, "", f"cannot be read: {error.strerror}")]) from None


def _twice(rules: dict[Path, Rule], lines: dict[Path, NodeLines]) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for file, rule in rules.items():
        if (first := seen.setdefault(rule.id, file)) != file:
            message = f'the rule "{rule.id}" is also in {first}'
            yield Problem(file, lines[file].of(("id",)), "id", message, "give one of them another id")


def _kind(rule: Rule) -> Iterator[_Broken]:
    yield from _about_probes(rule)
    yield from _about_captures(rule)
    if rule.kind == "log" and not rule.signatures:
        yield ("kind",), "a rule about logs has no signature", "write at least one under signatures"
    if rule.kind != "log" and rule.windows:
        yield ("windows",), f"a {rule.kind} rule has no windows", "leave them out, or set kind: log"


def _about_probes(rule: Rule) -> Iterator[_Broken]:
    if rule.kind == "probe" and rule.probe is None:
        yield ("kind",), 'the key "probe" is missing', "write probe: {measure: ports.share, at_least: 0.9}"
    if rule.probe is not None and rule.probe.measure not in ALL:
        close = difflib.get_close_matches(rule.probe.measure, ALL, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(ALL)}"
        yield ("probe", "measure"), f'there is no measure "{rule.probe.measure}"', hint
    if rule.kind != "probe" and rule.probe is not None:
        yield ("probe",), f"a rule about {rule.kind}s has no probe", "set kind: probe"


def _about_captures(rule: Rule) -> Iterator[_Broken]:
    if rule.kind == "capture" and rule.capture is None:
        yield ("kind",), 'the key "capture" is missing', "write capture: {finding: tuple-collision}"
    if rule.kind == "capture" and rule.signatures:
        yield ("signatures",), "a capture rule has no signatures", "its finding says what it looks for"
    if rule.kind != "capture" and rule.capture is not None:
        yield ("capture",), f"a {rule.kind} rule does not look into captures", "set kind: capture"
    for index, test in enumerate(rule.tests.played):
        where: _Where = ("tests", "played", index)
        try:
            packets = len(read_script(test.packets)) * test.times
        except ValueError as error:
            yield (*where, "packets"), str(error), ""
            continue
        if packets > PACKETS_MAX:
            yield (*where, "times"), f"it comes to {packets} packets", f"{PACKETS_MAX} are the most"
        if test.by == "port" and test.port + test.times > 65_536:
            yield (*where, "port"), f"its ports from {test.port} on do not suffice", "begin with a lower one"


def _names(rule: Rule) -> Iterator[_Broken]:
    """Yield every name that is there twice, and every name that nothing has."""
    for table, ids in (
        ("signatures", [one.id for one in rule.signatures]),
        ("windows", [one.id for one in rule.windows]),
        ("remedies", [one.id for one in rule.remedies]),
    ):
        for index, name in enumerate(ids):
            if name in ids[:index]:
                yield (table, index, "id"), f'"{name}" is the id of two of them', "give one of them another id"
    signatures = [one.id for one in rule.signatures]
    for index, window in enumerate(rule.windows):
        for place, name in enumerate(window.of):
            yield from _known(("windows", index, "of", place), name, signatures, "signature")
        if isinstance(window, Absence):
            yield from _known(("windows", index, "after"), window.after, signatures, "signature")
    for index, remedy in enumerate(rule.remedies):
        for place, verify in enumerate(remedy.verify):
            if verify.quiet is not None:
                where: _Where = ("remedies", index, "verify", place, "quiet")
                yield from _known(where, verify.quiet, signatures, "signature")
    for index, test in enumerate(rule.tests.positive):
        if test.signature is not None:
            yield from _known(("tests", "positive", index, "signature"), test.signature, signatures, "signature")
    windows = [one.id for one in rule.windows]
    for index, replay in enumerate(rule.tests.replay):
        yield from _known(("tests", "replay", index, "signature"), replay.signature, signatures, "signature")
        yield from _known(("tests", "replay", index, "window"), replay.window, windows, "window")


def _known(where: _Where, name: str, names: Sequence[str], kind: str) -> Iterator[_Broken]:
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"this rule has: {', '.join(names) or 'none'}"
        yield where, f'there is no {kind} "{name}" in this rule', hint


def regex_problems(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield where a regex stands that the engine does not take, what it says against it, and what to do."""
    for index, signature in enumerate(rule.signatures):
        own = [("all", place, text) for place, text in enumerate(signature.all_)]
        own += [("not", place, text) for place, text in enumerate(signature.not_)]
        for key, place, text in own:
            if words := refused(text, fold=signature.fold):
                yield ("signatures", index, key, place), *words
        if signature.line is not None and (words := refused(signature.line, fold=signature.fold)):
            yield ("signatures", index, "line"), *words
    for index, other in enumerate(rule.discriminate):
        if words := refused(other.if_):
            yield ("discriminate", index, "if"), *words
    for index, remedy in enumerate(rule.remedies):
        for place, verify in enumerate(remedy.verify):
            if verify.expect is not None and (words := refused(verify.expect)):
                yield ("remedies", index, "verify", place, "expect"), *words
