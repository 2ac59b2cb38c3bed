r"""Changing one field of a JSON text, and no other byte.

A manager's document that is read, parsed and written again comes back changed in ways that nobody asked for (``1.50``
becomes ``1.5``, ``\/`` becomes ``/``). So the new mode is written into the text itself: the spans of the values are
found by the parser, and only they are replaced. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ENS_MODES", "set_mode"]

ENS_MODES = frozenset({"ENS", "ENS_INTERRUPT"})

_BLANK = " \t\r\n"
_VALUES = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an object: where its name begins, and where its value does and ends."""

    name: str
    at: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class _Edit:
    start: int
    end: int
    text: str


def set_mode(text: str, switches: Sequence[str], mode: str, cpu_config: str | None = None) -> str:
    """Return a document whose host switches (by id) have another mode.

    ``cpu_config`` is for ENS alone: it is dropped where a switch leaves ENS, and written where one is given.

    Raises
    ------
    ValueError
        With one sentence, when the text is no such document, or has no such switch.
    """
    edits: list[_Edit] = []
    left = set(switches)
    for object_at in _switches(text):
        members = {member.name: member for member in _members(text, object_at)}
        id_ = members.get("host_switch_id")
        name = json.loads(text[id_.start : id_.end]) if id_ else None
        if name in left:
            left.discard(name)
            edits += _edits(text, object_at, members, mode, cpu_config)
    if left:
        raise ValueError(f"there is no host switch {', '.join(sorted(left))}")
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _edits(
    text: str, object_at: int, members: dict[str, _Member], mode: str, cpu_config: str | None
) -> Iterator[_Edit]:
    current, cpu = members.get("host_switch_mode"), members.get("cpu_config")
    wanted = json.dumps(mode)
    added = ""
    if cpu_config is not None and mode in ENS_MODES:
        if cpu is None:
            added = f', "cpu_config": {cpu_config}'
        elif json.loads(text[cpu.start : cpu.end]) != json.loads(cpu_config):
            yield _Edit(cpu.start, cpu.end, cpu_config)
    elif cpu is not None and mode not in ENS_MODES:
        yield _cut(list(members.values()), cpu)
    if current is None:
        after = "," if members else ""
        yield _Edit(object_at + 1, object_at + 1, f'"host_switch_mode": {wanted}{added}{after}')
    elif json.loads(text[current.start : current.end]) != mode:
        yield _Edit(current.start, current.end, wanted + added)
    elif added:
        yield _Edit(current.end, current.end, added)


def _cut(members: list[_Member], gone: _Member) -> _Edit:
    """Return the edit that removes a member and one comma."""
    place = members.index(gone)
    if place > 0:
        return _Edit(members[place - 1].end, gone.end, "")
    return _Edit(gone.at, members[1].at if len(members) > 1 else gone.end, "")


def _switches(text: str) -> list[int]:
    """Return where the objects in ``host_switch_spec.host_switches`` begin."""
    at = _skip(text, 0)
    for name in ("host_switch_spec", "host_switches"):
        found = next((member for member in _members(text, at) if member.name == name), None)
        if found is None:
            raise ValueError(f"the document has no {name}")
        at = found.start
    return _elements(text, at)


def _members(text: str, at: int) -> list[_Member]:
    if text[at : at + 1] != "{":
        raise ValueError("an object was expected")
    found: list[_Member] = []
    at = _skip(text, at + 1)
    while text[at : at + 1] == '"':
        name, after = _VALUES.raw_decode(text, at)
        start = _skip(text, _skip(text, after) + 1)
        _, end = _VALUES.raw_decode(text, start)
        found.append(_Member(name, at, start, end))
        at = _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    return found


def _elements(text: str, at: int) -> list[int]:
    if text[at : at + 1] != "[":
        raise ValueError("a list was expected")
    found: list[int] = []
    at = _skip(text, at + 1)
    while text[at : at + 1] not in {"]", ""}:
        found.append(at)
        _, end = _VALUES.raw_decode(text, at)
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
