"""``tidegate watch check``: what is wrong with a watch's file and its rules, before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tidegate.cli.printer import Output, Printer
from tidegate.errors import ConfigError, Exit, Problem
from tidegate.watch.live.check import Looked, look
from tidegate.watch.live.config import WatchConfig
from tidegate.watch.live.load import load_watch

__all__ = ["check", "summary"]


def check(file: Path, *, output: Output = "text") -> int:
    """Say everything that is wrong with a watch's file: keys and values, rules, secrets, certificates.

    What may be fine later (a log that is not there yet, an address in use) is a note. Exit code 2 when there is a
    problem.

    Examples
    --------
    ``tidegate watch check /etc/tidegate/watch.toml``

    Parameters
    ----------
    file
        The TOML file.
    """
    printer, words = Printer(output), ""
    try:
        config = load_watch(file)
        found = look(config, file)
        words = f"{summary(config)}, {found.rules} rules"
    except ConfigError as error:
        found = Looked(error.problems, (), 0)
    for problem in (*found.problems, *found.notes):
        printer.text(f"{problem}" if problem in found.problems else f"{problem} (note)")
        if problem.hint:
            printer.text(f"  hint: {problem.hint}")
    count = len(found.problems)
    printer.text(f"{file}: {count} problem{'s' * (count != 1)}" if count else f"{file}: fine: {words}")
    problems, notes = ([_plain(one) for one in many] for many in (found.problems, found.notes))
    printer.data({"format": 1, "file": str(file), "ok": not count, "problems": problems, "notes": notes})
    return Exit.USAGE if count else Exit.FINE


def summary(config: WatchConfig) -> str:
    """Return what a file watches and whom it tells, in a few words."""
    kinds = ("files", "syslog", "probe", "alertmanager", "webhook")
    names = [f"{kind}.{name}" for kind in kinds for name in getattr(config, kind, ())]
    return f"a watch of {', '.join(names)}"


def _plain(problem: Problem) -> dict[str, Any]:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "key": problem.where,
        "message": problem.message,
        "hint": problem.hint,
    }
