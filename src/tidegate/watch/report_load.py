"""Who called, which ports were left, and what was read: the page's parts beside the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.watch.report_parts import WATERMARKS, bar, chip, facts, moment, number, row, table
from tidegate.watch.shown import escaped

__all__ = ["callers_section", "coverage_section", "gaps", "ports_section"]

Json = Mapping[str, Any]

BUCKETS = 20
"""Buckets shown of a dump; the worst come first."""
MEMBERS = 200
"""Files shown of what was read."""
_FROM = {
    "vpxd": "calls that vpxd began",
    "access": "requests that the proxy logged",
    "logout": "what ended sessions say they called",
    "none": "not known",
}


def callers_section(callers: Json | None) -> str:
    """Return the section about who called; empty when no caller's line was read."""
    if not callers:
        return ""
    totals, top = callers.get("totals") or {}, callers.get("top") or ()
    most = {what: max((_peak(one, what) for one in top), default=0) or 1 for what in ("logins", "calls")}
    out = callers.get("stands_out")
    says = f'<p class="says">{escaped(out["says"])}</p>' if out else "<p>Nobody stands out.</p>"
    left = totals.get("left_open")
    numbers = facts(
        [
            ("Logins", f"{number(totals.get('logins'))} by {number(totals.get('callers'))} callers"),
            ("Failed logins", number(totals.get("failed_logins")) if totals.get("failed_logins") else ""),
            ("Left open", "" if left is None else f"{number(left)} sessions without a logout in this log"),
            ("Calls", f"{number(totals.get('calls'))} ({escaped(_FROM.get(str(totals.get('calls_from')), ''))})"),
            ("Span", f"{moment(callers.get('from'))} to {moment(callers.get('to'))}" if callers.get("from") else ""),
            ("Operations", _operations(callers.get("operations") or ())),
        ]
    )
    notes = "".join(f'<p class="good">{escaped(note)}</p>' for note in callers.get("notes") or ())
    heads = ("caller", "logins/min, peak", "calls/min, peak", "logins", "left open", "calls", "mostly")
    rows = table(heads, [_caller_row(one, most) for one in top])
    return f'<section class="card" id="callers"><h2>Who called</h2>{says}{rows}{numbers}{notes}</section>'


def _peak(one: Json, what: str) -> float:
    """Return the most per minute, or the mean where times are not known."""
    rate = one.get(f"{what}_per_minute") or {}
    return float(rate.get("peak") or rate.get("mean") or 0)


def _caller_row(one: Json, most: Mapping[str, float]) -> str:
    name = one.get("user") or (f"session {one['session']}…" if one.get("session") else "user not known")
    lines = [f"<strong><bdi>{escaped(name, 120)}</bdi></strong>"]
    if one.get("ip"):
        lines.append(f"<bdi>{escaped(one['ip'], 60)}</bdi>{' (on the server itself)' if one.get('local') else ''}")
    if one.get("agent"):
        lines.append(f'<span class="agent"><bdi>{escaped(one["agent"], 120)}</bdi></span>')
    operation = next(iter(one.get("operations") or ()), None)
    left = one.get("left_open")
    cells = (
        _meter(_peak(one, "logins"), most["logins"], "logins"),
        _meter(_peak(one, "calls"), most["calls"], "calls"),
        f"{number(one.get('logins'))}<br><small>{float(one.get('share_of_logins') or 0):.0%}</small>",
        "–" if left is None else number(left),
        f"{number(one.get('calls'))}<br><small>{float(one.get('share_of_calls') or 0):.0%}</small>",
        f"<code>{escaped(_short(operation['name']), 60).replace('.', '.<wbr>')}</code>" if operation else "–",
    )
    return row("<br>".join(lines), cells)


def _meter(value: float, most: float, looks: str) -> str:
    return f"{bar(100 * value / most, looks)}<span>{number(value)}</span>"


def _operations(operations: Sequence[Json]) -> str:
    return ", ".join(f"<code>{escaped(one['name'], 80)}</code> {number(one['calls'])}" for one in operations[:5])


