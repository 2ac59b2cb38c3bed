"""One finding on the page: what, since when, which hosts, the records that show it, the version, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.watch.capture.report_found import capture_evidence, capture_facts
from tidegate.watch.report_parts import LEVELS, chip, facts, moment, strip, word
from tidegate.watch.shown import escaped

__all__ = ["finding_card"]

Json = Mapping[str, Any]

EVIDENCE = 10
"""Records shown of a finding; the JSON has more."""
OPEN = 2
"""Of these, shown without a click."""
RECORD = 4_000
"""Characters shown of one record."""
NAMES = 60
"""Hosts, providers or vCenters that are named, at most."""

_VERSION = {
    "affected": ("bad", "This build is affected"),
    "fixed": ("good", "This build has the fix"),
    "no-fix": ("bad", "No fix exists"),
    "unknown": ("", "Whether this build is affected is unknown"),
}


def finding_card(finding: Json, number: int) -> str:
    """Return the section about one finding."""
    severity = str(finding.get("severity") or "notice")
    chips = [chip(severity, severity), chip("", _kind(finding)), chip("", f"confidence: {finding.get('confidence')}")]
    parts = [
        f"<h2>{escaped(finding.get('title'))}</h2>",
        f'<p class="chips">{"".join(chips)}{_article(finding)}</p>',
        _paragraph(finding.get("explains")),
        _says(finding),
        _facts(finding),
        capture_facts(finding),
        _signs(finding),
        strip(finding.get("timeline") or (), level=finding.get("rule") in LEVELS),
        _version(finding.get("version_verdict")),
        # the records of a finding that has a ladder are its frames
        _evidence(() if finding.get("ladder") else finding.get("evidence") or ()),
        capture_evidence(finding),
        _remedies(finding.get("remedies") or ()),
        _discriminators(finding.get("discriminators") or ()),
        _source(finding.get("source")),
    ]
    return f'<section class="card finding {word(severity)}" id="finding-{number}">{"".join(parts)}</section>'


def _says(finding: Json) -> str:
    return f'<p class="says">{escaped(finding["says"], 500)}</p>' if finding.get("says") else ""


def _kind(finding: Json) -> str:
    kinds = {"article": "from an article, not from records", "notice": "no incident by itself"}
    return kinds.get(str(finding.get("kind")), "incident")


def _paragraph(text: object) -> str:
    return f"<p>{escaped(text)}</p>" if text else ""


def _link(url: object, text: object) -> str:
    """Return a link when the address is one of the web, else its text."""
    address = str(url or "")
    if not address.startswith("https://") or not address.isprintable():
        return escaped(text)
    return f'<a href="{escaped(address)}" rel="noopener noreferrer">{escaped(text)}</a>'


def _article(finding: Json) -> str:
    number = str(finding.get("article") or "")
    if not number:
        return ""
    own = (finding.get("source") or {}).get("url") or ""
    address = own if number in str(own) else f"https://knowledge.broadcom.com/external/article/{number}"
    return _link(address if number.isalnum() else "", f"article {number}")


def _source(source: Json | None) -> str:
    if not source:
        return ""
    return f'<p class="good">Source: {_link(source.get("url"), source.get("title") or source.get("url"))}</p>'


def _names(names: Sequence[object]) -> str:
    shown = ", ".join(f"<bdi>{escaped(name, 120)}</bdi>" for name in names[:NAMES])
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    count = f"{len(names)}: " if len(names) > 1 else ""
    return f"{count}{shown}{more}"


def _facts(finding: Json) -> str:
    scope = finding.get("scope") or {}
    return facts(
        [
            ("Since", moment(finding.get("first")) or "not known: the records have no time"),
            ("Until", moment(finding.get("last"))),
            ("Hits", f"{escaped(finding.get('hits', ''))}{_timeless(finding)}"),
            ("Hosts", _names(scope.get("hosts") or ())),
            ("Providers", _names(scope.get("providers") or ())),
            ("vCenters", _names(scope.get("vcenters") or ())),
            ("Callers", _names(scope.get("callers") or ())),
            ("Rule", f"<code>{escaped(finding.get('rule'))}</code>"),
        ]
    )


def _timeless(finding: Json) -> str:
    count = finding.get("without_time")
    return f", {escaped(count)} of them without a time" if count and finding.get("first") else ""


def _signs(finding: Json) -> str:
    """Return what was seen: signatures with their hits, and windows that fired or did not."""
    items = [
        f"{escaped(sign.get('says') or sign.get('id'))} ({escaped(sign.get('hits'))} ×)"
        for sign in finding.get("signatures") or ()
    ]
    for window in finding.get("windows") or ():
        counted = f"{escaped(window.get('count'))}, limit {escaped(window.get('limit'))}"
        if window.get("fired"):
            at = f", first at {moment(window.get('at'))}" if window.get("at") else ""
            items.append(f"<strong>{escaped(window.get('says') or window.get('id'))}</strong> ({counted}{at})")
        else:
            items.append(f"Not reached: {escaped(window.get('says') or window.get('id'))} ({counted})")
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _version(verdict: Json | None) -> str:
    if not verdict or not verdict.get("verdict"):
        return ""
    looks, says = _VERSION.get(str(verdict["verdict"]), ("", str(verdict["verdict"])))
    build = " ".join(str(verdict[part]) for part in ("product", "version") if verdict.get(part))
    evidence = verdict.get("evidence")
    if isinstance(evidence, Mapping):
        evidence = [evidence]
    shown = (
        "".join(_record(one) for one in evidence[:3])
        if isinstance(evidence, Sequence) and not isinstance(evidence, str)
        else ""
    )
    if isinstance(evidence, str) and evidence:
        shown = f"<pre>{escaped(evidence, RECORD)}</pre>"
    return (
        f"<h3>Version</h3><p>{chip(looks, says)} {f'<code>{escaped(build)}</code>' if build else ''}</p>"
        f"{_paragraph(verdict.get('why'))}{shown}"
    )


def _record(record: Json) -> str:
    line = f":{escaped(record['line'])}" if record.get("line") is not None else ""
    place = f"{escaped(record.get('path') or '?', 300)}{line}"
    time = moment(record.get("time"))
    text = record.get("record")
    body = f"<pre>{escaped(text, RECORD)}</pre>" if text else ""
    return f'<div class="record"><p class="place"><bdi>{place}</bdi>{f" · {time}" if time else ""}</p>{body}</div>'


def _evidence(records: Sequence[Json]) -> str:
    if not records:
        return ""
    shown = [_record(record) for record in records[:EVIDENCE]]
    more = ""
    if len(shown) > OPEN:
        more = f"<details><summary>{len(shown) - OPEN} more records</summary>{''.join(shown[OPEN:])}</details>"
    rest = (
        f'<p class="good">{len(records) - EVIDENCE} more are in the JSON report.</p>' if len(records) > EVIDENCE else ""
    )
    return f"<h3>Evidence</h3>{''.join(shown[:OPEN])}{more}{rest}"


def _command(command: object) -> str:
    return f'<pre class="run" tabindex="0">{escaped(command)}</pre>'


def _remedies(remedies: Sequence[Json]) -> str:
    if not remedies:
        return ""
    ordered = sorted(remedies, key=lambda remedy: not remedy.get("prefer"))
    return "<h3>What to do</h3>" + "".join(_remedy(remedy) for remedy in ordered)


def _remedy(remedy: Json) -> str:
    steps = "".join(
        f"<li>{escaped(step.get('do'))}{_where(step)}{_run(step)}</li>" for step in remedy.get("steps") or ()
    )
    checks = "".join(
        f"<li>{escaped(check.get('say') or 'Run, and compare')}{_run(check)}{_expected(check)}</li>"
        for check in remedy.get("verify") or ()
    )
    impact = (
        f'<p class="impact"><strong>Impact:</strong> {escaped(remedy["impact"])}</p>' if remedy.get("impact") else ""
    )
    prefer = chip("good", "first choice") if remedy.get("prefer") else ""
    return (
        f'<div class="remedy"><h4>{escaped(remedy.get("title") or remedy.get("id"))} {prefer}</h4>{impact}'
        f"<ol>{steps}</ol>{f'<p><strong>It helped when</strong></p><ul>{checks}</ul>' if checks else ''}</div>"
    )


def _where(step: Json) -> str:
    return f' <span class="on">on {escaped(step["on"])}</span>' if step.get("on") else ""


def _run(step: Json) -> str:
    return _command(step["run"]) if step.get("run") else ""


def _expected(check: Json) -> str:
    return f'<p class="good">expected: <code>{escaped(check["expect"])}</code></p>' if check.get("expect") else ""


def _discriminators(items: Sequence[Json | str]) -> str:
    told = "".join(
        f"<li>{escaped(item)}</li>"
        if isinstance(item, str)
        else f"<li><code>{escaped(item.get('if'))}</code>: {escaped(item.get('then'))}</li>"
        for item in items
    )
    return f"<h3>What it is not</h3><ul>{told}</ul>" if told else ""
