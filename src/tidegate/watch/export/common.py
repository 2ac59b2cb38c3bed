"""What exporters share: the alerts of a rule, and what each of them counts in the rule's tests.

Other engines see single lines, or whole records where an agent joins them. An alert must count every failure once
either way: as often as it has lines is an alarm too early, never is no alarm at all. They evaluate from time to time,
so a burst that only just fits into its window may fall between two looks; each export says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.watch.damage import damaged
from tidegate.watch.rule import Counted, Distinct, Rule, Signature
from tidegate.watch.scan import HEAD

__all__ = ["Alert", "Export", "Refusal", "alerts_of", "miscounted"]

BETWEEN_LOOKS = "This target looks from time to time: a burst that only just fits into the window may fall between two."
"""What every alert of an engine that evaluates in steps says of itself."""

Json = dict[str, Any]
Sees = Callable[[str], bool]
"""Tells whether a query finds a text: one line, or a record with its lines joined."""

# As other releases and collectors lay the same record out over lines.
_LAYOUTS = frozenset({"no-time", "as-7", "as-8", "plus", "arrows", "empty-body", "case"})


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to alert about: a window of a rule, or a signature of a rule without windows.

    More than ``more_than`` records in ``over`` seconds; ``distinct``: records of that many different values at least.
    """

    rule: Rule
    id: str
    says: str
    severity: str
    signatures: tuple[Signature, ...]
    over: int
    more_than: int
    by: tuple[str, ...] = ()
    distinct: str = ""

    @property
    def name(self) -> str:
        """The name of the alert: ``RULE/WINDOW``."""
        return f"{self.rule.id}/{self.id}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An alert that an engine would get wrong, and why, in one sentence."""

    alert: str
    reason: str

    def __str__(self) -> str:
        return f"{self.alert}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Export:
    """What came of exporting: the alerts as the target takes them, and what was refused."""

    target: Literal["aria", "loki", "prometheus"]
    alerts: tuple[Json, ...]
    refusals: tuple[Refusal, ...]


def alerts_of(rule: Rule) -> Iterator[Alert | Refusal]:
    """Yield what a rule alerts about; what no engine of lines can count is refused here."""
    if rule.kind == "probe":
        yield Refusal(rule.id, "it is about the output of a command, and this target sees logs only")
        return
    if rule.kind == "capture":
        yield Refusal(rule.id, "it is about packets, and this target sees logs only")
        return
    records = [one for one in rule.signatures if one.from_ == "record" and one.role == "incident"]
    if not records:
        yield Refusal(rule.id, "it knows no record of a log, only the text of an article")
    if not rule.windows:
        for one in records:
            yield Alert(rule, one.id, one.says, rule.severity, (one,), 300, 0)
    for window in rule.windows:
        name, severity = f"{rule.id}/{window.id}", window.severity or rule.severity
        signatures = tuple(one for one in rule.signatures if one.id in window.of)
        over, rest = divmod(window.over.count, 10**9)
        if rest or over < 1:
            yield Refusal(name, f"its window of {window.over} is no whole number of seconds")
        elif isinstance(window, Counted):
            yield Alert(rule, window.id, window.says, severity, signatures, over, window.more_than, window.by)
        elif isinstance(window, Distinct):
            least = window.at_least - 1
            yield Alert(rule, window.id, window.says, severity, signatures, over, least, window.by, window.field)
        else:
            what = "one event after another" if window.kind == "sequence" else "what does not come"
            yield Refusal(name, f"it is about {what}, and this target only counts")


def miscounted(alert: Alert, sees: Sees) -> str:
    """Return why a query that ``sees`` would count the rule's tests wrongly; nothing when it counts them right.

    Every sample of the alert's signatures must be seen once as lines, and once as one event; also as other releases lay
    it out. No negative may be seen at all.
    """
    wanted = {one.id: one for one in alert.signatures}
    for test in alert.rule.tests.positive:
        signature = wanted.get(test.signature or "")
        if signature is None:
            continue
        layouts = [(t.says, text) for t, text in damaged(test.text, signature.literals) if t.id in _LAYOUTS]
        for under, text in [("", test.text), *layouts]:
            where = f'the test "{test.name}"' + (f" ({under})" if under else "")
            lines = sum(map(sees, text.split("\n")))
            if lines != 1:
                return f"it would count {where} {lines} times where each line is an event"
            if not sees(text) and len(text.encode()) <= HEAD:
                return f"it would miss {where} where a record is one event"
    for negative in alert.rule.tests.negative:
        if sees(negative.text) or any(map(sees, negative.text.split("\n"))):
            return f'it would count the test "{negative.name}", which is no failure'
    return ""