def _short(name: str) -> str:
    """Return a method without its packages: PropertyCollector.retrieveContents."""
    return ".".join(name.split(".")[-2:]) if name.startswith(("vim.", "vmodl.")) else name


def ports_section(readings: Sequence[Json]) -> str:
    """Return the section about connections and ports; empty when no dump was read."""
    told = "".join(_reading(reading) for reading in readings)
    if not told:
        return ""
    marks = ", ".join(f"{mark} %" for mark in WATERMARKS)
    return (
        f'<section class="card" id="ports"><h2>Connections and ports</h2><p class="good">Each row is one bucket: '
        f"connections from one source to one destination and port, against the source ports there are. Marks at "
        f"{marks}; from 97 % on no port can be counted on.</p>{told}</section>"
    )


def _reading(reading: Json) -> str:
    buckets, gauges = reading.get("buckets") or (), reading.get("gauges") or ()
    where = f" <small><bdi>{escaped(reading['path'], 200)}</bdi></small>" if reading.get("path") else ""
    told = table(("from → to", "used", "connections", "ports", "idle"), [_bucket(one) for one in buckets[:BUCKETS]])
    told += _more(reading, "buckets", len(buckets))
    heads = ("service or server", "open connections", "requests", "idle", "waiting", "limit")
    told += table(heads, [_gauge(one) for one in gauges[:BUCKETS]]) + _more(reading, "gauges", len(gauges))
    what_if = "".join(f"<li>{escaped(one.get('says'))}</li>" for one in (reading.get("what_if") or ())[:BUCKETS])
    helps = f"<h4>What would help</h4><ul>{what_if}</ul>" if what_if else ""
    left = ", ".join(f"{number(count)} {escaped(why)}" for why, count in (reading.get("left_out") or {}).items())
    lacking = f'<p class="good">In no row: {left}.</p>' if left else ""
    return f"<h3>{escaped(reading.get('title') or reading.get('kind'))}{where}</h3>{told}{lacking}{helps}"


def _more(reading: Json, what: str, shown: int) -> str:
    left = max(0, shown - BUCKETS) + int((reading.get("more") or {}).get(what) or 0)
    return f'<p class="good">{number(left)} more {what}, all less used.</p>' if left else ""


def _known(value: object) -> str:
    return "–" if value is None else number(value)


def _bucket(bucket: Json) -> str:
    port = f":{bucket['port']}" if bucket.get("port") is not None else ""
    scope = bucket.get("scope") or f"{bucket.get('source')} → {bucket.get('destination')}{port}"
    share, level = 100 * float(bucket.get("share") or 0), str(bucket.get("level") or "ok")
    says = bucket.get("says") or bucket.get("said")
    told = f"<br><small>{escaped(says, 300)}</small>" if says and level != "ok" else ""
    looks = level if level in {"ok", "notice", "warning", "critical"} else "ok"
    label = chip(looks, "exhausted" if bucket.get("exhausted") else level)
    return row(
        f"<bdi>{escaped(scope, 250)}</bdi>{told}",
        (
            f"{bar(share, looks, WATERMARKS)}<span>{share:.0f} % {label}</span>",
            f"{'≤ ' if bucket.get('at_most') else ''}{_known(bucket.get('connections') or None)}",
            _known(bucket.get("capacity")),
            _known(bucket.get("idle")),
        ),
    )


def _gauge(gauge: Json) -> str:
    state = f"<br><small>{escaped(gauge['state'], 80)}</small>" if gauge.get("state") else ""
    numbers = ("open_connections", "open_requests", "idle", "queued", "limit")
    return row(f"<bdi>{escaped(gauge.get('name'), 200)}</bdi>{state}", [_known(gauge.get(name)) for name in numbers])


