"""``tidegate flow stats``: what is in captures, file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from os.path import commonprefix
from typing import Annotated, Any

from cyclopts import Parameter
from rich import box
from rich.table import Table

from tidegate.cli.diagnose_view import progress_on
from tidegate.cli.inputs import STDIN, files_named
from tidegate.cli.printer import Output, Printer
from tidegate.errors import Exit
from tidegate.watch.capture.stats import flow_stats

__all__ = ["stats"]

Json = dict[str, Any]

_TROUBLES = 8


def stats(*paths: Annotated[str, Parameter(allow_leading_hyphen=True)], output: Output = "text") -> int:
    """Count the TCP connections in captures, file by file: how they stand, how they went, and what was skipped.

    Takes pcap and pcapng, plain or compressed, in folders and archives, and ``-`` for stdin. What cannot be read is
    counted by its reason, and the rest is told: a damaged capture is no failure. States are ours (docs/reference);
    ``conn_states`` in the JSON are Zeek's.

    Examples
    --------
    ``tidegate flow stats captures/ --output json``

    Parameters
    ----------
    paths
        What to read; ``-`` is stdin.
    """
    printer = Printer(output)
    files = files_named(paths, what="captures, or folders and archives of them, or - for stdin")
    with progress_on(printer.errors) as tell:
        found = flow_stats(files, stdin=STDIN in paths, progress=tell)
    printer.data(found)
    if found["files"]:
        printer.text(_table(found["files"], printer.console.width * 2 // 5))
    others = found["not_captures"]["count"]
    if others:
        printer.text(f"{others} other {'file is' if others == 1 else 'files are'} no capture.")
    for trouble in found["troubles"][:_TROUBLES]:
        printer.text(f"{trouble['path']}: {trouble['detail']}")
    if len(found["troubles"]) > _TROUBLES:
        printer.text(f"… {len(found['troubles']) - _TROUBLES} more (--output json has all)")
    return Exit.FINE


def _table(files: list[Json], widest: int) -> Table:
    """Return a row per file; names are folded when they are longer than `widest` columns."""
    packets, flows = (sum(file[name] for file in files) for name in ("packets", "flows"))
    caption = f"{len(files)} {'capture' if len(files) == 1 else 'captures'}, {packets} packets, {flows} connections"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=caption)
    table.title_justify = table.caption_justify = "left"
    above = _above([file["path"] for file in files])
    table.title = f"in {above}" if above else None
    longest = max((len(file["path"]) - len(above) for file in files), default=0)
    table.add_column("file", overflow="fold", min_width=min(longest, widest))
    for name in ("packets", "flows"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("states", "outcomes", "skipped"):
        table.add_column(name, overflow="fold")
    for file in files:
        ended = "" if file["ended"] == "whole" else f" ({file['ended']})"
        numbers = (str(file["packets"]), str(file["flows"]))
        words = (_words(file[name]) for name in ("states", "outcomes", "skipped"))
        table.add_row(f"{file['path'].removeprefix(above)}{ended}", *numbers, *words)
    return table


def _above(paths: list[str]) -> str:
    """Return the folder that all files are in, with its slash; nothing for a single file."""
    common = commonprefix(paths)  # noqa: RUF071 (cut at its last slash)
    return "".join(common.rpartition("/")[:2]) if len(paths) > 1 else ""


def _words(counts: Mapping[str, int]) -> str:
    """Return counts as words, most first; those that are 0 are left out."""
    return ", ".join(f"{word} {count}" for word, count in Counter(counts).most_common() if count)
