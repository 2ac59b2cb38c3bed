"""Writes what a script says, when it says so, and rotates the files as logrotate does.

``compressed``: renamed to ``.1`` and packed to ``.1.gz`` at once; ``compressed-later``: packed when the next rotation
comes; ``copytruncate``: copied to ``.1`` and cut to nothing. A record is written by one write, or by two with the cut
in the middle of a line, as writers with a buffer do.
"""

from __future__ import annotations

import gzip
import shutil
import threading
import time
from pathlib import Path

from tidegate.lab.watch_expected import Written
from tidegate.lab.watch_script import File, Record, Rotation, Script
from tidegate.lab.watch_texts import stamp

__all__ = ["LogWriter", "rotate"]

_STEP_S = 0.02
_TORN = 7
"""Every so many writes one is torn in two."""


class LogWriter:
    """A thread that writes the files of ``script`` below ``folder``.

    Attributes
    ----------
    files
        All that was written, file by file; whole when :attr:`done` is true.
    """

    def __init__(self, script: Script, folder: Path) -> None:
        self.files = [Written(file.path) for file in script.files]
        self.lines = 0
        self.began = 0
        self.late = 0
        self._script, self._folder = script, folder
        self._stop = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        for file in script.files:
            path = folder / file.path
            path.parent.mkdir(parents=True)
            path.touch()

    def begin(self) -> None:
        """Begin to write now."""
        self.began = time.time_ns()
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether everything is written.

        Raises
        ------
        OSError
            When it could not be.
        """
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def end(self) -> None:
        """Write nothing more."""
        self._stop.set()
        if self.began:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._write()
        except OSError as error:
            self._error = error

    def _write(self) -> None:
        steps: list[Record | Rotation] = sorted(
            [*self._script.records, *self._script.rotations], key=lambda step: step.at
        )
        for step in steps:
            while (left := step.at - (time.time_ns() - self.began) / 1e9) > 0:
                if self._stop.wait(min(left, _STEP_S)):
                    return
            if isinstance(step, Rotation):
                rotate(self._folder, self._script.files[step.file])
            else:
                self._put(step)

    def _put(self, record: Record) -> None:
        text = (stamp(record.text, self.began + round(record.time * 1000) * 10**6) + "\n").encode()
        path = self._folder / self._script.files[record.file].path
        self.lines += 1
        cut = len(text) // 2 if self.lines % _TORN == 0 else len(text)
        with path.open("ab", buffering=0) as stream:
            stream.write(text[:cut])
            stream.write(text[cut:])
        self.late += record.late
        self.files[record.file].add(text, time.time_ns())


def rotate(folder: Path, file: File) -> None:
    """Rotate one file, as its manner is."""
    path = folder / file.path
    older = [path.with_name(f"{path.name}.{number}") for number in (1, 2, 3)]
    for number in (2, 1):
        packed = _packed(older[number - 1])
        if packed.exists():
            packed.rename(_packed(older[number]))
    if older[0].exists():
        _pack(older[0], _packed(older[1]))
    if file.manner == "copytruncate":
        shutil.copyfile(path, older[0])
        with path.open("r+b") as stream:
            stream.truncate()
        return
    path.rename(older[0])
    path.touch()
    if file.manner == "compressed":
        _pack(older[0], _packed(older[0]))


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _pack(path: Path, to: Path) -> None:
    """Compress as gzip does: the result grows beside the original, is given its time, and the original goes."""
    with path.open("rb") as source, gzip.open(to, "wb") as target:
        shutil.copyfileobj(source, target)
    shutil.copystat(path, to)
    path.unlink()
