"""What a watch's file may say of acting: ``[acting]`` once, and ``[act.NAME]`` for each thing that may be done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tidegate.config.broken import Broken
from tidegate.config.fields import Name, Table, duration
from tidegate.config.values import AdminSocket, Texts
from tidegate.units import Duration
from tidegate.watch.live.acts import Act, Do
from tidegate.watch.rule import RuleSet, Severity

__all__ = ["ActTable", "ActingTable", "acts_of", "broken_acts", "unknown_to_acts"]


class ActingTable(Table):
    """``[acting]``."""

    enabled: bool = False
    """Whether anything may be begun, until ``tidegate watch act on`` or ``off`` says otherwise, which is remembered."""
    proposals: Path | None = None
    """Folder for proposed fleet runs; left out: ``proposals`` in the folder of the watch's file."""


class ActTable(Table):
    """``[act.NAME]``."""

    rule: str
    """The id of the rule whose episodes ask for it."""
    do: Do
    corroborate: Annotated[Texts, Field(min_length=1, max_length=16)]
    """``probe.NAME``, or ``probe.NAME/RULE`` for one rule of it: any of them must show the same trouble."""
    gate: AdminSocket | None = None
    service: Name | None = None
    """Left out: every service of the gate."""
    plan: Path | None = None
    """For ``propose``: the plan of ``tidegate fleet``."""
    where: dict[str, str] = Field(default_factory=dict, max_length=8)
    """Which scopes it is about, by their fields; left out: all."""
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = ("critical",)
    approval: Literal["ask", "standing"] = "ask"
    """``standing``: a gate is told without being asked each time. A fleet run is always for a person."""
    within: Duration = duration("5m")
    """How old the probe's sign may be."""
    quiet: Duration = duration("10m")
    """How long the rule must be silent afterwards."""
    hold: Duration = duration("15m")
    """How long a gate is kept in maintenance at the most."""


def acts_of(tables: Mapping[str, ActTable]) -> tuple[Act, ...]:
    """Return the acts of a file that :func:`broken_acts` finds nothing wrong with."""
    return tuple(
        Act(
            name=name,
            rule=table.rule,
            do=table.do,
            corroborate=table.corroborate,
            gate=(table.gate or "").removeprefix("unix:"),
            service=table.service or "",
            plan=str(table.plan or ""),
            where=tuple(sorted(table.where.items())),
            severities=table.severities,
            standing=table.approval == "standing",
            within=table.within.nanoseconds,
            quiet=table.quiet.nanoseconds,
            hold=table.hold.nanoseconds,
        )
        for name, table in tables.items()
    )


def broken_acts(tables: Mapping[str, ActTable], probes: Collection[str]) -> Iterator[Broken]:
    """Yield what is wrong with acts beside the probes of the same file (their names, without ``probe.``)."""
    for name, table in tables.items():
        path = ("act", name)
        for sign in table.corroborate:
            probe = sign.partition("/")[0]
            if probe.removeprefix("probe.") not in probes or not probe.startswith("probe."):
                hint = "log lines can be forged, so only a probe counts: write probe.NAME of a table [probe.NAME]"
                yield Broken((*path, "corroborate"), f'"{sign}" is no probe of this file', hint)
        if table.do == "propose":
            yield from _proposal(path, table)
        else:
            yield from _message(path, table)


def _proposal(path: tuple[str, str], table: ActTable) -> Iterator[Broken]:
    if table.plan is None:
        yield Broken((*path, "do"), "proposes no plan", 'write plan = "vvold.toml", a plan of `tidegate fleet`')
    if table.approval == "standing":
        yield Broken((*path, "approval"), "would start a fleet run without a person", "leave approval out")
    for key in ("gate", "service"):
        if getattr(table, key) is not None:
            yield Broken((*path, key), "is for telling a gate, and this proposes a fleet run", "leave it out")


def _message(path: tuple[str, str], table: ActTable) -> Iterator[Broken]:
    if table.gate is None:
        yield Broken((*path, "do"), "tells no gate", 'write gate = "unix:/run/tidegate/admin.sock"')
    if table.plan is not None:
        yield Broken(
            (*path, "plan"), "is for a fleet run, and this tells a gate", 'write do = "propose", or leave it out'
        )


def unknown_to_acts(tables: Mapping[str, ActTable], rules: RuleSet) -> Iterator[Broken]:
    """Yield what acts name and rules do not have: the rule itself, a field of its scopes, a severity."""
    for name, table in tables.items():
        rule = rules.get(table.rule)
        if rule is None:
            hint = "`tidegate rules list` shows the ids"
            yield Broken(("act", name, "rule"), f'there is no rule "{table.rule}"', hint)
            continue
        fields = {field for window in rule.windows for field in window.by}
        if not rule.windows:
            fields = {"scope"} if rule.probe is not None else {"host"}
        for field in sorted(set(table.where) - fields):
            hint = f"its windows are kept apart by {', '.join(sorted(fields)) or 'nothing'}"
            yield Broken(("act", name, "where"), f'no window of {rule.id} is kept apart by "{field}"', hint)
        possible = {window.severity or rule.severity for window in rule.windows} or {rule.severity}
        if not possible & set(table.severities):
            hint = f'write severities = ["{min(possible)}"]'
            yield Broken(("act", name, "severities"), f"{rule.id} is never {' or '.join(table.severities)}", hint)
        for sign in table.corroborate:
            named = sign.partition("/")[2]
            if named and rules.get(named) is None:
                yield Broken(("act", name, "corroborate"), f'there is no rule "{named}"', "leave it out for any rule")
