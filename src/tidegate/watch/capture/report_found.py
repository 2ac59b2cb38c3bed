"""What a finding from a capture shows more than others: outcome, numbers, who, which frames, and an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.watch.capture.report_ladder import ladder_figure
from tidegate.watch.report_parts import facts, number, row, table
from tidegate.watch.shown import escaped

__all__ = ["capture_evidence", "capture_facts", "told"]

Json = Mapping[str, Any]

FRAMES = 20
"""Frames that are named; the analysis keeps the first ones."""
FILES = 4
"""Files that are named of those that were read together."""
GROUPS = 10
COLUMNS = 6
"""Facts of a group that have a column."""
ITEMS = 12
"""Items of one value that are shown."""
_ONLY_IF = {"cut"}
"""Facts that say nothing when they are 0."""
_UNITS = (("_per_s", "/s"), ("_percent", " %"), ("_ms", " ms"), ("_us", " µs"), ("_bytes", " bytes"), ("_s", " s"))


def capture_facts(finding: Json) -> str:
    """Return what was measured: every fact with its unit; empty for a finding of a log."""
    rows = [
        ("Captures" if len(_files(finding)) > 1 else "Capture", _named(finding)),
        ("Outcome", escaped(finding["outcome"], 200) if finding.get("outcome") else ""),
    ]
    measured = (finding.get("facts") or {}).items()
    return facts([*rows, *(told(name, value) for name, value in measured if value or name not in _ONLY_IF)])


def capture_evidence(finding: Json) -> str:
    """Return groups, frames and the ladder of an example; empty for a finding of a log."""
    ladder = ladder_figure(finding.get("ladder"), _files(finding))
    example = f"<h3>An example, frame by frame</h3>{ladder}" if ladder else ""
    return f"{_groups(finding.get('groups') or (), finding.get('facts') or {})}{_frames(finding)}{example}"


def _files(finding: Json) -> list[str]:
    return [str(name) for name in finding.get("files") or ([finding["file"]] if finding.get("file") else ())]


def _named(finding: Json) -> str:
    files = _files(finding)
    more = f" and {len(files) - FILES} more" if len(files) > FILES else ""
    return ", ".join(f"<bdi>{escaped(name, 200)}</bdi>" for name in files[:FILES]) + more


def told(name: str, value: object) -> tuple[str, str]:
    """Return the name of a fact in words and its value with the unit that its name ends in (HTML)."""
    for ending, unit in _UNITS:
        if name.endswith(ending):
            return _words(name.removesuffix(ending)), _value(value) + ("" if value is None else unit)
    return _words(name), _value(value)


def _words(name: str) -> str:
    text = name.replace("_", " ").replace("-", " ").strip()[:60]
    return text[:1].upper() + text[1:]


def _value(value: object) -> str:
    """Return a value as HTML; floats with three digits that count, lists and tables of words as one line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and abs(value) < 100:
        return escaped(f"{value:.3g}")
    if isinstance(value, Mapping):
        value = [f"{name}: {one}" for name, one in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str):
        more = f" and {len(value) - ITEMS} more" if len(value) > ITEMS else ""
        return ", ".join(_value(one) for one in value[:ITEMS]) + more
    return (
        number(value)
        if isinstance(value, (int, float))
        else f"<bdi>{escaped('–' if value is None else value, 300)}</bdi>"
    )


def _groups(groups: Sequence[Json], known: Json) -> str:
    if not groups:
        return ""
    names = _columns(groups, known)
    heads = ("who", "times", *(escaped(_heading(name)) for name in names))
    rows = [
        row(
            f"<bdi>{escaped(group.get('who'), 250)}</bdi>",
            (number(group.get("count")), *(_cell(group, name) for name in names)),
        )
        for group in groups[:GROUPS]
    ]
    return f"<h3>Where, worst first</h3>{table(heads, rows)}"


def _columns(groups: Sequence[Json], known: Json) -> list[str]:
    """Return the facts that have columns: parts of a whole first, none that the finding says of all groups."""
    each = [group.get("facts") or {} for group in groups]
    names = [
        name
        for name in dict.fromkeys(name for one in each for name in one)
        if name not in known or any(one.get(name, known[name]) != known[name] for one in each)
    ]
    return sorted(names, key=lambda name: not name.endswith("_percent"))[:COLUMNS]


def _heading(name: str) -> str:
    unit = next((unit for ending, unit in _UNITS if name.endswith(ending)), "")
    plain = told(name, 0)[0].lower()
    return f"{plain},{unit}" if unit.startswith(" ") else f"{plain}{unit}"


def _cell(group: Json, name: str) -> str:
    value = (group.get("facts") or {}).get(name)
    return "–" if value is None else _value(value)


def _frames(finding: Json) -> str:
    """Return the numbers of frames as a filter that Wireshark takes; digits only, whatever the report holds."""
    frames = [each for each in finding.get("frames") or () if isinstance(each, int)][:FRAMES]
    if not frames:
        return ""
    where = f" of <bdi>{escaped(finding['file'], 300)}</bdi>" if finding.get("file") else ""
    command = f"frame.number in {{{', '.join(map(str, frames))}}}"
    says = f"The first frames{where}, as a display filter of Wireshark and tshark:"
    return f'<p>{says}</p><pre class="run" tabindex="0">{command}</pre>'
