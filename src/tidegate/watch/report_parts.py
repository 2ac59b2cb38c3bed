"""What the sections of the page share: chips, facts, moments, tables, bars, and hits over time as a small picture.

All of it is HTML that needs no script; texts are escaped here, values that are HTML already are said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tidegate.watch.shown import escaped

__all__ = ["bar", "chip", "facts", "moment", "number", "row", "step_of", "strip", "table", "word"]

STRIP = 240
"""Bars of a finding's small time line, at most."""
LEVELS = frozenset({"capture.tcp.port-exhaustion"})
"""Rules whose time line is a level (ports that are taken), not hits."""
LONG = 1500
"""Points from which on findings have longer steps; `tidegate.watch.findings` has the same number."""
WATERMARKS = (50, 75, 90, 97)
"""Per cent of the ports of a bucket; what `tidegate.watch.ports` measures against."""


def chip(kind: str, text: object) -> str:
    """Return a small label."""
    return f'<span class="chip {word(kind)}">{escaped(text)}</span>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and values; the values are HTML, those that are empty are left out."""
    told = "".join(f"<dt>{escaped(name)}</dt><dd>{value}</dd>" for name, value in rows if value)
    return f'<dl class="facts">{told}</dl>' if told else ""


def word(text: str) -> str:
    """Return a class name: words of ours only."""
    return text if text in {"critical", "warning", "notice", "ok", "good", "bad"} else ""


def moment(time: object) -> str:
    """Return a time for people, from ISO 8601 or ns since 1970; empty when there is none."""
    if isinstance(time, int) and not isinstance(time, bool):
        try:
            return datetime.fromtimestamp(time // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        except (ValueError, OverflowError, OSError):
            return ""
    whole = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z", str(time or ""), re.ASCII)
    return f"{whole[1]} {whole[2]} UTC" if whole else escaped(time or "", 60)


def number(value: object) -> str:
    """Return a number with thin spaces between thousands; anything else as it is, escaped."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escaped("" if value is None else value)
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.1f}".replace(",", "\u202f")
    return f"{int(value):,}".replace(",", "\u202f")


def bar(percent: float, looks: str, marks: Iterable[int] = ()) -> str:
    """Return a bar of so many per cent, at most 100, with marks on it."""
    width = min(100.0, max(0.0, percent))
    lines = "".join(f'<line x1="{at}" x2="{at}" y1="0" y2="10"/>' for at in marks)
    return (
        f'<svg class="bar {looks}" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="all" width="100" height="10"/><rect class="part" width="{width:.2f}" height="10"/>{lines}</svg>'
    )


def table(heads: Iterable[str], rows: Sequence[str]) -> str:
    """Return a table that may be scrolled sideways; heads and rows are HTML, without rows there is none."""
    head = "".join(f"<th scope=col>{name}</th>" for name in heads)
    whole = f'<table class="load"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="scroll">{whole}</div>' if rows else ""


def row(name: str, cells: Iterable[str]) -> str:
    """Return a row of a table; name and cells are HTML."""
    return f"<tr><th scope=row>{name}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def step_of(points: Sequence[tuple[int, int]]) -> int:
    """Return the seconds that one point of a finding's time line stands for: 1, 10, a minute, or tens of minutes."""
    span, step = points[-1][0] - points[0][0], 60
    if any(at % step for at, _ in points):
        return 1 if any(at % 10 for at, _ in points) else 10
    while span > step * LONG and all(at % (10 * step) == 0 for at, _ in points):
        step *= 10
    return step


def strip(timeline: Sequence[Sequence[int]], *, level: bool = False) -> str:
    """Return hits over time, or a ``level``, as a small picture without a script; nothing for fewer than two points."""
    points = sorted((int(at), int(count)) for at, count in timeline)
    if len(points) < 2:
        return ""
    low, high, step = points[0][0], points[-1][0], step_of(points)
    width = max(1, -(-(high - low + step) // STRIP // step)) * step
    bars: dict[int, int] = {}
    for at, count in points:
        before = bars.get((at - low) // width, 0)
        bars[(at - low) // width] = max(before, count) if level else before + count
    top, last = max(bars.values()) or 1, max(bars)
    rects = "".join(
        f'<rect x="{at}" y="{40 - 40 * count / top:.2f}" width="0.86" height="{40 * count / top:.2f}"/>'
        for at, count in sorted(bars.items())
    )
    said = f"at most {top}" if level else f"most in {_span(width)}: {top}"
    return (
        f'<figure class="strip"><svg viewBox="0 0 {last + 1} 40" preserveAspectRatio="none" role="img" '
        f'aria-label="{"level" if level else "hits"} over time, {said}">{rects}</svg><figcaption>'
        f"<span>{moment(low * 10**9)}</span><span>{said}</span><span>{moment((high + step) * 10**9)}</span>"
        "</figcaption></figure>"
    )


def _span(seconds: int) -> str:
    if seconds % 60:
        return "one second" if seconds == 1 else f"{seconds} seconds"
    return "one minute" if seconds == 60 else f"{seconds // 60} minutes"
