"""``sim replay``: whether the simulator's core decides as a live gate did."""

from __future__ import annotations

from pathlib import Path

from tidegate.cli.printer import Output, Printer
from tidegate.errors import Exit
from tidegate.sim.engine import replay as replay_trace

__all__ = ["replay"]


def replay(file: Path, /, *, output: Output = "text") -> int:
    """Replay a trace that `tidegate gate record` wrote, and compare every decision.

    Exit code 1 when a decision differs, 2 when the file is no whole trace: cut, damaged, or of another format.

    Examples
    --------
    ``tidegate sim replay storm.trace``

    Parameters
    ----------
    file
        The trace.
    """
    printer, report = Printer(output), replay_trace(file)
    printer.data(report)
    events, decisions = report["events"], report["decisions"]
    if report["identical"]:
        printer.text(f"{file}: {events} events at service {report['service']}, {decisions} decisions, all identical")
        return Exit.FINE
    difference = report["first_difference"]
    printer.text(
        f"{file}: event {difference['event']} of service {report['service']}, {difference['at_s']:.3f} s after the "
        f"beginning, is decided differently"
    )
    printer.text(f"  told: {difference['told']}")
    printer.text(f"  said now: {difference['said']}")
    printer.text(f"  recorded by version {report['version']}; a difference between versions may be meant")
    return Exit.BAD
