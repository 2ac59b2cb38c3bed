"""What KB 433412 says of NSX builds, and what a host's own ``esxcfg-nics -e`` says of its uplinks. Pure."""

from __future__ import annotations

import re

from tidegate.fleet.plans.nsx_body import ENS_MODES
from tidegate.versions import Fix, Range, Verdict, Version, VersionFacts, judge

__all__ = ["FACTS", "build_verdict", "exposure", "reads_ens"]

FACTS = VersionFacts(
    product="NSX",
    # The article's environment: seen there, not said to be the only one.
    affected=(Range("==4.1.2.1", "observed"),),
    fixes=(Fix(Version.parse("4.1.2.3"), Version.parse("4.1")), Fix(Version.parse("4.2.0"))),
    fix="listed",
)
"""KB 433412. Nothing is said of 4.1.2.2, nor of what came before 4.1.2.1: unknown, and suspect where ENS runs."""

_BUILD = re.compile(r"^\s*(\d+(?:\.\d+){1,3})(?:\.\d+)*\s*$")


def build_verdict(build: str) -> Verdict:
    """Return the verdict over an NSX build as NSX writes it: ``4.1.2.1.0.22667789``."""
    found = _BUILD.match(build)
    if found is None:
        return Verdict("unknown", f'"{build}" is no NSX build' if build else "the host's NSX build is not known")
    # Four numbers are the release; what follows is a build.
    return judge(FACTS, [Version.parse(found[1])])


def exposure(build: str, modes: frozenset[str]) -> tuple[bool, str]:
    """Return whether a host is exposed to the crash, and a sentence: its build and its realised mode together."""
    verdict = build_verdict(build)
    mode = ", ".join(sorted(modes)) or "unknown"
    if verdict.verdict == "fixed":
        return False, f"fixed: {verdict.why} (realised mode {mode})"
    if not modes:
        return True, f"{verdict.verdict}: {verdict.why}; its realised mode is not known: treat as suspect"
    if not modes & ENS_MODES:
        return False, f"{verdict.verdict}, not exposed: the realised mode is {mode}, not ENS ({verdict.why})"
    if verdict.verdict == "affected":
        return True, f"affected and exposed: the realised mode is {mode}; {verdict.why}"
    return True, f"unknown, treat as suspect: the realised mode is {mode}; {verdict.why}"


def reads_ens(output: str) -> bool | None:
    """Return whether ENS drives an uplink, by the output of ``esxcfg-nics -e``; ``None`` where it does not tell.

    ``ENS Driven`` is the polling mode; ``INTR Enabled`` (newer hosts) the interrupt mode.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    head = next((line for line in lines if line.startswith("Name") and "ENS Driven" in line), None)
    if head is None:
        return None
    columns = [head.find(name) for name in ("ENS Driven", "INTR Enabled") if name in head]
    rows = [line for line in lines if line != head and not line.startswith("-")]
    words = [line[column:].split(maxsplit=1)[:1] for line in rows for column in columns if column < len(line)]
    values = {word[0].lower() for word in words if word}
    if not values or not values <= {"true", "false"}:
        return None
    return "true" in values
