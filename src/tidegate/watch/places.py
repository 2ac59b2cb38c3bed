"""Where a member of a bundle comes from: its host, its log, and its place among the rotations of that log.

Known layouts (reference/logs.md §0.2): vm-support has one folder ``esx-<host>-<date>--<time>-<pid>`` on top, vc-support
``vc-<host>-<date>--<time>-<pid>``; copies of logs are kept below a folder that is called like the host. ESXi rotates to
``hostd.0.gz`` (0 is the newest), vCenter to ``vpxd-12.log.gz``, syslog to ``messages.1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["host_of_path", "log_name", "missing_rotations"]

_BUNDLE = re.compile(r"(?:esx|vc)-(?P<host>[A-Za-z0-9_.-]+?)-\d{4}-\d\d-\d\d--\d\d\.\d\d(?:-\d+)?")
_LOG_FOLDER = re.compile(r"(?:^|[/!])(?P<host>[A-Za-z0-9_.-]+)/(?:var/(?:run/)?log|var/core|scratch/log|commands)/")
_LOG = re.compile(r"(?P<name>.+?)(?:\.log|\.txt)?(?:[.-](?P<number>\d{1,4}))?(?:\.log|\.txt)?(?:\.gz)?")
# Folders that hold logs without being called like a host.
_NO_HOST = {"", ".", "..", "log", "logs", "run", "var", "scratch", "root", "commands", "core", "tmp"}
_MOST_ROTATIONS = 200
"""Numbers further apart are dates or ids, not rotations."""


def host_of_path(path: str) -> str | None:
    """Return the host that a member's path names, or None."""
    found = _BUNDLE.search(path) or _LOG_FOLDER.search(path)
    host = found["host"] if found else None
    return None if host is None or host in _NO_HOST else host


def log_name(path: str) -> tuple[str, str, int | None]:
    """Return a member's folder, the name of its log without rotation and compression, and its rotation's number."""
    folder, _, name = path.replace("!", "/").rpartition("/")
    match = _LOG.fullmatch(name)
    if match is None:
        return folder, name, None
    return folder, match["name"], int(match["number"]) if match["number"] else None


def missing_rotations(paths: Iterable[str]) -> list[str]:
    """Return one sentence for every log of which a rotation in the middle is not there.

    Only where the log being written stands beside its rotations: ``esx-01.log`` and ``esx-03.log`` alone are two
    hosts.
    """
    logs: dict[tuple[str, str], set[int | None]] = {}
    for path in paths:
        folder, name, number = log_name(path)
        logs.setdefault((folder, name), set()).add(number)
    sentences = []
    for (folder, name), numbers in sorted(logs.items()):
        rotations = {number for number in numbers if number is not None}
        if None not in numbers or not rotations or max(rotations) - min(rotations) > _MOST_ROTATIONS:
            continue
        gaps = sorted(set(range(min(rotations), max(rotations))) - rotations)
        if gaps:
            which = ", ".join(str(number) for number in gaps)
            sentences.append(f"{folder}/{name}: rotation {which} is missing".removeprefix("/"))
    return sentences
