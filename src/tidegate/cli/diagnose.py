"""``tidegate diagnose``: what is this, since when, which hosts, which article, what to do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.diagnose_view import progress_on, shown
from tidegate.cli.printer import Output, Printer
from tidegate.cli.reports import write_report
from tidegate.errors import Exit, UsageError
from tidegate.harmless import harmless
from tidegate.watch.diagnose import diagnose as look
from tidegate.watch.load import load_rules
from tidegate.watch.report import diagnosis_page

__all__ = ["diagnose"]

_STDIN = "-"


def diagnose(
    *paths: Annotated[str, Parameter(allow_leading_hyphen=True)],
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
    files = [_file(path) for path in paths if path != _STDIN]
    with progress_on(printer.errors) as tell:
        found = look(known, files, now=time.time_ns(), stdin=_STDIN in paths, progress=tell)
    refused = _written(report, found) if report is not None else None
    printer.data(found)
    for part in shown(found):
        printer.text(part)
    if refused is not None:
        raise refused
    if report is not None:
        printer.words(f"report: {report}")
    return Exit.BAD if found["verdict"] == "incident" else Exit.FINE


def _file(path: str) -> Path:
    """Return what was named, if it can be looked at."""
    name = harmless(path)
    if path.startswith("-"):
        raise UsageError(f"Unknown option: {name}", hint=f"add --help to see what may stand here; a file is ./{name}")
    if not path:
        raise UsageError("the name of a file is empty", hint="the folder that you are in is .")
    try:
        Path(path).stat()
    except FileNotFoundError:
        raise UsageError(f"{name} does not exist") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
    return Path(path)


def _written(report: Path, found: dict[str, Any]) -> UsageError | None:
    """Write the page; return what kept it from being written, as what was found is shown all the same."""
    try:
        write_report(report, diagnosis_page(found))
    except UsageError as error:
        return error
    return None
