"""Whether a build is affected: versions as vendors write them, and a verdict with the reason for it.

Forms that are met: ``7.0U3``, ``7.0 Update 3l (build 21424296)``, ``8.0b``, ``8.0u3h``, ``8.0.3``, ``9.0.1.0``,
``4.1.2.1``, ``TCP 4.0.1``. An update is the third number (ESXi 7.0 Update 3 says ``version=7.0.3`` in its logs), and a
patch letter comes after the numbers, in the order of the alphabet. A build number compares only within one product, so
it is kept as evidence and decides nothing.

A verdict says *unknown* where the source does not speak of a build: what lies between the last version that was seen to
fail and the first that is fixed is not called affected, and not fixed either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Literal, Self

__all__ = ["Fix", "Range", "Verdict", "Version", "VersionFacts", "judge"]

_FORM = re.compile(
    r"""^\s*(?:[A-Za-z][\w .-]*?\s)?\s*            # a product's name before it
        v?(?P<numbers>\d+(?:\.\d+){0,4})
        (?:\s*(?:[Uu]|[Uu]pdate\s*)(?P<update>\d+))?
        (?P<letter>[a-z])?
        (?:\s*\(?\s*(?:build[- ])?(?P<build>\d{6,})\)?)?\s*$""",
    re.VERBOSE,
)
_OPERATORS = (">=", "<=", "==", "<", ">")
_LONGEST = 80
"""Characters; no vendor's version is longer, and a log may hold anything."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version: its numbers (padded to four when compared), its patch letter, its build where one was given."""

    text: str
    numbers: tuple[int, ...]
    letter: str = ""
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a version in one of the forms above.

        Raises
        ------
        ValueError
            With one sentence, when it is none.
        """
        match = _FORM.match(text) if len(text) <= _LONGEST else None
        if match is None:
            raise ValueError(f'"{text[:_LONGEST]}" is no version; write for example 8.0.3, 7.0U3l or 4.1.2.3')
        numbers = tuple(int(part) for part in match["numbers"].split("."))
        if match["update"]:
            numbers = (*numbers[:2], *([0] * (2 - len(numbers))), int(match["update"]))
        return cls(text.strip(), numbers, match["letter"] or "", match["build"] or "")

    @property
    def key(self) -> tuple[tuple[int, ...], str]:
        """What is compared."""
        return (self.numbers + (0,) * (5 - len(self.numbers)), self.letter)

    def within(self, branch: Version) -> bool:
        """Whether this is a version of a branch: ``4.1.2.3`` is one of ``4.1``."""
        return self.numbers[: len(branch.numbers)] == branch.numbers

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Range:
    """Conditions that all hold: ``>=8.0 <9.0``, one version exactly, or a branch: ``8.x``.

    ``basis``: said by the vendor, or only seen.
    """

    text: str
    basis: Literal["stated", "observed"] = "stated"

    def parts(self) -> list[tuple[str, Version]]:
        """Return the conditions.

        Raises
        ------
        ValueError
            With one sentence, when the text has none or one is no version.
        """
        parts = [self._part(word) for word in self.text.split()]
        if not parts:
            raise ValueError('an empty range holds no version; write for example ">=8.0 <9.0"')
        return parts

    @staticmethod
    def _part(word: str) -> tuple[str, Version]:
        operator = next((operator for operator in _OPERATORS if word.startswith(operator)), "")
        operand = word.removeprefix(operator)
        if not operator and operand.endswith(".x"):
            return "within", Version.parse(operand.removesuffix(".x"))
        return operator or "==", Version.parse(operand)

    def holds(self, version: Version) -> bool:
        """Whether a version lies within."""
        tests = {
            ">=": version.__ge__,
            "<=": version.__le__,
            ">": version.__gt__,
            "<": version.__lt__,
            "==": version.__eq__,
            "within": version.within,
        }
        return all(tests[operator](operand) for operator, operand in self.parts())


@dataclass(frozen=True, slots=True)
class Fix:
    """Fixed from this version on, the version included; within ``branch`` only, where one is named."""

    since: Version
    branch: Version | None = None

    def holds(self, version: Version) -> bool:
        """Whether a version has the fix."""
        return version >= self.since and (self.branch is None or version.within(self.branch))


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a source says about one product. ``fix``: versions are listed, it says that there is none, or nothing."""

    product: str
    affected: tuple[Range, ...] = ()
    fixes: tuple[Fix, ...] = ()
    fix: Literal["listed", "none", "unknown"] = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``no-fix``: no version has a fix, so the build does not matter. ``why`` is one sentence."""

    verdict: Literal["affected", "fixed", "unknown", "no-fix"]
    why: str


def judge(facts: VersionFacts, found: Sequence[Version]) -> Verdict:
    """Return the verdict over the versions of the product that were found; the worst of several builds counts."""
    fixes = ", ".join(f"{fix.since}" + (f" (branch {fix.branch})" if fix.branch else "") for fix in facts.fixes)
    if facts.fix == "none":
        return Verdict("no-fix", "the source says that there is no code fix, in any version")
    if not found:
        say = f"; fixed in {fixes}" if fixes else ""
        return Verdict("unknown", f"no version of {facts.product} was found in what was read{say}")
    verdicts = [_judge_one(facts, version, fixes) for version in sorted(set(found))]
    return min(verdicts, key=lambda verdict: ("affected", "unknown", "fixed", "no-fix").index(verdict.verdict))


def _judge_one(facts: VersionFacts, version: Version, fixes: str) -> Verdict:
    for fix in facts.fixes:
        if fix.holds(version):
            branch = f" in branch {fix.branch}" if fix.branch else ""
            return Verdict("fixed", f"{facts.product} {version} is {fix.since} or later{branch}, which has the fix")
    for span in facts.affected:
        if span.holds(version):
            basis = "said to be affected" if span.basis == "stated" else "where this was seen"
            after = f"; fixed in {fixes}" if fixes else "; the source names no fix"
            return Verdict("affected", f"{facts.product} {version} is {basis}{after}")
    after = f"; fixed in {fixes}" if fixes else ""
    return Verdict("unknown", f"the source does not speak of {facts.product} {version}{after}")
