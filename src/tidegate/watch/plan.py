"""Rules to the plan that the scanner takes: JSON with ``"format": 1``, the only thing of a rule that Rust sees."""

from __future__ import annotations

from collections import abc
from typing import Any

from tidegate.watch.marks import MARKS, Mark
from tidegate.watch.rule import Absence, AnyWindow, Counted, Distinct, Rule, Sequence, Signature
from tidegate.watch.windows import Window

__all__ = ["LIMITS", "to_plan", "to_window"]

LIMITS = {"hits": 50_000, "evidence": 50, "keys": 2_000}
"""How many hits are kept in all, how many records per signature, how many keys per tally."""


def to_plan(
    rules: abc.Iterable[Rule],
    *,
    now: int = 0,
    tallies: abc.Sequence[dict[str, Any]] = (),
    marks: abc.Sequence[Mark] = MARKS,
    dumps: abc.Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Return the plan for ``rules``; a signature is ``RULE/SIGNATURE`` there, be it of records or of prose.

    Parameters
    ----------
    now
        Nanoseconds since 1970, ≥ 0: gives years to times that have none.
    tallies, dumps
        What else to count, and which members to hand out whole, as the plan has them.
    """
    return {
        "format": 1,
        "now": now,
        "signatures": [_signature(rule, signature) for rule in rules for signature in rule.signatures],
        "tallies": list(tallies),
        "marks": [mark.as_json() for mark in marks],
        "dumps": list(dumps),
        "limits": dict(LIMITS),
    }


def _signature(rule: Rule, signature: Signature) -> dict[str, Any]:
    return {
        "id": rule.signature_id(signature),
        "literals": list(signature.literals),
        "fold": signature.fold,
        "all": list(signature.all_),
        "not": list(signature.not_),
        "programs": list(signature.programs),
    }


def to_window(window: AnyWindow) -> Window:
    """Return what :func:`tidegate.watch.windows.episodes` judges for a rule's window."""
    match window:
        case Counted():
            return Window("count", window.of, window.over.count, more_than=window.more_than)
        case Distinct():
            return Window("distinct", window.of, window.over.count, at_least=window.at_least)
        case Sequence():
            return Window("sequence", window.of, window.over.count)
        case Absence():
            return Window("absence", window.of, window.over.count, after=window.after)
