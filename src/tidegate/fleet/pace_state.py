"""What has become of each virtual machine: a file of JSON lines that outlives its controller.

The first line says what the file is (``format``, which plan, a digest of the command), each other one what happened to
one machine: ``began`` (written and synced *before* its command starts), ``runs`` (process and its start time) and
``ended`` (with the exit code). Folding them gives the state of each: ``done``, ``failed``, or ``unknown`` where a
command began and nobody saw it end, because the controller died. No output, no secret, no argument stands in it.

One controller at a time has the file (a lock of the kernel's, gone with its process). A last line that was cut by a
crash is dropped; damage anywhere else, another format or another command is refused. Mode 0600.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from tidegate.errors import FleetError

__all__ = ["FORMAT", "Past", "StateFile", "command_digest", "fold", "is_running", "process_start"]

FORMAT = 1

_BEGINS = b'{"format": '
_LINE_MAX = 4096
_SIZE_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class Past:
    """What became of one machine so far."""

    state: Literal["done", "failed", "unknown"]
    code: int | None = None
    pid: int | None = None
    """Of the command of an ``unknown`` one, with the start time of that process."""
    start: str = ""


def command_digest(command: Sequence[str]) -> str:
    """Return what tells one command from another without showing its arguments."""
    return hashlib.sha256(json.dumps(list(command)).encode()).hexdigest()


def fold(events: Sequence[Mapping[str, Any]]) -> dict[str, Past]:
    """Return the state of every machine after these events (pure)."""
    known: dict[str, Past] = {}
    for event in events:
        vm = str(event["vm"])
        match event["did"]:
            case "began":
                known[vm] = Past("unknown")
            case "runs":
                known[vm] = Past("unknown", pid=int(event["pid"]), start=str(event["start"]))
            case "ended":
                code = event["code"]
                known[vm] = Past("done" if event["ok"] else "failed", None if code is None else int(code))
            case did:
                raise ValueError(f"{did!r} is nothing that can have happened")
    return known


class StateFile:
    """The file, open and locked; use it as a context manager."""

    def __init__(self, path: Path, descriptor: int, past: dict[str, Past]) -> None:
        self.path = path
        self.past = past
        """What became of each machine before now."""
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, plan: str, command: Sequence[str], at: float, *, fresh: bool = False) -> Self:
        """Open or begin the file.

        Parameters
        ----------
        plan
            The name of the plan, for people.
        command
            The command with its ``{vm}``.
        at
            The time now.
        fresh
            Begin anew; what is there is kept beside it as ``.old``.

        Raises
        ------
        FleetError
            When another controller has it, it belongs to another command, or it cannot be read or written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FleetError(f"the state file {path} cannot be opened: {error.strerror}") from None
        try:
            _lock(descriptor, path)
            if fresh:
                _keep_old(descriptor, path)
            head = {"format": FORMAT, "kind": "pace", "plan": plan, "command": command_digest(command), "at": at}
            past = _read(descriptor, path, head)
            return cls(path, descriptor, past)
        except BaseException:
            os.close(descriptor)
            raise

    def began(self, vm: str, at: float) -> None:
        """Write that the command of a machine is about to start."""
        self._write({"at": at, "vm": vm, "did": "began"})

    def runs(self, vm: str, at: float, pid: int) -> None:
        """Write which process it is."""
        self._write({"at": at, "vm": vm, "did": "runs", "pid": pid, "start": process_start(pid)})

    def ended(self, vm: str, at: float, *, ok: bool, code: int | None) -> None:
        """Write how it ended; ``code`` is ``None`` where it could not be started."""
        self._write({"at": at, "vm": vm, "did": "ended", "ok": ok, "code": code})

    def _write(self, event: dict[str, Any]) -> None:
        try:
            _append(self._descriptor, event)
        except OSError as error:
            raise FleetError(f"the state file {self.path} cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def process_start(pid: int) -> str:
    """Return what tells a process from a later one with its number: boot and start time; empty if it is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    ended = fields[0] in {"Z", "X"}  # nobody has asked how
    return "" if ended else f"{boot}/{fields[19]}"


def is_running(past: Past) -> bool:
    """Return whether the command of an ``unknown`` machine still runs."""
    return past.pid is not None and past.start != "" and process_start(past.pid) == past.start


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        hint = "wait for it, or stop it; what it has under way is finished first"
        raise FleetError(f"another controller works with {path}", hint=hint, slug="taken") from None


def _keep_old(descriptor: int, path: Path) -> None:
    """Copy what is there beside the file, and empty it: the lock is on this very file."""
    data = _data(descriptor, path)
    if not data:
        return
    if not data.startswith(_BEGINS):
        raise _foreign(path)
    old = path.with_name(path.name + ".old")
    try:
        copy = os.open(old, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(copy, "wb") as stream:
            os.fchmod(copy, 0o600)
            stream.write(data)
            stream.flush()
            os.fsync(copy)
        os.ftruncate(descriptor, 0)
    except OSError as error:
        raise FleetError(f"the state file {path} cannot be kept as {old}: {error.strerror}") from None


def _data(descriptor: int, path: Path) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        data = stream.read(_SIZE_MAX + 1)
    if len(data) > _SIZE_MAX:
        raise FleetError(f"{path} is longer than 64 MiB, so it is no state file", hint="--state names another one")
    return data


def _append(descriptor: int, event: Mapping[str, Any]) -> None:
    line = (json.dumps(event) + "\n").encode()
    os.lseek(descriptor, 0, os.SEEK_END)
    while line:
        line = line[os.write(descriptor, line) :]
    os.fsync(descriptor)


def _read(descriptor: int, path: Path, head: Mapping[str, Any]) -> dict[str, Past]:
    """Return what is known; nothing is changed before it is sure that the file is ours."""
    data = _data(descriptor, path)
    whole, newline, torn = data.rpartition(b"\n")
    if not newline:  # nothing, or a first line that was cut
        if not _BEGINS.startswith(data[: len(_BEGINS)]):
            raise _foreign(path)
        _begin(descriptor, path, head)
        return {}
    first, *others = whole.split(b"\n")
    _check_head(path, first, head)
    events = [_event(path, number, line) for number, line in enumerate(others, start=2)]
    try:
        past = fold(events)
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, "what happened") from None
    os.fchmod(descriptor, 0o600)
    if torn:
        os.ftruncate(descriptor, len(data) - len(torn))
    return past


def _begin(descriptor: int, path: Path, head: Mapping[str, Any]) -> None:
    os.fchmod(descriptor, 0o600)
    os.ftruncate(descriptor, 0)
    _append(descriptor, head)
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # so that its name survives a crash too
    finally:
        os.close(folder)


def _check_head(path: Path, line: bytes, ours: Mapping[str, Any]) -> None:
    try:
        head = json.loads(line)
        kind, number, command = head["kind"], head["format"], head["command"]
    except (ValueError, KeyError, TypeError):
        raise _foreign(path) from None
    if kind != "pace":
        raise _foreign(path)
    if number != FORMAT:
        hint = "finish it with the version that began it, or name another file with --state"
        raise FleetError(f"{path} was written by another version (format {number}, this one reads {FORMAT})", hint=hint)
    if command != ours["command"]:
        hint = "--fresh begins anew and keeps the old file; --state names another one"
        raise FleetError(f"{path} belongs to another command", hint=hint)


def _foreign(path: Path) -> FleetError:
    return FleetError(f"{path} is no state file", hint="--state names another one")


def _event(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or len(line) > _LINE_MAX:
        raise _damaged(path, f"line {number}")
    return event


def _damaged(path: Path, what: str) -> FleetError:
    hint = "look at it, and at the disk; --fresh begins anew and keeps it"
    return FleetError(f"{path} is damaged: {what} cannot be read", hint=hint)
