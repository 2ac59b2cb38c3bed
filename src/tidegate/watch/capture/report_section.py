"""What captures show as a whole: handshakes over time, how connections went, their states, ports, what was read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.watch.ports.model import EXHAUSTED, level_of
from tidegate.watch.report_parts import WATERMARKS, bar, chip, facts, moment, number, row, table
from tidegate.watch.shown import escaped

__all__ = ["capture_charts", "captures_section"]

Json = Mapping[str, Any]

CARDS = 8
"""Captures that have a card of their own; those with findings come first."""
FILES = 200
"""Files in a table; the JSON has all."""
BUCKETS = 20
POINTS = 1_440
"""Points of a line, at most."""
HALVED = 2048
"""Points of the report that stand for one second each, whatever their times: half of the most that it keeps."""
_DRAWN = (("established", 3), ("opened", 1), ("answered", 2), ("refused", 4))
"""Lines of the handshakes, and where a point of the report has each."""
_NO_ROOM = (
    ("evicted", "flows had to make room for others"),
    ("refused", "segments are of flows that found no room"),
    ("unplaced", "packets are of hosts that found no room"),
)
_WENT = {
    "S0": "SYN, and no answer",
    "S1": "established, and not ended",
    "SF": "established, and ended by both sides",
    "REJ": "refused: a reset answered the SYN",
    "S2": "established, ended by the initiator only",
    "S3": "established, ended by the responder only",
    "RSTO": "established, then reset by the initiator",
    "RSTR": "reset by the responder",
    "RSTOS0": "SYN, then reset by the initiator; no SYN-ACK was seen",
    "RSTRH": "SYN-ACK, then reset by the responder; no SYN was seen",
    "SH": "SYN, then FIN by the initiator; no SYN-ACK was seen",
    "SHR": "SYN-ACK, then FIN by the responder; no SYN was seen",
    "OTH": "none of these: begun before the capture, or never done with its handshake",
}
"""Zeek's names of how a connection went, in words."""


def captures_section(captures: Sequence[Json]) -> str:
    """Return a card per capture, and a table of the others; empty when no capture was read."""
    carded = _carded(captures)
    cards = "".join(_card(capture, place) for place, capture in enumerate(carded))
    if len(captures) < 2:
        return cards
    rows = [_file(one) for capture in captures for one in capture.get("files") or ()]
    more = f'<p class="good">{number(len(rows) - FILES)} more are in the JSON report.</p>' if len(rows) > FILES else ""
    files = table(("file", "packets", "flows", "from", "to", "read"), rows[:FILES])
    return (
        f'{cards}<section class="card" id="captures"><h2>All captures</h2>'
        f"<details><summary>{number(len(rows))} files</summary>{files}{more}</details></section>"
    )


def capture_charts(captures: Sequence[Json]) -> list[Json]:
    """Return what the script draws per card: handshakes per second, and the most half-open flows (s since 1970)."""
    charts: list[Json] = []
    for place, capture in enumerate(_carded(captures)):
        shakes = [[int(each) for each in point[:5]] for point in capture.get("handshakes") or ()]
        gauge = [[int(each) for each in point[:2]] for point in capture.get("half_open") or ()]
        times = [point[0] for point in (*shakes, *gauge)]
        if not times:
            continue
        wide = _step(times, (max(times) - min(times) + 1) / POINTS)
        charts.append(
            {
                "place": f"capture-charts-{place}",
                "handshakes": [
                    {"label": what, "points": _rates([(point[0], point[at]) for point in shakes], wide)}
                    for what, at in _DRAWN
                    if shakes
                ],
                "half_open": [{"label": "half-open flows", "points": _held(gauge, wide, max(times))}]
                if any(many for _, many in gauge)
                else [],
                "from": min(times) - 1,
                "until": max(max(times) + 2 * wide, min(times) + 9),
            }
        )
    return charts


def _carded(captures: Sequence[Json]) -> list[Json]:
    """Return the captures that have cards: those that hold flows or say something, with findings first."""
    told = [
        one for one in captures if one.get("flows") or one.get("found") or one.get("withheld") or len(captures) == 1
    ]
    return sorted(told, key=lambda one: -len(one.get("found") or ()))[:CARDS]


