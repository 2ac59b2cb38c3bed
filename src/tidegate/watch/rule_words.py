"""What a rule's parts say in one line each: the condition of a window, the versions that have the fault."""

from __future__ import annotations

from tidegate.watch.rule import Absence, AnyWindow, Counted, Distinct, Rule

__all__ = ["condition", "versions_line"]


def condition(window: AnyWindow) -> str:
    """Return when a window is met, as ``more than 10 of fault in 300s, apart by host``."""
    of, by = " or ".join(window.of), f", apart by {' and '.join(window.by)}" if window.by else ""
    if isinstance(window, Counted):
        return f"more than {window.more_than} of {of} in {window.over}{by}"
    if isinstance(window, Distinct):
        return f"{of} with {window.at_least} or more values of {window.field} in {window.over}{by}"
    if isinstance(window, Absence):
        return f"no {of} in {window.over} after {window.after}{by}"
    return f"{' then '.join(window.of)} in {window.over}{by}"


def versions_line(rule: Rule) -> str:
    """Return which versions have the fault and which do not any more; "" where the rule names none."""
    gate = rule.versions
    if gate is None:
        return ""
    affected = ", ".join(f"{one.range} ({one.basis})" for one in gate.affected) or "not said"
    fixed = {"none": "there is no fix", "unknown": "no fix is known"}.get(
        gate.fix,
        "fixed in " + ", ".join(f"{one.from_}{f' of {one.branch}' if one.branch else ''}" for one in gate.fixed),
    )
    return f"versions of {gate.product}: affected {affected}; {fixed}"
