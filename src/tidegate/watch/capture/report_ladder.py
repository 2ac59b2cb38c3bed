"""The frames of an example as a ladder: two ends, an arrow per frame, time downwards; SVG that needs no script.

What is drawn comes from a capture, so from strangers: every text is escaped and cut to the room that it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.watch.shown import escaped

__all__ = ["after", "ladder_figure"]

Json = Mapping[str, Any]

ROWS = 40
"""Frames drawn, at most; as many as the analysis keeps of an example."""
PAUSE_NS = 1_000_000_000
"""From which silence on (nanoseconds) the ladder is broken and says how long nothing came."""
ENDS, NOTE = 44, 26
"""Characters of an end's name and of a note."""
_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _FOOT = 760, 176, 578, 46, 32, 14
_FLAGS = {"RST": "rst", "SYN": "syn", "FIN": "fin"}


def ladder_figure(ladder: Json | None, files: Sequence[str] = ()) -> str:
    """Return the figure; empty without frames.

    Parameters
    ----------
    ladder
        ``left`` and ``right`` (names of the ends), ``before`` (words on what was there), and ``rows``: ``file`` (its
        place in ``files``), ``frame`` (from 1), ``at`` (ns since 1970), ``from_left``, ``flags`` (``SYN|ACK``), ``seq``
        and ``ack`` (relative), ``length`` (bytes), ``note``.
    files
        Names of the files that frames are counted in.
    """
    rows = list((ladder or {}).get("rows") or ())[:ROWS]
    if not ladder or not rows:
        return ""
    used = sorted({int(row.get("file") or 0) for row in rows})
    start = last = int(rows[0].get("at") or 0)
    drawn, y = [], _TOP
    for row in rows:
        at = int(row.get("at") or 0)
        if at - last >= PAUSE_NS:
            drawn.append(_pause(y, at - last))
            y += _ROW
        frame = f"{used.index(int(row.get('file') or 0)) + 1}:{row.get('frame')}" if len(used) > 1 else row.get("frame")
        y += _ROW
        drawn.append(_frame(row, y, after(at - start), frame))
        last = at
    picture = (
        f'<svg viewBox="0 0 {_WIDTH} {y + _FOOT}" role="group" aria-label="frames of an example, in the order of time">'
        f"{_ends(ladder, y + _FOOT)}{''.join(drawn)}</svg>"
    )
    scrolled = f'<div class="scroll" tabindex="0">{picture}</div>'
    return f'<figure class="ladder">{_before(ladder)}{scrolled}{_caption(used, files)}</figure>'


def after(ns: int) -> str:
    """Return a time after the first frame: ``+9.804 ms``; ``-`` where the clock of a capture ran backwards."""
    sign, ns = ("-" if ns < 0 else "+"), abs(ns)
    if ns < 1_000_000:
        return f"{sign}{ns / 1e3:.0f} µs"
    if ns < PAUSE_NS:
        return f"{sign}{ns / 1e6:.3f} ms"
    return f"{sign}{ns / 1e9:.3f} s" if ns < 10_000 * PAUSE_NS else f"{sign}{ns / 3.6e12:.1f} h"


def _before(ladder: Json) -> str:
    return f"<p>Before this: <bdi>{escaped(ladder['before'], 300)}</bdi></p>" if ladder.get("before") else ""


def _ends(ladder: Json, bottom: int) -> str:
    """Return both ends with their names, and the line of each."""
    return "".join(
        f'<text class="end" x="{x}" y="18" text-anchor="middle">{_short(ladder.get(side), ENDS)}</text>'
        f'<line class="life" x1="{x}" x2="{x}" y1="28" y2="{bottom}"/>'
        for x, side in ((_LEFT, "left"), (_RIGHT, "right"))
    )


def _pause(y: int, ns: int) -> str:
    middle = (_LEFT + _RIGHT) // 2
    return (
        f'<rect class="pause" x="{_LEFT - 6}" y="{y + 9}" width="{_RIGHT - _LEFT + 12}" height="18"/>'
        f'<text class="soft" x="{middle}" y="{y + 22}" text-anchor="middle">nothing for {after(ns)[1:]}</text>'
    )


def _frame(row: Json, y: int, time: str, frame: object) -> str:
    """Return one arrow with its time and frame on the left, what it carries above it, and its note on the right."""
    start, end, tip = (_LEFT, _RIGHT, -9) if row.get("from_left") else (_RIGHT, _LEFT, 9)
    looks = next((looks for flag, looks in _FLAGS.items() if flag in str(row.get("flags"))), "plain")
    note = row.get("note")
    return (
        f'<g class="{looks}"><text class="soft" x="88" y="{y + 4}" text-anchor="end">{escaped(time)}</text>'
        f'<text class="soft" x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">#{_short(frame, 9)}</text>'
        f'<line x1="{start}" x2="{end + tip}" y1="{y}" y2="{y}"/>'
        f'<path d="M{end} {y}l{tip} -5v10z"/>'
        f'<text x="{(_LEFT + _RIGHT) // 2}" y="{y - 6}" text-anchor="middle">{_carries(row)}</text>'
        + (f'<text class="note" x="{_RIGHT + 12}" y="{y + 4}">{_short(note, NOTE)}</text>' if note else "")
        + "</g>"
    )


def _carries(row: Json) -> str:
    flags = _short(str(row.get("flags") or "no flags").replace("|", " "), 30)
    length = f" len {_short(row['length'], 12)}" if row.get("length") else ""
    ack = f" ack {_short(row.get('ack'), 12)}" if "ACK" in str(row.get("flags")) else ""
    return f"<tspan>{flags}</tspan> seq {_short(row.get('seq'), 12)}{ack}{length}"


def _caption(used: Sequence[int], files: Sequence[str]) -> str:
    """Return which file the numbers of frames are of; with several, a number begins with the file's."""
    if len(used) == len(files) == 1:
        used = (0,)
    named = [f"<bdi>{escaped(files[each], 200)}</bdi>" if each < len(files) else f"file {each + 1}" for each in used]
    if len(named) > 1:
        told = f"# is file:frame; {', '.join(f'{place} is {name}' for place, name in enumerate(named, 1))}"
    else:
        told = f"# is the number of the frame{f' of {named[0]}' if files else ''}"
    return f"<figcaption>{told}. Seq and ack count from the start of each side.</figcaption>"


def _short(text: object, most: int) -> str:
    """Return the text escaped; what has no room is left out of its middle."""
    whole = str(text)
    half = (most - 1) // 2
    return escaped(whole if len(whole) <= most else f"{whole[:half]}…{whole[-half:]}")
