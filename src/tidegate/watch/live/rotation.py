"""Which files are one log, in which order, and where to go on among them. No file is looked at here.

A log is the file that is written to, with its rotations beside it: ``hostd.log`` with ``hostd.0.gz``, ``hostd.log.1``
or ``hostd.log-20251125.gz``; ``vpxd.log`` with ``vpxd-12.log.gz``. A short number behind a dot is an age: the greater,
the older. Any other number, behind a dash or a date, grows with time. Numbers are numbers: 10 is older than 9. So where
``app.log`` is a log, ``app-1.log`` beside it is none of its own; where there is no ``app.log``, it is.

Where reading stopped is found by the first of these that is there:

1. a rotation at the same device and inode that begins alike: it was renamed;
2. a rotation that begins alike and was not changed before: it was compressed, or copied before the log was truncated;
3. the log itself, if it begins alike and is long enough: nothing has happened;
4. the log with another inode, if its whole first KiB is alike: it was written anew by an editor.

Rule 2 stands before rule 3: a log that is truncated in place keeps its inode, and may begin alike. If none holds, what
was left of the file is lost, and reading goes on with the first file that was changed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tidegate.watch.live.identity import HEAD, Position

__all__ = ["Found", "Log", "after", "continues", "logs_in", "where"]

_PACKED = re.compile(r"\.(?:gz|xz|bz2|zst|lz4|Z)$")
_NUMBER = re.compile(r"[.-](?=\d)")
_WHOLE = re.compile(r"(?P<mark>[.-])(?P<number>\d{1,14}(?:[-_]\d{1,14}){0,5})(?P<ext>\.log|\.txt|)")
_AGES = 4
"""A number with more digits is a date."""
_ENDED = re.compile(r"\.(?:log|txt)[.-]\d[\d_-]*$")

Order = tuple[int, tuple[int, ...]]


@dataclass(slots=True)
class Log:
    """A log of a folder, by names: the file that is written to, and its rotations with the oldest first."""

    live: str
    rotations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a log as it is now.

    ``head`` is its beginning, decompressed (empty: not of interest); ``size`` is ``None`` where it is compressed.
    """

    path: str
    device: int
    inode: int
    modified: int
    head: bytes
    size: int | None
    live: bool


def logs_in(names: Iterable[str], known: Iterable[str] = ()) -> list[Log]:
    """Return the logs of a folder, sorted by name.

    Parameters
    ----------
    names
        All names in the folder.
    known
        Logs that were there before: they may be missing while they are rotated.
    """
    present = set(names)
    logs: dict[str, Log] = {name: Log(name) for name in known}
    placed: dict[str, list[tuple[Order, str]]] = {}
    for name in sorted(present, key=lambda name: (len(name), name)):
        if name in logs:
            continue
        origin = next(((live, order) for live, order in _origins(name) if live in logs), None)
        if origin is not None:
            plain = _PACKED.sub("", name)
            # Its plain self is deleted when the compressed file is whole.
            if plain == name or plain not in present:
                placed.setdefault(origin[0], []).append((origin[1], name))
        elif not _PACKED.search(name) and not _ENDED.search(name):
            logs[name] = Log(name)
    for live, rotations in placed.items():
        logs[live].rotations = [name for _, name in sorted(rotations)]
    return sorted(logs.values(), key=lambda log: log.live)


def _origins(name: str) -> Iterator[tuple[str, Order]]:
    """Give the logs that a file may be a rotation of, and where it stands among those."""
    plain = _PACKED.sub("", name)
    for found in _NUMBER.finditer(plain):
        whole = _WHOLE.fullmatch(plain, found.start())
        stem = plain[: found.start()]
        if whole is None or not stem:
            continue
        numbers = tuple(int(part) for part in re.split(r"[-_]", whole["number"]))
        age = whole["mark"] == "." and len(numbers) == 1 and len(whole["number"]) <= _AGES
        order = (1, (-numbers[0],)) if age else (0, numbers)
        for ext in (whole["ext"],) if whole["ext"] else ("", ".log", ".txt"):
            yield stem + ext, order


def where(position: Position, files: Sequence[Found]) -> int | None:
    """Return the index of the file in which reading stopped, ``None`` when it is gone.

    Parameters
    ----------
    files
        The files of the log, the oldest first.
    """
    known = position.identity
    alike = {
        index: file
        for index, file in enumerate(files)
        if known.begins(file.head) and (file.size is None or file.size >= position.offset)
    }
    ranks = {
        index: 1 if here else 2
        for index, file in alike.items()
        if (here := known.is_at(file.device, file.inode)) or file.modified >= position.modified
        if not file.live
    }
    ranks |= {index: 3 for index, file in alike.items() if file.live and known.is_at(file.device, file.inode)}
    ranks |= {index: 4 for index, file in alike.items() if index not in ranks and continues(position, file)}
    return min(ranks, key=lambda index: (ranks[index], index), default=None)


def continues(position: Position, file: Found) -> bool:
    """Tell whether a log holds, beyond doubt, what was read of another file: all of its first KiB, and as much."""
    known = position.identity
    enough = file.size is not None and file.size >= position.offset
    return file.live and known.length == HEAD and enough and known.begins(file.head)


def after(modified: int, files: Sequence[Found]) -> int | None:
    """Return the index of the first rotation that was changed after ``modified``, else of the log, if it is there."""
    for index, file in enumerate(files):
        if file.live or file.modified > modified:
            return index
    return None
