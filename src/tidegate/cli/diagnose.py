"""``tidegate diagnose``: what is this, since when, which hosts, which article, what to do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tidegate.cli.diagnose_view import progress_on, shown
from tidegate.cli.printer import Output, Printer
from tidegate.errors import Exit, UsageError
from tidegate.page import write_page
from tidegate.watch.diagnose import diagnose as look
from tidegate.watch.load import load_rules
from tidegate.watch.report import diagnosis_page

__all__ = ["diagnose"]

_STDIN = Path("-")


def diagnose(
    *paths: Path,
    rules: Annotated[list[Path] | None, Parameter(help="Files or folders with rules of your own, beside ours.")] = None,
    report: Annotated[Path | None, Parameter(help="Where to write a page about it.")] = None,
    output: Output = "text",
) -> int:
    """Recognise known failures in logs, bundles, crash screens and the output of commands.

    Takes files and folders, plain or compressed, support bundles (.tgz, .zip of .tgz) as they are, and ``-`` for
    stdin: paste a line. Everything is read once; nothing is extracted or written, and nothing leaves this machine. What
    could not be read is said: without it "no finding" means nothing.

    Exit code 1 when an incident was found.

    Examples
    --------
    ``tidegate diagnose esx-host-2026-03-04--03.20-2099041.tgz --report what-happened.html``

    Parameters
    ----------
    paths
        What to read; ``-`` is stdin.
    """
    printer = Printer(output)
    if not paths:
        raise UsageError("there is nothing to read", hint="name files, folders or bundles, or - to paste into stdin")
    known = load_rules(rules)
    files = [path for path in paths if path != _STDIN]
    for path in files:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
    with progress_on(printer.errors) as tell:
        found = look(known, files, now=time.time_ns(), stdin=_STDIN in paths, progress=tell)
    if report is not None:
        try:
            write_page(report, diagnosis_page(found))
        except OSError as error:
            raise UsageError(f"the report {report} cannot be written: {error.strerror}") from None
    printer.data(found)
    for part in shown(found):
        printer.text(part)
    if report is not None:
        printer.words(f"report: {report}")
    return Exit.BAD if found["verdict"] == "incident" else Exit.FINE
