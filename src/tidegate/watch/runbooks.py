"""A page per rule for whoever is woken by it: what happens, why it was said, what to do, how to see that it helped.

The pages of the shipped rules lie in ``docs/runbooks/rules``; ``tidegate rules runbook --folder`` writes them. A page
holds what its rule holds and nothing else, so that the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tidegate.harmless import harmless
from tidegate.watch.rule import Positive, Remedy, Rule, Verify
from tidegate.watch.rule_words import condition, versions_line

__all__ = ["INDEX", "index_of", "page_name", "runbook_of"]

INDEX = "README.md"
"""The file that lists the pages."""
_SAMPLE_SHOWN = 1200
"""Characters of a sample that are shown."""
_MARKS = re.compile(r"([\\`*<>\[\]|#~]|\b_|_\b)")


def page_name(rule: Rule) -> str:
    """Return the name of a rule's page."""
    return f"{rule.id}.md"


def runbook_of(rule: Rule) -> str:
    """Return a rule's page, as Markdown."""
    parts = (_head(rule), _alert(rule), _sure(rule), _what_to_do(rule), _rest(rule))
    return harmless("\n".join(line for part in parts for line in part)).rstrip("\n") + "\n"


def index_of(rules: Iterable[Rule]) -> str:
    """Return the page that lists the pages of ``rules``, in their order."""
    lines = [
        "# Runbooks of the rules",
        "",
        "One page per rule that tidegate ships: what an alert of that name means, and what to do. Written from the",
        "rules by `tidegate rules runbook --folder docs/runbooks/rules`; what is to be changed stands in the rule.",
        "",
        "| rule | severity | what happens | article |",
        "| --- | --- | --- | --- |",
    ]
    for rule in rules:
        article = f"[KB {rule.article}]({rule.source.url})" if rule.article else ""
        lines.append(f"| [{rule.id}]({page_name(rule)}) | {rule.severity} | {_text(rule.title)} | {article} |")
    return harmless("\n".join(lines)) + "\n"


def _head(rule: Rule) -> Iterator[str]:
    yield f"# {_text(rule.title)}"
    yield ""
    yield f"`{rule.id}`, revision {rule.rev}, {rule.severity}; about {', '.join(rule.products)}."
    if rule.article:
        yield f"From [KB {rule.article}]({rule.source.url})."
    yield ""
    yield _text(rule.explains)
    yield ""


def _alert(rule: Rule) -> Iterator[str]:
    yield "## Why you were told"
    yield ""
    if rule.probe is not None:
        yield f"A probe read `{rule.probe.measure}` as {rule.probe.at_least:g} or more."
        yield ""
        return
    if rule.capture is not None:
        yield f"The packets of a capture show it (`{rule.capture.finding}`)."
        yield ""
        return
    if not rule.windows:
        yield "One such record is enough. Hosts are told apart; it is over when no record has come for five minutes."
        yield ""
        return
    yield "| window | severity | condition |"
    yield "| --- | --- | --- |"
    for window in rule.windows:
        severity = window.severity or rule.severity
        yield f"| {window.id} | {severity} | {_text(condition(window))}. {_text(window.says)} |"
    yield ""


def _sure(rule: Rule) -> Iterator[str]:
    yield "## Make sure"
    yield ""
    looks = list(_looks(rule))
    if looks:
        yield from (*looks, "")
    sample = next(_samples(rule), None)
    if sample is not None:
        yield "It looks like this:"
        yield from _block(_cut(sample.text), "text")
    kinds = {"log": "a log or a bundle", "probe": "the output of such a command", "capture": "a capture"}
    yield f"What {kinds[rule.kind]} holds by now:"
    yield from _block("tidegate diagnose PATH", "sh")


def _looks(rule: Rule) -> Iterator[str]:
    for signature in rule.signatures:
        if signature.from_ == "record":
            alone = " It never alerts by itself." if signature.role == "supports" else ""
            yield f"- **{signature.id}**: {_text(signature.says)}{alone}"
    for other in rule.discriminate:
        look = f"If {_text(other.if_)}" if rule.capture else f"Look first for {_code(other.if_)}"
        yield f"- {look}: {_text(other.then)}"
    where = [_code(" ".join(filter(None, (log.program, log.path)))) for log in rule.logs]
    if where:
        yield f"- Where such records stand: {', '.join(where)}."


def _samples(rule: Rule) -> Iterator[Positive]:
    """Return the samples of what alerts, the rule's first signature first."""
    telling = [one.id for one in rule.signatures if one.from_ == "record" and one.role == "incident"]
    if rule.probe is not None:
        yield from (one for one in rule.tests.positive if one.signature is None)
    for name in telling:
        yield from (one for one in rule.tests.positive if one.signature == name)


def _what_to_do(rule: Rule) -> Iterator[str]:
    yield "## What to do"
    yield ""
    for remedy in sorted(rule.remedies, key=lambda one: not one.prefer):
        yield f"### {_text(remedy.title)}{' (first choice)' if remedy.prefer and len(rule.remedies) > 1 else ''}"
        yield ""
        if remedy.impact:
            yield f"What it costs: {_text(remedy.impact)}"
            yield ""
        yield from _steps(remedy)
        if remedy.verify:
            yield ""
            yield "It has helped when:"
            yield ""
            for verify in remedy.verify:
                yield f"- {_verify(verify)}"
        yield ""


def _steps(remedy: Remedy) -> Iterator[str]:
    for number, step in enumerate(remedy.steps, start=1):
        indent = " " * (len(str(number)) + 2)
        on = f" On {_text(step.on)}:" if step.run and step.on else ""
        yield f"{number}. {_text(step.do)}{on}"
        if step.run:
            yield from (f"{indent}{line}".rstrip() for line in _block(step.run, "sh")[:-1])


def _verify(verify: Verify) -> str:
    text = _text(verify.say)
    if verify.run:
        text += f" {_code(verify.run)}"
        if verify.expect:
            text += f" shows {_code(verify.expect)}"
    if verify.quiet and verify.for_:
        text += f" (*{verify.quiet}* silent for {verify.for_})"
    return text


def _rest(rule: Rule) -> Iterator[str]:
    if versions := versions_line(rule):
        yield "## Versions"
        yield ""
        yield f"{_text(versions[0].upper() + versions[1:])}."
        yield ""
    yield "## Source"
    yield ""
    yield f"[{_text(rule.source.title)}]({rule.source.url}), read {rule.source.retrieved}. The whole rule:"
    yield f"`tidegate rules show {rule.id}`."


def _text(text: str) -> str:
    """Return words of a rule as they may stand in a page: on one line, and none of them a mark."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Return text as code, whatever backticks it holds."""
    text = " ".join(text.split())
    fence = "`" * (_longest_run(text) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _block(text: str, kind: str) -> list[str]:
    fence = "`" * max(3, _longest_run(text) + 1)
    return ["", f"{fence}{kind}", *text.strip("\n").split("\n"), fence, ""]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _cut(text: str) -> str:
    return text if len(text) <= _SAMPLE_SHOWN else f"{text[:_SAMPLE_SHOWN].rstrip()} …"