def gaps(coverage: Json) -> list[str]:
    """Return what was not read or not known, as sentences (HTML)."""
    missing = coverage.get("missing") or ()
    told = [_missing(one) for one in missing]
    for trouble in coverage.get("troubles") or ():
        detail = f": {escaped(trouble['detail'], 300)}" if trouble.get("detail") else ""
        path = f"<bdi><code>{escaped(trouble.get('path'), 300)}</code></bdi>: " if trouble.get("path") else ""
        told.append(f"{path}{escaped(str(trouble.get('what') or 'trouble').replace('-', ' '))}{detail}")
    for member in coverage.get("members") or ():
        path = str(member.get("path"))
        if member.get("ended") not in (None, "whole") and not any(str(one).startswith(path) for one in missing):
            why = f": {escaped(member['why'], 300)}" if member.get("why") else ""
            where = f"<bdi><code>{escaped(path, 300)}</code></bdi>"
            told.append(f"{where} was not read to its end ({escaped(member['ended'])}){why}")
    told += [
        f"{number(count)} {escaped(what)} were left out to stay within the limits"
        for what, count in (coverage.get("cut") or {}).items()
        if count
    ]
    return told


def _missing(one: object) -> str:
    if isinstance(one, Mapping):
        return " ".join(f"{escaped(name)}: {escaped(value, 300)}" for name, value in one.items())
    return escaped(one, 500)


def coverage_section(coverage: Json) -> str:
    """Return the section about what was read, and what was not."""
    members = coverage.get("members") or ()
    lacking = gaps(coverage)
    size, lines = (
        int(coverage.get(what) or sum(int(member.get(what) or 0) for member in members)) for what in ("bytes", "lines")
    )
    count = int(coverage.get("members_total") or len(members))
    packets = sum(int(member.get("packets") or 0) for member in members)
    read = [_size(size), f"{number(lines)} lines"] if lines or not packets else []
    read += [f"{number(packets)} packets of TCP"] if packets else []
    span = (
        f"{moment(coverage.get('from'))} to {moment(coverage.get('to'))}"
        if coverage.get("from")
        else "no times were found"
    )
    numbers = facts(
        [
            ("Read", ", ".join([_files(count), *read])),
            ("Time span", span),
            ("Complete", "yes, everything that was given was read" if coverage.get("complete") else "no"),
        ]
    )
    missing = ""
    if lacking:
        shown = "".join(f"<li>{one}</li>" for one in lacking[:MEMBERS])
        more = f"<li>and {len(lacking) - MEMBERS} more</li>" if len(lacking) > MEMBERS else ""
        missing = f"<h3>What is missing</h3><ul>{shown}{more}</ul>"
    rows = table(("file", "bytes", "lines", "from", "to", "read"), [_member(one) for one in members[:MEMBERS]])
    left = count - MEMBERS
    more = f'<p class="good">{left} more are in the JSON report.</p>' if left > 0 else ""
    files = f"<details><summary>All files</summary>{rows}{more}</details>" if rows else ""
    unread = _not_read(coverage.get("not_read") or ())
    return f'<section class="card" id="coverage"><h2>What was read</h2>{numbers}{missing}{unread}{files}</section>'


def _not_read(logs: Sequence[Json]) -> str:
    """Return which logs would have been looked into, had they been given."""
    items = "".join(
        f"<li><code>{escaped(one.get('log'), 120)}</code>: {escaped(', '.join(one.get('rules') or ()), 500)}</li>"
        for one in logs[:MEMBERS]
    )
    head = "Logs that were not given, and the rules that look into them"
    return f"<details><summary>{head}</summary><ul>{items}</ul></details>" if items else ""


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{number(count)} files"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _member(member: Json) -> str:
    cells = (
        number(member.get("bytes") or "–") if "packets" in member else number(member.get("bytes")),
        f"{number(member['packets'])} packets" if "packets" in member else number(member.get("lines")),
        moment(member.get("first")) or "–",
        moment(member.get("last")) or "–",
        escaped(member.get("ended") or "whole") + ("" if member.get("text", True) else ", not text"),
    )
    return row(f"<bdi>{escaped(member.get('path'), 300)}</bdi>", cells)
