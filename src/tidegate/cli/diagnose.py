"""``tidegate diagnose``: what is this, since when, which hosts, which article, what to do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tidegate.cli.diagnose_view import progress_on, shown
from tidegate.cli.inputs import STDIN, files_named
from tidegate.cli.printer import Output, Printer
from tidegate.cli.reports import write_report
from tidegate.errors import Exit, UsageError
from tidegate.watch.diagnose import diagnose as look
from tidegate.watch.load import load_rules
from tidegate.watch.report import diagnosis_page

__all__ = ["diagnose"]


def diagnose(
    *paths: Annotated[str, Parameter(allow_leading_hyphen=True)],
    rules: Annotated[list[Path] | None, Parameter(help="Files or folders with rules of your own, beside ours.")] = None,
    report: Annotated[Path | None, Parameter(help="Where to write a page about it.")] = None,
    output: Output = "text",
) -> int:
    """Recognise known failures in logs, bundles, crash screens, the output of commands, and captures of packets.

    Takes files and folders, plain or compressed, support bundles (.tgz, .zip of .tgz) as they are, and ``-`` for
    stdin: paste a line. Captures (pcap, pcapng) that are named are read as one, in the order of time: give both files
    where each holds one direction. Everything is read once; nothing is extracted or written, and nothing leaves this
    machine. What could not be read is said: without it "no finding" means nothing.

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
    files = files_named(paths, what="files, folders, bundles or captures, or - to paste into stdin")
    known = load_rules(rules)
    with progress_on(printer.errors) as tell:
        found = look(known, files, now=time.time_ns(), stdin=STDIN in paths, progress=tell)
    refused = _written(report, found) if report is not None else None
    printer.data(found)
    for part in shown(found):
        printer.text(part)
    if refused is not None:
        raise refused
    if report is not None:
        printer.words(f"report: {report}")
    return Exit.BAD if found["verdict"] == "incident" else Exit.FINE


def _written(report: Path, found: dict[str, Any]) -> UsageError | None:
    """Write the page; return what kept it from being written, as what was found is shown all the same."""
    try:
        write_report(report, diagnosis_page(found))
    except UsageError as error:
        return error
    return None
