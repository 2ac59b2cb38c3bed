"""``gate record``: a trace of what a service of a running gate is told, to be replayed elsewhere."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from tidegate.cli.gate_talk import Admin
from tidegate.cli.printer import Output, Printer
from tidegate.errors import Exit, GateUnreachable, UsageError
from tidegate.gate.admin import ADMIN_DEFAULT, AdminClient, Recording
from tidegate.units import Duration

__all__ = ["record"]

_LAST = 200
"""Bytes in which the last line of a trace fits."""


def record(
    file: Path,
    /,
    *,
    for_: Annotated[str, Parameter(name="--for", help="How long, with a unit; at most 1h.")] = "60s",
    service: Annotated[str | None, Parameter(help="Which service; may be left out when there is one.")] = None,
    admin: Admin = ADMIN_DEFAULT,
    output: Output = "text",
) -> int:
    """Record what a service is told and a digest of each decision: a trace for `tidegate sim replay`.

    Ctrl-C ends it early and keeps what there is. The trace names nobody: clients, sessions and operations are numbers.
    Exit code 1 when more happened than could be written down: such a trace is kept, but cannot be replayed.

    Examples
    --------
    ``tidegate gate record storm.trace --for 5m``

    Parameters
    ----------
    file
        Where to write the trace, readable by its owner only.
    """
    printer = Printer(output)
    if file.exists():
        raise UsageError(f"{file} exists already", hint="name another file, or move that one away")
    part = file.with_name(file.name + ".part")
    with AdminClient(admin).record(_seconds(for_), service) as recording:
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as to:
                last, interrupted = _keep(recording, to)
            part.rename(file)
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    if not last.startswith((b'{"end"', b'{"cut"')):
        raise GateUnreachable(f"the gate went away: {file} has no end", hint="record again once the gate runs")
    cut = last.startswith(b'{"cut"')
    printer.data({"format": 1, "file": str(file), "bytes": file.stat().st_size, "cut": cut})
    if cut:
        printer.words(f"warning: {file} was cut: more happened than could be written down")
    printer.text(f"wrote {file}; next: tidegate sim replay {file}")
    return Exit.INTERRUPTED if interrupted else Exit.BAD if cut else Exit.FINE


def _seconds(text: str) -> float:
    try:
        return Duration.parse(text).seconds
    except ValueError as error:
        raise UsageError(str(error), hint="write for example --for 60s") from None


def _keep(recording: Recording, to: BinaryIO) -> tuple[bytes, bool]:
    """Write the trace; return its last line, and whether somebody pressed Ctrl-C."""
    interrupted, last = False, b""

    def enough(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        recording.enough()

    before = signal.signal(signal.SIGINT, enough)  # an exception could lose a piece between reading and writing it
    try:
        for piece in recording:
            to.write(piece)
            last = (last + piece)[-_LAST:]
        to.flush()
        os.fsync(to.fileno())
    finally:
        signal.signal(signal.SIGINT, before)
    return last.rstrip(b"\n").rpartition(b"\n")[2], interrupted
