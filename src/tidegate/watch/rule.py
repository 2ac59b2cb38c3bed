"""A rule: what to look for in logs, dumps and captures, what it means, what to do, and the tests that prove it.

One file is one rule (docs/reference/rules.md). The models say what may stand in it; ``schema.json`` beside the shipped
rules is written from them, so that an editor knows it too. Nothing here looks at a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tidegate.config.fields import Table
from tidegate.config.problems import KnowsLines
from tidegate.versions import Fix, Range, Version, VersionFacts
from tidegate.watch.fields import (
    Article,
    Branch,
    Count,
    Date,
    FieldName,
    Flag,
    Id,
    Name,
    Needle,
    OneVersion,
    Regex,
    Span,
    Text,
    Url,
    Versions,
)

__all__ = [
    "Absence",
    "Affected",
    "CaptureFinding",
    "CaptureWord",
    "Counted",
    "Discriminator",
    "Distinct",
    "Fixed",
    "LogHint",
    "Negative",
    "Played",
    "Positive",
    "Probe",
    "Remedy",
    "Replay",
    "Rule",
    "RuleSet",
    "RuleTests",
    "Sequence",
    "Signature",
    "Source",
    "Step",
    "Verify",
    "VersionGate",
]

Severity = Literal["critical", "warning", "notice"]
"""How bad it is, worst first."""
Product = Literal["vcenter", "esxi", "nsx", "avi", "f5", "haproxy", "nginx", "envoy", "linux", "vasa", "tcp"]
"""What a rule is about; ``tcp`` is VMware's Telco Cloud Platform."""

CaptureWord = Literal[
    "tuple-collision",
    "half-open",
    "port-exhaustion",
    "keepalive-only",
    "connection-storm",
    "handshake-failed",
    "reset-origin",
    "idle-timeout",
    "one-sided",
    "drops",
]
"""What a capture can show."""


class Source(Table):
    """Where the sample of a rule or of a test was found, and when."""

    title: Text
    url: Url
    retrieved: Date


class LogHint(Table):
    """Where such records stand as a rule: a hint, never needed to match."""

    program: Text | None = None
    path: Text | None = None


class Signature(Table):
    """Records that hold one of the literals, match every regex of ``all`` and none of ``not``."""

    id: Name
    says: Text
    from_: Literal["record", "prose"] = Field("record", alias="from")
    literals: Annotated[tuple[Needle, ...], Field(min_length=1, max_length=20)]
    fold: Flag = False
    all_: Annotated[tuple[Regex, ...], Field(max_length=20)] = Field((), alias="all")
    not_: Annotated[tuple[Regex, ...], Field(max_length=20)] = Field((), alias="not")
    programs: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    line: Regex | None = None
    role: Literal["incident", "supports"] = "incident"


class _Window(Table):
    """What all windows share."""

    id: Name
    by: tuple[FieldName, ...] = ()
    over: Span
    severity: Severity | None = None
    says: Text


Of = Annotated[tuple[Name, ...], Field(min_length=1, max_length=20)]


class Counted(_Window):
    """More than ``more_than`` hits within ``over``."""

    kind: Literal["count"]
    of: Of
    more_than: Annotated[Count, Field(ge=1, le=1_000_000)]


class Distinct(_Window):
    """Hits with at least ``at_least`` different values of ``field`` within ``over``."""

    kind: Literal["distinct"]
    of: Of
    field: FieldName
    at_least: Annotated[Count, Field(ge=2, le=100_000)]


class Sequence(_Window):
    """A hit of each of ``of``, in this order, within ``over``."""

    kind: Literal["sequence"]
    of: Annotated[tuple[Name, ...], Field(min_length=2, max_length=20)]


class Absence(_Window):
    """A hit of ``after``, and none of ``of`` within ``over`` after it."""

    kind: Literal["absence"]
    after: Name
    of: Of


AnyWindow = Annotated[Counted | Distinct | Sequence | Absence, Field(discriminator="kind")]


class Affected(Table):
    """Versions that have the fault: ``stated`` by the source, or merely ``observed`` with it."""

    range: Versions
    basis: Literal["stated", "observed"]


class Fixed(Table):
    """From which version on the fault is fixed: within one branch, or for all that come later."""

    branch: Branch | None = None
    from_: OneVersion = Field(alias="from")


class VersionGate(Table):
    """Which versions have the fault; ``fixed: []`` with ``fix: none`` says that the source knows of no fix."""

    product: Product
    affected: tuple[Affected, ...] = ()
    fixed: tuple[Fixed, ...] = ()
    fix: Literal["listed", "none", "unknown"]

    def facts(self) -> VersionFacts:
        """Return what a build is judged by."""
        return VersionFacts(
            product=self.product,
            affected=tuple(Range(one.range, one.basis) for one in self.affected),
            fixes=tuple(
                Fix(Version.parse(one.from_), Version.parse(one.branch) if one.branch else None) for one in self.fixed
            ),
            fix=self.fix,
        )


class Discriminator(Table):
    """What else it may be, to be looked at before anything is done."""

    if_: Regex = Field(alias="if")
    then: Text


