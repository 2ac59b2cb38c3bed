"""The version verdict of a rule over what a scan has read: the facts of the rule, the versions found, the line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.harmless import harmless, harmless_line
from tidegate.versions import Version, judge
from tidegate.watch.rule import Rule

__all__ = ["version_verdict"]

_BUILDS_SHOWN = 10
_RECORD_SHOWN = 300


def version_verdict(rule: Rule, result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return verdict, reason, product, the versions found and the line of each; None where a rule names no versions."""
    if rule.versions is None:
        return None
    facts = rule.versions.facts()
    paths = {member["index"]: member["path"] for member in result["members"]}
    found: dict[str, dict[str, Any]] = {}
    versions: list[Version] = []
    for mark in result["marks"]:
        if not _speaks_of(mark["mark"], facts.product):
            continue
        text, build = mark["fields"].get("version", ""), mark["fields"].get("build", "")
        try:
            versions.append(Version.parse(text))
        except ValueError:
            if not build:
                continue  # a log may say anything; "version=e.x.p" is a genuine one
        found.setdefault(
            f"{text} {build}",
            {
                "version": harmless(text) or None,
                "build": harmless(build) or None,
                "path": harmless_line(paths[mark["member"]]),
                "line": mark["line"],
                "record": harmless(mark["record"][:_RECORD_SHOWN]),
            },
        )
    verdict = judge(facts, versions)
    return {
        "verdict": verdict.verdict,
        "why": verdict.why,
        "product": facts.product,
        "evidence": [found[key] for key in sorted(found)][:_BUILDS_SHOWN],
    }


def _speaks_of(mark: str, product: str) -> bool:
    """Whether a mark is about a product: ``version/nsx`` and ``version/nsx-module`` are about ``nsx``."""
    kind, _, name = mark.partition("/")
    return kind == "version" and name.partition("-")[0] == product
