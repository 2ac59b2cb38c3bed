"""Records as ESXi hosts and vCenters write them: the samples of the shipped rules, with a time and names of their own.

What a rule must find is taken from its own tests, so the lab never has an opinion about how a record looks. Noise is
what healthy systems write (``ordinary.txt``); near misses are the samples that rules must not find.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from tidegate.watch.rule import RuleSet

__all__ = ["ARTICLE", "TEXTS", "Text", "article", "near_misses", "noise", "stamp", "text_of"]

_TIME = "\x00"
"""Where a record's time goes."""
_PLACEHOLDER = re.compile(r"(?:YYYY|yyyy)-[^ ]+")
_LEADING = re.compile(r"^(?:\d+[:-](?=\d{4}-))?(?:\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))? ?")
_NAME = re.compile(r"X{3,}")


@dataclass(frozen=True, slots=True)
class Text:
    """Which sample of which rule, and who writes such records."""

    rule: str
    signature: str
    by: str
    """``esx`` or ``vc``."""


TEXTS = {
    "transport": Text("vasa.provider.setcontext-storm", "transport", "esx"),
    "storage": Text("vasa.provider.setcontext-storm", "storage", "esx"),
    "connections": Text("esxi.envoy.https-connections", "limit", "esx"),
    "buffers": Text("esxi.tcpip.no-buffers", "no-socket", "esx"),
    "heap": Text("esxi.vmkernel.heap-full", "full", "esx"),
    "backup": Text("vcenter.hgw.nfc-not-authenticated", "not-authenticated", "vc"),
    "sessions": Text("vcenter.sessions.soap-full", "full", "vc"),
    "handshake": Text("vcenter.tls.verify-failed", "verify-failed", "vc"),
    "certificate": Text("vasa.provider.certificate-not-trusted", "unknown-certificate", "vc"),
}
"""What the lab writes that a rule finds, by a short name."""

ARTICLE = ("Article ID: 440879", "Issue/Introduction", "Additional Information")
"""Headings that make a text an article; they stand alone on their lines."""


def stamp(text: str, time: int) -> str:
    """Return a record with its time, in nanoseconds since 1970; it is written to the millisecond."""
    seconds, rest = divmod(time, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return text.replace(_TIME, f"{moment}.{rest // 10**6:03d}Z")


def text_of(rules: RuleSet, name: str, provider: str = "") -> str:
    """Return the record that is called ``name``, without its time; ``provider`` stands for the one in the sample."""
    wanted = TEXTS[name]
    rule = rules.get(wanted.rule)
    samples = [one.text for one in rule.tests.positive if one.signature == wanted.signature] if rule else []
    return _open(_NAME.sub(provider, samples[0]) if provider else samples[0])


def noise() -> list[str]:
    """Return records of healthy systems, without their times; all of one line."""
    lines = (files("tidegate.watch") / "ordinary.txt").read_text(encoding="utf-8").splitlines()
    return [_open(line) for line in lines if re.match(r"\d{4}-\d\d-\d\dT", line)]


def near_misses(rules: RuleSet) -> list[str]:
    """Return what the rules of :data:`TEXTS` must not find though it comes near, without times; all of one line.

    Some near misses are another rule's sample: those are left out.
    """
    wanted = {text.rule for text in TEXTS.values()}
    literals = {literal for rule in rules.rules for one in rule.signatures for literal in one.literals}
    return [
        _open(one.text)
        for rule in rules.rules
        if rule.id in wanted
        for one in rule.tests.negative
        if "\n" not in one.text and not any(literal in one.text for literal in literals)
    ]


def article(rules: RuleSet, times: int) -> str:
    """Return the text of an article as somebody pastes it into a log, with its sample ``times`` times."""
    return "\n".join((*ARTICLE, *(text_of(rules, "backup") for _ in range(times))))


def _open(text: str) -> str:
    """Put the mark for the time where a sample has a time, or a place for one, or else before it."""
    text = _PLACEHOLDER.sub(_TIME, text).replace("#####", "2101")
    return text if text.startswith(_TIME) else _LEADING.sub(f"{_TIME} ", text, count=1)
