"""One world of the lab: its processes, their ready lines, one temporary folder, and the end of all of them.

Every child has a process group of its own and its stdin is a pipe that only this process holds: when this process ends
in whatever way, the pipe closes and the child ends too. A child says on its first line of stdout that it is ready;
every line is one JSON object with a ``kind``. Its stderr is a file in the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tidegate.errors import LabError

__all__ = ["Child", "Message", "World", "die_with_parent", "lab_binary"]

Message = dict[str, Any]

_LINE_MAX = 1 << 20
"""Longest line that a child may say, in bytes."""
_END_S = 3.0
"""How long a child may take to end before it is killed."""


def lab_binary() -> Path:
    """Return where ``tidegate-lab`` is: beside this Python's scripts, on PATH, or freshly built in this checkout.

    Raises
    ------
    LabError
        When it is nowhere.
    """
    checkout = Path(__file__).resolve().parents[3]
    target = Path(os.environ.get("CARGO_TARGET_DIR", checkout / "target"))
    places = [Path(sys.executable).parent / "tidegate-lab", target / "release" / "tidegate-lab"]
    if on_path := shutil.which("tidegate-lab"):
        places.insert(1, Path(on_path))
    for place in places:
        if place.is_file():
            return place
    raise LabError("the program tidegate-lab is missing", hint="`make build` builds it; wheels bring it along")


def die_with_parent() -> None:
    """End this process when its stdin ends; for a thread of a child that is written in Python."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)


class Child:
    """One process of a world."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path) -> None:
        self.name = name
        self.errors = folder / f"{name}.log"
        with self.errors.open("wb") as log:
            try:
                self.process = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=folder,
                    process_group=0,
                )
            except OSError as error:
                raise LabError(f"{name} cannot be started: {error.strerror}") from None
        self._rest = b""

    @property
    def output(self) -> IO[bytes]:
        """Its stdout."""
        assert self.process.stdout is not None  # noqa: S101 (Popen was told to make one)
        return self.process.stdout

    def say(self, message: Message) -> None:
        """Write one line to its stdin; a child that has ended hears nothing."""
        assert self.process.stdin is not None  # noqa: S101 (Popen was told to make one)
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return

    def hear(self) -> tuple[list[Message], bool]:
        """Read what is there; return the messages, and whether the child has closed its stdout."""
        piece = os.read(self.output.fileno(), 65536)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LINE_MAX:
            raise LabError(f"{self.name} says a line without end")
        return [self._message(line) for line in lines if line.strip()], not piece

    def _message(self, line: bytes) -> Message:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise LabError(f"{self.name} says something that is not JSON: {line[:200]!r}")
        return message

    def why(self) -> str:
        """Return the last line of its stderr, for an error message."""
        text = self.errors.read_text(errors="replace").strip()
        return text.splitlines()[-1][:400] if text else "it said nothing"

    def end(self) -> None:
        """Close its stdin, wait a little, then kill its group."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it may have ended already
                self.process.stdin.close()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()


class World:
    """Starts children, hears them, and ends them all.

    Parameters
    ----------
    keep
        Leave the temporary folder (specifications, logs, configuration) when the world ends.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-"))
        self._keep = keep
        self._children: dict[str, Child] = {}
        self._waiting = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.close()
        for child in reversed(self._children.values()):
            child.end()
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name: str, command: Sequence[str | Path], *, within_s: float = 15.0) -> tuple[Child, Message]:
        """Start a child and wait for its ready line; return both.

        Raises
        ------
        LabError
            When it ends, or says nothing, or says something else first.
        """
        child = Child(name, command, self.folder)
        self._children[name] = child
        deadline, heard, ended = time.monotonic() + within_s, list[Message](), False
        with selectors.DefaultSelector() as waiting:
            waiting.register(child.output, selectors.EVENT_READ)
            while not heard and not ended:
                left = deadline - time.monotonic()
                if left <= 0 or not waiting.select(left):
                    raise LabError(f"{name} was not ready within {within_s:g} s: {child.why()}")
                heard, ended = child.hear()
        if not heard:
            child.process.wait(_END_S)
            raise LabError(f"{name} ended before it was ready: {child.why()}")
        if heard[0].get("kind") != "ready":
            raise LabError(f"{name} did not begin with its ready line")
        self._waiting.register(child.output, selectors.EVENT_READ, child)
        return child, heard[0]

    def run(self, command: Sequence[str | Path], *, within_s: float = 30.0) -> None:
        """Run a program to its end.

        Raises
        ------
        LabError
            When it fails, or is not done within ``within_s`` seconds.
        """
        name = " ".join(map(str, command[:2]))
        try:
            ended = subprocess.run(
                [str(part) for part in command], cwd=self.folder, capture_output=True, timeout=within_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(f"{name} failed: {error}") from None
        if ended.returncode:
            raise LabError(f"{name} failed: {ended.stderr.decode(errors='replace').strip()[-400:]}")

    def hear(self, within_s: float) -> Iterator[tuple[str, Message]]:
        """Yield ``(name, message)`` as children say it within ``within_s`` seconds; an end is of kind ``ended``."""
        deadline = time.monotonic() + within_s
        while self._waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._waiting.select(left):
                child: Child = key.data
                messages, ended = child.hear()
                for message in messages:
                    yield child.name, message
                if ended:
                    self._waiting.unregister(child.output)
                    yield child.name, {"kind": "ended", "why": child.why()}

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder and return its path."""
        file = self.folder / name
        file.write_text(text)
        return file
