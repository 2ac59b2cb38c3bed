"""From hits to findings: one per rule and kind, with scope, windows, evidence, version verdict and remedies.

What stands in the text of an article is a finding of kind ``article``, never an incident: the vendor's samples are no
outage. A member is an article's text when it has two or more of the headings that those pages have (marks
``article/...``), never because of a number in it. A signature ``from: prose`` is always of that kind.

A rule with windows is as severe as the window that fired; below them its hits are a ``notice``. The same record met in
two members (a log and a grep of it) counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tidegate.harmless import harmless, harmless_line
from tidegate.watch.coverage import iso
from tidegate.watch.plan import to_window
from tidegate.watch.redact import redacted
from tidegate.watch.rule import Distinct, Rule, RuleSet
from tidegate.watch.values import host_of, provider_of, value_of
from tidegate.watch.version_gate import version_verdict
from tidegate.watch.windows import Episode, Event, episodes

__all__ = ["ARTICLE_HEADINGS", "RECORD_SHOWN", "SEVERITIES", "article_members", "findings", "rule_part"]

Json = dict[str, Any]

SEVERITIES = ("critical", "warning", "notice")
"""Worst first."""
ARTICLE_HEADINGS = 2
"""A text with so many different headings is an article's."""
_EVIDENCE = 3
"""Records that are shown per signature."""
RECORD_SHOWN = 2000
"""Characters of a record that are shown."""
_SCOPE_SHOWN = 1000
_POINTS = 1500
"""Points of a time line; a longer one has wider steps."""


def findings(rules: RuleSet, result: Mapping[str, Any]) -> list[Json]:
    """Return the findings of a scan, worst first.

    Parameters
    ----------
    rules
        The rules that the scan's plan was made of.
    result
        What the scanner returned (its format is in ``_core.pyi``).
    """
    articles = article_members(result)
    by_rule: dict[str, list[Json]] = {}
    for hit in _once(result["hits"]):
        by_rule.setdefault(hit["signature"].partition("/")[0], []).append(hit)
    reader = _Reader(result)
    found = []
    for rule in rules.rules:
        prose = {rule.signature_id(signature) for signature in rule.signatures if signature.from_ == "prose"}
        hits = by_rule.get(rule.id, [])
        quoted = [hit for hit in hits if hit["signature"] in prose or hit["member"] in articles]
        records = [hit for hit in hits if not (hit["signature"] in prose or hit["member"] in articles)]
        found += [each for each in (_incident(rule, records, reader), _article(rule, quoted, reader)) if each]
    return sorted(found, key=lambda each: (each["kind"], SEVERITIES.index(each["severity"]), each["rule"]))


def article_members(result: Mapping[str, Any]) -> set[int]:
    """Return the indexes of the members that are text of an article."""
    headings: dict[int, set[str]] = {}
    for mark in result["marks"]:
        if mark["mark"].startswith("article/"):
            headings.setdefault(mark["member"], set()).add(mark["mark"])
    return {member for member, marks in headings.items() if len(marks) >= ARTICLE_HEADINGS}


def _once(hits: Iterable[Json]) -> Iterator[Json]:
    """Leave out what another member holds already: the same record at the same time of the same process."""
    seen: dict[tuple[object, ...], int] = {}
    for hit in hits:
        if hit["time"] is not None and hit["time_source"] == "record":
            fields = tuple(sorted(hit["fields"].items()))
            key = (hit["signature"], hit["time"], hit["program"], hit["pid"], hit["host"], fields)
            if seen.setdefault(key, hit["member"]) != hit["member"]:
                continue
        yield hit


