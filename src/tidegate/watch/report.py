"""The page about a diagnosis: one file for an operator and his manager, from the report's JSON.

All text is there without JavaScript and without a network; scripts only draw the time lines. What comes from logs is
hostile: it is escaped, its invisible characters are spelled out, and the page's own policy allows its own scripts only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.harmless import visible
from tidegate.page import page_of
from tidegate.watch.capture.report_section import capture_charts, captures_section
from tidegate.watch.report_finding import finding_card
from tidegate.watch.report_load import callers_section, coverage_section, gaps, ports_section
from tidegate.watch.report_parts import LEVELS, chip, moment, step_of
from tidegate.watch.shown import escaped

__all__ = ["diagnosis_page"]

Json = Mapping[str, Any]

FINDINGS = 60
"""Findings shown; the gravest come first in the report."""
LINES = 8
"""Lines of the time line: as many as there are colours."""
POINTS = 1_440
"""Points of a line, at most: a day by the minute."""
SHORTEST = 10
"""Seconds that the time lines span, at least: their clock tells whole seconds."""
GAPS = 6
"""Gaps named beside the verdict; all are under what was read."""


def diagnosis_page(report: Json) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    report
        The report of a diagnosis, format 1: ``verdict`` (incident, article, clear, unknown), ``findings``, ``callers``,
        ``captures``, ``ports`` and ``coverage``. Parts that are not there are left out.

    Returns
    -------
    str
        One self-contained file.
    """
    findings = list(report.get("findings") or ())
    coverage = report.get("coverage") or {}
    verdict = _said(str(report.get("verdict")), coverage)
    return page_of(
        "tidegate.watch",
        data=_data(findings, report.get("callers"), report.get("captures") or ()),
        title=f"Diagnosis: {verdict}",
        looks=verdict,
        verdict=_verdict(verdict, findings, coverage),
        gaps=_gaps(coverage),
        list=_list(findings),
        findings="".join(finding_card(finding, number) for number, finding in enumerate(findings[:FINDINGS])),
        more=_more(findings),
        callers=callers_section(report.get("callers")),
        captures=captures_section(report.get("captures") or ()),
        ports=ports_section(report.get("ports") or ()),
        coverage=coverage_section(coverage),
    )


def _said(verdict: str, coverage: Json) -> str:
    """Return the verdict; one that is clear although something was missing, or that is none of ours, is unknown."""
    if verdict == "clear" and (gaps(coverage) or not coverage.get("complete")):
        return "unknown"
    return verdict if verdict in {"incident", "article", "clear"} else "unknown"


def _verdict(verdict: str, findings: Sequence[Json], coverage: Json) -> str:
    """Return the verdict in one sentence."""
    if verdict == "incident":
        incidents = [finding for finding in findings if finding.get("kind") not in {"article", "notice"}]
        return _incident(incidents or findings)
    if verdict == "article":
        title = escaped(findings[0].get("title"), 300) if findings else ""
        return f"No incident: no record shows one. The text is from an article that is known: <strong>{title}</strong>."
    if verdict == "clear":
        return f"Nothing known was found, and all that was given was read ({_spoken_span(coverage)})."
    return (
        "No finding, but not everything was there to be read: whether there was an incident is "
        "<strong>unknown</strong>."
        if gaps(coverage) or not coverage.get("members")
        else "No finding, and yet it cannot be said that there was no incident: it is <strong>unknown</strong>."
    )


def _incident(incidents: Sequence[Json]) -> str:
    if not incidents:
        return "An incident was found."
    first = incidents[0]
    hosts = (first.get("scope") or {}).get("hosts") or ()
    where = f" on {len(hosts)} hosts" if len(hosts) > 1 else f" on <bdi>{escaped(hosts[0], 120)}</bdi>" if hosts else ""
    since, until = moment(first.get("first")), moment(first.get("last"))
    when = f", from {since} to {until}" if since and until else ""
    what = f"<strong>{escaped(first.get('title'), 300)}</strong>{where}{when}."
    if len(incidents) == 1:
        return f"One incident was found: {what}"
    return f"{len(incidents)} incidents were found. The gravest: {what}"


def _spoken_span(coverage: Json) -> str:
    if not coverage.get("from"):
        return "no times were found in it"
    return f"{moment(coverage['from'])} to {moment(coverage.get('to'))}"


def _gaps(coverage: Json) -> str:
    lacking = gaps(coverage)
    if not lacking:
        return ""
    more = f'<li><a href="#coverage">and {len(lacking) - GAPS} more</a></li>' if len(lacking) > GAPS else ""
    items = "".join(f"<li>{gap}</li>" for gap in lacking[:GAPS])
    return f'<div class="lacking"><p>What was missing:</p><ul>{items}{more}</ul></div>'


def _list(findings: Sequence[Json]) -> str:
    if len(findings) < 2:
        return ""
    items = "".join(
        f"<li>{chip(str(finding.get('severity')), finding.get('severity'))} "
        f'<a href="#finding-{number}">{escaped(finding.get("title"), 300)}</a>{_where(finding)}</li>'
        for number, finding in enumerate(findings[:FINDINGS])
    )
    return f'<ol class="list">{items}</ol>'


def _where(finding: Json) -> str:
    """Return how it came out, and in which capture: findings of captures have the same title."""
    how = f": {escaped(finding['outcome'], 200)}" if finding.get("outcome") else ""
    return how + (f" <small><bdi>{escaped(finding['file'], 200)}</bdi></small>" if finding.get("file") else "")


def _more(findings: Sequence[Json]) -> str:
    left = len(findings) - FINDINGS
    return f'<p class="good">{left} more findings are in the JSON report.</p>' if left > 0 else ""


def _data(findings: Sequence[Json], callers: Json | None, captures: Sequence[Json]) -> Json:
    """Return what the scripts draw."""
    lines: list[dict[str, Any]] = []
    for finding in findings:
        points = sorted((int(at), int(count)) for at, count in finding.get("timeline") or ())
        if points and len(lines) < LINES and finding.get("rule") not in LEVELS:
            step = step_of(points)
            lines.append({"label": visible(finding.get("title"))[:80], "points": _drawn(points, step, 60 / step)})
    series = (callers or {}).get("series") or {}
    step = int(series.get("step_s") or 60)
    load: list[dict[str, Any]] = [
        {"label": what, "points": _drawn([(int(at), int(n)) for at, n in series.get(what) or ()], step, 60 / step)}
        for what in ("logins", "calls")
    ]
    load = [line for line in load if line["points"][0]]
    times = [at for line in (*lines, *load) for at in line["points"][0]]
    return {
        "hits": lines,
        "load": load,
        "from": min(times, default=0),
        "until": max(*times, min(times) + SHORTEST) if times else 0,
        "captures": capture_charts(captures),
    }


def _drawn(points: Sequence[tuple[int, int]], step: int, scale: float = 1) -> list[list[float]]:
    """Return times and counts to draw: at most so many points, and zero around what stands alone."""
    if not points:
        return [[], []]
    wide = step * max(1, -(-(points[-1][0] - points[0][0] + step) // step // POINTS))
    bins: dict[int, float] = {}
    for at, count in points:
        bins[at // wide * wide] = bins.get(at // wide * wide, 0) + count * scale * step / wide
    for at in list(bins):
        bins.setdefault(at - wide, 0)
        bins.setdefault(at + wide, 0)
    times = sorted(bins)
    return [list(times), [round(bins[at], 2) for at in times]]
