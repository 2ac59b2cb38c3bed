"""What a capture shows, on a terminal: a sentence, facts, the worst groups, and an example frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tidegate.harmless import harmless
from tidegate.watch.capture.report_ladder import after
from tidegate.watch.capture.says import fact_words

__all__ = ["capture_shown", "connections_words"]

Json = dict[str, Any]

_GROUPS, _ROWS = 3, 14
_SAID = frozenset({"server", "bucket", "cut"})
"""Facts that the sentence tells already, and how much was not kept apart, which is for programs."""
_CAME_OUT = (
    (("S0", "RSTOS0", "SH"), "without an answer"),
    (("REJ", "RSTRH"), "refused"),
    (("RSTR",), "reset by the server"),
    (("RSTO",), "reset by the client"),
)
"""How connections came out that did not end as they should, by Zeek's words for it."""


def connections_words(captures: Sequence[Json]) -> str:
    """Return how many connections captures hold, and how many of them nobody answered, or somebody cut off.

    No rule judges these: two connections that fail are no flood, and clients that reset at their end are common.
    """
    flows = sum(capture["flows"] for capture in captures)
    # Of one direction nobody knows what was answered.
    whole = [capture for capture in captures if not capture["withheld"]]
    count = {
        what: sum(capture["conn_states"].get(word, 0) for capture in whole for word in words)
        for words, what in _CAME_OUT
    }
    told = ", ".join(f"{many} {what}" for what, many in count.items() if many)
    return f"{flows} {'connection' if flows == 1 else 'connections'}{f' ({told})' if told else ''}"


def capture_shown(finding: Json, *, again: bool = False) -> Iterator[RenderableType]:
    """Yield what a finding of a capture says; what its rule explains is left out ``again``."""
    yield Text(f"{finding['says']} Confidence {finding['confidence']}.", style="bold")
    if not again:
        yield Text(finding["explains"])
    facts = [harmless(fact_words(name, value)) for name, value in finding["facts"].items() if name not in _SAID]
    if facts:
        yield Text("; ".join(facts), style="dim")
    if len(finding["groups"]) > 1 or any(group["facts"].keys() - finding["facts"] for group in finding["groups"]):
        yield from (Text(_group(group)) for group in finding["groups"][:_GROUPS])
    if finding["ladder"] and finding["ladder"]["rows"]:
        ladder = finding["ladder"]
        before = f"; before this: {ladder['before']}" if ladder["before"] else ""
        yield Text(harmless(f"{ladder['left']} on the left, {ladder['right']} on the right{before}"), style="dim")
        yield _ladder(ladder, finding["files"])


def _group(group: Json) -> str:
    facts = ", ".join(fact_words(name, value) for name, value in group["facts"].items())
    times = "1 time" if group["count"] == 1 else f"{group['count']} times"
    return harmless(f"{group['who']}: {times}" + (f" ({facts})" if facts else ""))


def _ladder(ladder: Json, files: list[str]) -> Table:
    """Return frames below one another, with an arrow from who sent to who got it."""
    rows = ladder["rows"]
    start = rows[0]["at"]
    table = Table(box=None, padding=(0, 2, 0, 0), caption_justify="left")
    several = len({row["file"] for row in rows}) > 1
    for name in (*(["file"] if several else []), "frame", "after"):
        table.add_column(name, justify="left" if name == "file" else "right", style="dim")
    for name in ("", "flags", "seq", "ack", "bytes", ""):
        table.add_column(name, justify="right" if name in {"seq", "ack", "bytes"} else "left")
    for row in rows[:_ROWS]:
        place = [Path(files[row["file"]]).name, str(row["frame"])] if several else [str(row["frame"])]
        arrow = "──▶" if row["from_left"] else "◀──"
        ack = "" if row["ack"] is None else str(row["ack"])
        length = str(row["length"]) if row["length"] else ""
        numbers = (row["flags"], str(row["seq"]), ack, length, row["note"])
        table.add_row(*place, after(row["at"] - start), arrow, *numbers)
    if len(rows) > _ROWS:
        table.caption = f"… {len(rows) - _ROWS} more frames (--output json and --report have them)"
    return table
