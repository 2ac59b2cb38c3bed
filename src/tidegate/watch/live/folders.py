"""The folders that logs stand in: which logs there are, and which rotations each has."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Sequence
from pathlib import Path

from tidegate.watch.live.files import Unreadable, found, seen
from tidegate.watch.live.identity import Position
from tidegate.watch.live.rotation import Found, logs_in

__all__ = ["Folders"]

_SETTLED = 10**9
"""A folder that was changed so long ago (ns) has a time that tells every later change from it."""
_TRIES = 5
"""Looks at files that are renamed meanwhile."""


class Folders:
    """Lists folders, each again only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}
        self._listed: dict[str, tuple[int, list[str]]] = {}

    def know(self, path: str) -> None:
        """Remember a log: it may be missing for a while, and its rotations are no logs of their own."""
        folder, name = os.path.split(path)
        self._known.setdefault(folder, set()).add(name)

    def logs(self, pattern: str) -> list[str]:
        """Return the paths of the logs that a pattern matches, sorted; rotations are left out."""
        # As the shell does it: what begins with a dot (an editor's file) is matched only where the pattern has the dot.
        matched = glob.iglob(pattern, recursive=True)  # noqa: PTH207 (what Path.glob does not do)
        folders: dict[str, list[str]] = {}
        for path in matched:
            folder, name = os.path.split(path)
            folders.setdefault(folder, []).append(name)
        logs = [
            str(Path(folder, name))
            for folder, names in folders.items()
            for name in self._logs(folder).intersection(names)
            if not Path(folder, name).is_dir()
        ]
        return sorted(logs)

    def _logs(self, folder: str) -> set[str]:
        try:
            names = self._names(folder)
        except Unreadable:
            return set()  # it was there a moment ago
        return {log.live for log in logs_in(names, self._known.get(folder, ()))}

    def files(self, path: str, position: Position | None = None) -> list[Found] | None:
        """Return the files of a log, the oldest first, and itself last if it is there.

        ``None`` while they are being renamed. With a position, only those have a head that may be where it was, and
        that can be read.

        Raises
        ------
        Unreadable
            When the folder cannot be read.
        """
        for _ in range(_TRIES):
            paths = self._paths(path)
            before = _looks(paths)
            files = [file for each in before if (file := _headed(each, position)) is not None]
            # Both looks, and the heads, must be of the same files, and no name may have come.
            same = _places(before) == _places(files) == _places(_looks(paths))
            if same and paths == self._paths(path):
                return files
        return None

    def _paths(self, path: str) -> list[str]:
        """Return the paths of a log's rotations, the oldest first, and its own."""
        folder, name = os.path.split(path)
        stem = name.removesuffix(".log").removesuffix(".txt")
        near = [each for each in self._names(folder) if each.startswith(stem)]
        known = [each for each in self._known.get(folder, ()) if each.startswith(stem)]
        rotations = next((log.rotations for log in logs_in(near, known) if log.live == name), [])
        return [*(str(Path(folder, rotation)) for rotation in rotations), path]

    def _names(self, folder: str) -> list[str]:
        place = Path(folder or ".")
        try:
            changed = place.stat().st_mtime_ns
            if folder in self._listed and self._listed[folder][0] == changed:
                return self._listed[folder][1]
            settled = time.time_ns() - changed > _SETTLED
            names = [entry.name for entry in place.iterdir()]
        except OSError as error:
            raise Unreadable(f"its folder cannot be read: {error.strerror}") from None
        if settled:
            self._listed[folder] = (changed, names)
        return names


def _headed(file: Found, position: Position | None) -> Found | None:
    """Return the file with its head, where that may matter; ``None`` when it is gone."""
    if not file.live:
        if position is None:
            return file
        if file.modified < position.modified and not position.identity.is_at(file.device, file.inode):
            return file
    try:
        return found(file.path, live=file.live)
    except FileNotFoundError:
        return None
    except Unreadable:
        return file


def _looks(paths: Sequence[str]) -> list[Found]:
    """Look at the files of a log, itself last; what is not there is left out."""
    looks = (seen(path, live=path == paths[-1]) for path in paths)
    return [file for file in looks if file is not None]


def _places(files: Sequence[Found]) -> list[tuple[str, int, int]]:
    return [(file.path, file.device, file.inode) for file in files]