class Step(Table):
    """One thing to do; ``run`` is a command to type, ``on`` is where."""

    do: Text
    run: Text | None = None
    on: Text | None = None


class Verify(Table):
    """How to see that it helped: a signature that stays quiet, or a command and what it shows."""

    say: Text
    quiet: Name | None = None
    for_: Span | None = Field(None, alias="for")
    run: Text | None = None
    expect: Regex | None = None


class Remedy(Table):
    """What to do about it, what that costs, and how to see that it helped."""

    id: Name
    title: Text
    prefer: Flag = False
    impact: Text | None = None
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    verify: tuple[Verify, ...] = ()


class Positive(Table):
    """A text that must be found: by ``signature``, or (probe rules) as a value of ``at_least`` or more."""

    name: Text
    signature: Name | None = None
    fields: dict[FieldName, Text] = Field(default_factory=dict)
    text: Text
    source: Source | None = None


class Negative(Table):
    """A text that must not be found, however near it comes."""

    name: Text
    text: Text
    source: Source | None = None


class Replay(Table):
    """``count`` hits, one ``every`` so long: how often a window fires. With ``spread`` each has a value of its own."""

    name: Text
    signature: Name
    every: Span
    count: Annotated[Count, Field(ge=1, le=100_000)]
    spread: Flag = False
    window: Name
    fires: Annotated[Count, Field(ge=0, le=100_000)]


class Played(Table):
    """Packets (:mod:`tidegate.watch.capture.script`) that a capture rule finds, or with ``found: false`` must not find.

    Played ``times`` times, one beginning ``every`` so long, each from the next client ``by`` port or host.
    """

    name: Text
    found: Flag = True
    outcome: Text | None = None
    times: Annotated[Count, Field(ge=1, le=30_000)] = 1
    every: Span | None = None
    port: Annotated[Count, Field(ge=1, le=65_535)] = 40_001
    by: Literal["port", "host"] = "port"
    packets: Text
    source: Source | None = None


class RuleTests(Table):
    """What proves a rule."""

    positive: tuple[Positive, ...] = ()
    negative: tuple[Negative, ...] = ()
    replay: tuple[Replay, ...] = ()
    played: tuple[Played, ...] = ()


class Probe(Table):
    """A number that the output of a command holds, and from where on it is bad."""

    measure: Annotated[str, Field(pattern=r"^[a-z]+\.[a-z_]+$")]
    at_least: Annotated[float, Field(gt=0, lt=1e12)]


class CaptureFinding(Table):
    """What the packets of a capture show, by the word that the reader of captures has for it."""

    finding: CaptureWord


class Rule(Table):
    """One rule file."""

    schema_: Literal[1] = Field(alias="schema")
    id: Id
    rev: Annotated[Count, Field(ge=1, le=1_000_000)]
    title: Text
    kind: Literal["log", "probe", "capture"]
    article: Article | None = None
    source: Source
    severity: Severity
    products: Annotated[tuple[Product, ...], Field(min_length=1)]
    explains: Text
    logs: tuple[LogHint, ...] = ()
    signatures: Annotated[tuple[Signature, ...], Field(max_length=50)] = ()
    windows: Annotated[tuple[AnyWindow, ...], Field(max_length=20)] = ()
    quiet_below: Flag = False
    versions: VersionGate | None = None
    discriminate: tuple[Discriminator, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    tests: RuleTests = RuleTests()
    probe: Probe | None = None
    capture: CaptureFinding | None = None

    def signature(self, name: str) -> Signature | None:
        """Return the signature with the id ``name``."""
        return next((one for one in self.signatures if one.id == name), None)

    def signature_id(self, signature: Signature) -> str:
        """Return the id by which the scanner knows a signature: ``RULE/SIGNATURE``."""
        return f"{self.id}/{signature.id}"


class RuleSet:
    """Rules by id, in the order of their ids; no two share one.

    Parameters
    ----------
    rules
        The rules, each with the file that it stands in.
    lines
        Knows the lines of each file.
    """

    def __init__(self, rules: Mapping[Path, Rule], lines: Mapping[Path, KnowsLines]) -> None:
        pairs = sorted(rules.items(), key=lambda pair: pair[1].id)
        self.rules: tuple[Rule, ...] = tuple(rule for _, rule in pairs)
        self.files: dict[str, Path] = {rule.id: file for file, rule in pairs}
        self.lines: dict[str, KnowsLines] = {rule.id: lines[file] for file, rule in pairs}

    def __len__(self) -> int:
        return len(self.rules)

    def get(self, name: str) -> Rule | None:
        """Return the rule with the id ``name``."""
        return next((rule for rule in self.rules if rule.id == name), None)

    def of_signature(self, name: str) -> tuple[Rule, Signature] | None:
        """Return the rule and signature that the scanner calls ``RULE/SIGNATURE``."""
        rule = self.get(name.partition("/")[0])
        signature = rule.signature(name.partition("/")[2]) if rule else None
        return (rule, signature) if rule and signature else None
