"""``tidegate rules list`` and ``rules show``: which failures are known, and what is known about one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich import box
from rich.table import Table

from tidegate.cli.printer import Output, Printer
from tidegate.errors import Exit, UsageError
from tidegate.harmless import harmless
from tidegate.watch.load import load_rules
from tidegate.watch.measures import LIVE
from tidegate.watch.rule import Rule, RuleSet
from tidegate.watch.rule_words import condition, versions_line

__all__ = ["OwnRules", "list_", "rule_named", "show"]

OwnRules = Annotated[
    list[Path] | None, Parameter(name="--rules", help="Files or folders with rules of your own, beside ours.")
]
"""``--rules`` of a command about the rules that are known."""


def list_(*, rules: OwnRules = None, output: Output = "text") -> int:
    """List the failures that `tidegate diagnose` knows.

    Examples
    --------
    ``tidegate rules list``
    """
    printer = Printer(output)
    known = load_rules(rules)
    printer.data({"format": 1, "rules": [_line(rule, known) for rule in known.rules]})
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=f"{len(known)} rules")
    table.add_column("rule", no_wrap=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("article", no_wrap=True)
    table.add_column("title", overflow="fold")
    for rule in known.rules:
        table.add_row(rule.id, rule.severity, rule.article or "", harmless(rule.title))
    printer.text(table)
    return Exit.FINE


def show(rule: str, /, *, rules: OwnRules = None, output: Output = "text") -> int:
    """Show one rule: what it looks for, what that means, what to do, and where it comes from.

    Examples
    --------
    ``tidegate rules show vcenter.hgw.nfc-not-authenticated``

    Parameters
    ----------
    rule
        Its id, or the number of its article.
    """
    printer = Printer(output)
    known = load_rules(rules)
    found = rule_named(known, rule)
    printer.data(
        {"format": 1, "file": str(known.files[found.id]), "rule": found.model_dump(mode="json", by_alias=True)}
    )
    for line in _described(found):
        printer.text(harmless(line))
    return Exit.FINE


def rule_named(known: RuleSet, name: str) -> Rule:
    """Return the rule with an id or of an article.

    Raises
    ------
    UsageError
        When there is none.
    """
    # Several rules may be of one article: the one that knows its words comes before one that looks at packets.
    of_article = sorted((rule for rule in known.rules if rule.article == name), key=lambda rule: rule.kind == "capture")
    found = known.get(name) or next(iter(of_article), None)
    if found is None:
        close = difflib.get_close_matches(name, [rule.id for rule in known.rules], n=1, cutoff=0.4)
        hint = f'did you mean "{close[0]}"?' if close else "`tidegate rules list` lists them"
        raise UsageError(f'there is no rule "{name}"', hint=hint)
    return found


def _line(rule: Rule, known: RuleSet) -> dict[str, Any]:
    return {
        "id": rule.id,
        "rev": rule.rev,
        "title": rule.title,
        "kind": rule.kind,
        "severity": rule.severity,
        "article": rule.article,
        "products": list(rule.products),
        "signatures": len(rule.signatures),
        "windows": len(rule.windows),
        "file": str(known.files[rule.id]),
    }


def _shown_by(rule: Rule) -> Iterator[str]:
    if rule.probe is not None:
        where = "as a probe tells it" if rule.probe.measure in LIVE else "in the output of a command"
        yield f"It is there when {rule.probe.measure} {where} is {rule.probe.at_least:g} or more."
    if rule.capture is not None:
        yield f"It is there when the packets of a capture show it: {rule.capture.finding}."


def _described(rule: Rule) -> Iterator[str]:
    yield rule.title
    about = f"KB {rule.article}, " if rule.article else ""
    yield f"{about}{rule.severity}, {', '.join(rule.products)}; {rule.id}, revision {rule.rev}"
    yield ""
    yield rule.explains.strip()
    yield ""
    yield from _shown_by(rule)
    for signature in rule.signatures:
        kind = "article text" if signature.from_ == "prose" else "record"
        alone = ", never alone" if signature.role == "supports" else ""
        yield f"{signature.id} ({kind}{alone}): {signature.says.strip()}"
        yield f"  holds   {' or '.join(signature.literals)}"
        for text in signature.all_:
            yield f"  matches {text}"
        for text in signature.not_:
            yield f"  not     {text}"
    for window in rule.windows:
        yield f"{window.id} ({condition(window)}): {window.says.strip()}"
    if versions := versions_line(rule):
        yield versions
    for other in rule.discriminate:
        yield f"{'if' if rule.capture else 'look first for'} {other.if_}: {other.then.strip()}"
    for remedy in sorted(rule.remedies, key=lambda one: not one.prefer):
        yield ""
        yield f"{remedy.title}{' (preferred)' if remedy.prefer else ''}"
        if remedy.impact:
            yield f"  costs: {remedy.impact.strip()}"
        for number, step in enumerate(remedy.steps, start=1):
            yield f"  {number}. {step.do.strip()}"
            if step.run:
                yield f"     {step.run}{f'   (on {step.on})' if step.on else ''}"
        for verify in remedy.verify:
            yield f"  then: {verify.say.strip()}{f'   {verify.run}' if verify.run else ''}"
    yield ""
    tests = rule.tests
    played = f", {len(tests.played)} captures" if tests.played else ""
    counts = f"{len(tests.positive)} positive, {len(tests.negative)} negative, {len(tests.replay)} replays"
    yield f"Tests: {counts}{played}."
    yield f"Source: {rule.source.title}, {rule.source.url}, read {rule.source.retrieved}."