class _Reader:
    """Answers what findings ask of a scan's result."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.paths = {member["index"]: member["path"] for member in result["members"]}
        ends = [member["last"] for member in result["members"] if member["last"] is not None]
        self.until: int | None = max(ends, default=None)

    def host(self, hit: Json) -> str:
        """Return the host that a hit comes from, or an empty text."""
        return host_of(hit, self.paths[hit["member"]])

    def value(self, hit: Json, name: str) -> str:
        """Return what a window tells the hit apart by."""
        return value_of(hit, self.paths[hit["member"]], name)


def _incident(rule: Rule, hits: list[Json], reader: _Reader) -> Json | None:
    roles = {rule.signature_id(signature): signature.role for signature in rule.signatures}
    telling = [hit for hit in hits if roles.get(hit["signature"]) == "incident"]
    if not telling:
        return None
    fired = _windows(rule, hits, reader)
    met = [window for window in fired if window["fired"]]
    if rule.windows and not met and rule.quiet_below:
        return None
    severity = rule.severity if not rule.windows else "notice"
    if met:
        severity = min((window["severity"] for window in met), key=SEVERITIES.index)
    supported = any(roles.get(hit["signature"]) == "supports" for hit in hits)
    return {
        **_about(rule, "incident", severity, hits, reader),
        "confidence": _confidence(rule, telling, bool(met), supported),
        "windows": fired,
    }


def _article(rule: Rule, hits: list[Json], reader: _Reader) -> Json | None:
    roles = {rule.signature_id(signature): signature.role for signature in rule.signatures}
    if not any(roles.get(hit["signature"]) == "incident" for hit in hits):
        return None
    return {**_about(rule, "article", "notice", hits, reader), "confidence": "high", "windows": []}


def _confidence(rule: Rule, hits: Sequence[Json], fired: bool, supported: bool) -> str:
    """``high``: records with a header of their own, and the storm or a second witness; ``low``: neither."""
    whole = any(hit["program"] is not None or hit["time_source"] == "record" for hit in hits)
    enough = fired or supported or not rule.windows
    return "high" if whole and enough else "medium" if whole or enough else "low"


def _windows(rule: Rule, hits: Sequence[Json], reader: _Reader) -> list[Json]:
    """Return what every window of the rule says."""
    told = []
    for window in rule.windows:
        value = window.field if isinstance(window, Distinct) else ""
        events = [
            Event(
                time=hit["time"],
                signature=hit["signature"].partition("/")[2],
                scope=tuple(reader.value(hit, name) for name in window.by),
                value=reader.value(hit, value) if value else "",
            )
            for hit in hits
            if hit["time"] is not None
        ]
        found = episodes(to_window(window), events, until=reader.until)
        most = max(found, key=lambda episode: episode.count, default=None)
        told.append(
            {
                "id": window.id,
                "says": window.says,
                "severity": window.severity or rule.severity,
                "fired": bool(found),
                "episodes": [_episode(window.by, episode) for episode in found[:_SCOPE_SHOWN]],
                "at": iso(found[0].at) if found else None,
                "count": most.count if most else 0,
            }
        )
    return told


def _episode(by: Sequence[str], episode: Episode) -> Json:
    scope = dict(zip(by, (harmless(value) for value in episode.scope), strict=True))
    times = {"first": iso(episode.first), "at": iso(episode.at), "until": iso(episode.until)}
    return {"scope": scope, **times, "count": episode.count}


def _about(rule: Rule, kind: str, severity: str, hits: Sequence[Json], reader: _Reader) -> Json:
    """Return what every finding has."""
    times = [hit["time"] for hit in hits if hit["time"] is not None]
    counts = Counter(hit["signature"] for hit in hits)
    return {
        **rule_part(rule, reader.result),
        "kind": kind,
        "severity": severity,
        "signatures": [
            {"id": signature.id, "says": signature.says, "hits": counts[rule.signature_id(signature)]}
            for signature in rule.signatures
            if counts[rule.signature_id(signature)]
        ],
        "hits": len(hits),
        "without_time": len(hits) - len(times),
        "first": iso(min(times, default=None)),
        "last": iso(max(times, default=None)),
        "scope": {
            "hosts": _all_of(reader.host(hit) for hit in hits),
            "providers": _all_of(provider_of(hit["fields"]) for hit in hits),
            "vcenters": _all_of(reader.host(hit) for hit in hits if (hit["program"] or "").lower() == "vpxd"),
        },
        "timeline": _timeline(times),
        "evidence": _evidence(hits, reader),
    }


def rule_part(rule: Rule, result: Mapping[str, Any]) -> Json:
    """Return what a finding tells of its rule alone: what it is, whether the build is affected, and what to do."""
    remedies = sorted(rule.remedies, key=lambda remedy: not remedy.prefer)
    return {
        "rule": rule.id,
        "title": rule.title,
        "article": rule.article,
        "explains": rule.explains,
        "version_verdict": version_verdict(rule, result),
        "remedies": [remedy.model_dump(mode="json", by_alias=True, exclude_none=True) for remedy in remedies],
        "discriminators": [each.model_dump(mode="json", by_alias=True) for each in rule.discriminate],
        "source": rule.source.model_dump(mode="json"),
    }


def _all_of(names: Iterable[str]) -> list[str]:
    return sorted({harmless(name) for name in names if name})[:_SCOPE_SHOWN]


def _timeline(times: Sequence[int]) -> list[list[int]]:
    """Return hits per minute as [seconds since 1970, count]; over long spans in wider steps."""
    if not times:
        return []
    step = 60
    while (max(times) - min(times)) // 10**9 > step * _POINTS:
        step *= 10
    counts = Counter(time // 10**9 // step * step for time in times)
    return [[at, counts[at]] for at in sorted(counts)]


def _evidence(hits: Sequence[Json], reader: _Reader) -> list[Json]:
    """Return the first records of every signature; a record that meets two of them is shown once."""
    shown: Counter[str] = Counter()
    places: set[tuple[int, int]] = set()
    evidence = []
    for hit in hits:
        place = (hit["member"], hit["line"])
        if hit["record"] is None or place in places or shown[hit["signature"]] >= _EVIDENCE:
            continue
        places.add(place)
        shown[hit["signature"]] += 1
        record = harmless(redacted(hit["record"]))
        evidence.append(
            {
                "path": harmless_line(reader.paths[hit["member"]]),
                "line": hit["line"],
                "time": iso(hit["time"]),
                "time_source": hit["time_source"],
                "signature": hit["signature"].partition("/")[2],
                "record": record if len(record) <= RECORD_SHOWN else record[:RECORD_SHOWN] + " …",
                "fields": {name: harmless(redacted(value)) for name, value in hit["fields"].items()},
            }
        )
    return evidence