def _rates(points: Sequence[tuple[int, int]], wide: int) -> list[list[float]]:
    """Return times and counts per second, in steps of so many seconds, with zero where nothing happened."""
    bins: dict[int, int] = {}
    for at, count in points:
        bins[at // wide * wide] = bins.get(at // wide * wide, 0) + count
    for at in list(bins):
        bins.setdefault(at - wide, 0)
        bins.setdefault(at + wide, 0)
    times = sorted(bins)
    return [list(times), [round(bins[at] / wide, 2) for at in times]]


def _held(points: Sequence[Sequence[int]], wide: int, until: int) -> list[list[int]]:
    """Return times and the most in each step; a gauge is told when it changes, and holds its value until then."""
    bins: dict[int, int] = {}
    for at, most in points:
        bins[at // wide * wide] = max(bins.get(at // wide * wide, 0), most)
    bins.setdefault(until // wide * wide + wide, points[-1][1])
    times = sorted(bins)
    return [times, [bins[at] for at in times]]


def _step(times: Sequence[int], least: float) -> int:
    """Return how many seconds a drawn point stands for: at least so many, and as many as a point of the report.

    In the report two points become one when there are more than 4096 of them, so that seconds of a long capture are a
    multiple of a power of two.
    """
    step = 1
    while len(set(times)) > HALVED and all(at % (2 * step) == 0 for at in times):
        step *= 2
    return step * max(1, math.ceil(least / step))


def _card(capture: Json, place: int) -> str:
    files = capture.get("files") or ()
    names = ", ".join(f"<bdi>{escaped(one.get('path'), 200)}</bdi>" for one in files[:3])
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    went = _shares(capture.get("conn_states") or {}, _WENT)
    states = _shares(capture.get("states") or {}, {})
    rows = table(("file", "packets", "flows", "from", "to", "read"), [_file(one) for one in files[:FILES]])
    return (
        f'<section class="card capture" id="capture-{place}"><h2>Capture {names}{more}</h2>'
        f"{_lacking(capture)}{_numbers(capture)}"
        f'<div class="charts" id="capture-charts-{place}"></div>'
        + (f"<h3>How connections went</h3>{went}" if went else "")
        + (f"<h3>Flows by state, at the end of the capture</h3>{states}" if states else "")
        + f"{_ports(capture.get('buckets') or ())}<details><summary>Files</summary>{rows}</details></section>"
    )


def _lacking(capture: Json) -> str:
    """Return which verdicts are withheld and why, and what had no room."""
    names: dict[str, list[str]] = {}
    for one in capture.get("withheld") or ():
        names.setdefault(str(one.get("why")), []).append(f"<code>{escaped(one.get('finding'))}</code>")
    told = [f"{escaped(why, 300)} Not judged: {', '.join(each)}." for why, each in names.items()]
    for name, says in _NO_ROOM:
        if capture.get(name):
            told.append(f"{number(capture[name])} {says}: numbers are at least what is shown")
    items = "".join(f"<li>{one}</li>" for one in told)
    return f'<div class="lacking"><p>What this capture cannot tell:</p><ul>{items}</ul></div>' if items else ""


def _numbers(capture: Json) -> str:
    shakes = capture.get("handshakes") or ()
    opened, answered, made, refused = (sum(int(point[at]) for point in shakes) for at in (1, 2, 3, 4))
    most = max((int(point[1]) for point in capture.get("half_open") or ()), default=0)
    span = f"{moment(capture.get('from'))} to {moment(capture.get('to'))}" if capture.get("from") else "no packet"
    shaken = (
        f"{number(opened)} opened, {number(answered)} answered, {number(made)} established, {number(refused)} refused"
    )
    return facts(
        [
            ("Span", span),
            ("Packets", number(capture.get("packets"))),
            ("Flows", f"{number(capture.get('flows'))}, {number(capture.get('live'))} of them live at the end"),
            ("Handshakes", shaken),
            ("Half-open", f"at most {number(most)} at once" if most else ""),
        ]
    )


def _shares(counts: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Return how many flows are in each state, most first, with a bar for the part of all."""
    told = sorted(
        ((str(name), int(count)) for name, count in counts.items() if count), key=lambda one: (-one[1], one[0])
    )
    total = sum(count for _, count in told)
    return table(
        ("state", "part of all", "flows"),
        [
            row(
                f"<code>{escaped(name, 40)}</code> {escaped(words.get(name, ''))}",
                (f"{bar(100 * count / total, 'flows')}<span>{_percent(count / total)}</span>", number(count)),
            )
            for name, count in told
        ],
    )


def _percent(share: float) -> str:
    return "&lt; 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _ports(buckets: Sequence[Json]) -> str:
    if not buckets:
        return ""
    marks = ", ".join(f"{mark} %" for mark in WATERMARKS)
    heads = ("from → to", "taken", "live", "TIME-WAIT", "ports seen", "range")
    return (
        f'<h3>Source ports</h3><p class="good">Each row is one bucket: connections from one source to one destination '
        f"and port, when it was fullest, against the range that its ports came from. Marks at {marks}.</p>"
        f"{table(heads, [_bucket(one) for one in buckets[:BUCKETS]])}"
    )


def _bucket(bucket: Json) -> str:
    share = float(bucket.get("share") or 0)
    level = level_of(share)
    label = chip(level, "exhausted" if share >= EXHAUSTED else level)
    told = f"{bar(100 * share, level, WATERMARKS)}<span>{_percent(share)} {label}</span>"
    counts = (number(bucket.get(name)) for name in ("live", "time_wait", "ports_seen"))
    return row(f"<bdi>{escaped(bucket.get('bucket'), 250)}</bdi>", (told, *counts, _range(bucket.get("range"))))


def _range(told: object) -> str:
    if isinstance(told, Sequence) and not isinstance(told, str):
        return "–".join(escaped(each, 20) for each in told)
    return number(told)


def _file(file: Json) -> str:
    cells = (
        number(file.get("packets")),
        number(file.get("flows")),
        moment(file.get("from")) or "–",
        moment(file.get("to")) or "–",
        _read(file),
    )
    return row(f"<bdi>{escaped(file.get('path'), 300)}</bdi>", cells)


def _read(file: Json) -> str:
    """Return how the file ended, and what of it was not looked at, by reason."""
    skipped = ", ".join(f"{number(count)} {escaped(why, 40)}" for why, count in (file.get("skipped") or {}).items())
    return f"{escaped(file.get('ended') or 'whole', 60)}{f'<br><small>left out: {skipped}</small>' if skipped else ''}"
