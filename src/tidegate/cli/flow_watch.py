"""``tidegate flow watch``: the flows of an interface as they pass, second by second, and a summary at the end."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from cyclopts import Parameter
from rich.live import Live

from tidegate.cli.flow_watch_view import line, panel
from tidegate.cli.printer import Follow, Printer
from tidegate.errors import Exit, UsageError
from tidegate.units import Duration
from tidegate.watch.capture.live import Listening, second

__all__ = ["watch"]

Json = dict[str, Any]

_EVERY_S = 1.0
"""Seconds from one look to the next."""
_LEAST_S = 0.2
"""Seconds that are read before each look."""
_BAD = {"critical", "warning"}


def watch(
    interface: str,
    /,
    *,
    for_: Annotated[str | None, Parameter(name="--for", help="How long, with a unit; else until Ctrl-C.")] = None,
    output: Follow = "text",
) -> int:
    """Watch the TCP flows that pass an interface: handshakes, half-open flows, source ports, findings as they come.

    Nothing is sent and nothing is kept but counts and flows, in bounded memory; packets that the kernel had no room for
    are counted. Linux only, as root or with CAP_NET_RAW. Ctrl-C ends it with the summary. With --output json every
    second is one line; the last line has the whole report as well.

    Exit code 1 when a finding is critical or a warning.

    Examples
    --------
    ``tidegate flow watch eth0``

    Parameters
    ----------
    interface
        Its name, as `ip link` shows it.
    """
    printer = Printer("jsonl" if output == "json" else output)
    end = math.inf if for_ is None else time.monotonic() + _seconds(for_)
    with Listening(interface) as listening:
        why = _follow(printer, listening, end)
        told = listening.told()
    last = second(told)
    printer.data({**last, "ended": why, "report": told["report"]})
    printer.text(panel(last, passing=False))
    if why == "interface-down":
        printer.words(f"{interface} went down: nothing more can be seen of it")
    return Exit.BAD if any(one["severity"] in _BAD for one in last["found"]) else Exit.FINE


def _follow(printer: Printer, listening: Listening, end: float) -> str:
    """Show every second until somebody or something ends it; return why: a word for programs."""
    before: Json | None = None
    due = time.monotonic()
    with _stopped() as stopped, _shown(printer) as show:
        while (now := time.monotonic()) < end:
            # A report that took long delays the next look: reading always has its part.
            due = max(due + _EVERY_S, now + _LEAST_S)
            if not listening.look(min(due, end) - now):
                return "interface-down"
            if stopped():
                return "interrupted"
            told = listening.told()
            show(second(told, before))
            before = told
    return "time-over"


@contextmanager
def _stopped() -> Iterator[Callable[[], bool]]:
    """Return whether INT or TERM came: they end the watch, not the process, so that the summary is told."""
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in numbers}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shown(printer: Printer) -> Iterator[Callable[[Json], None]]:
    """Show in place on a terminal, in a line per second elsewhere."""
    if printer.is_text and printer.console.is_terminal:
        with Live(console=printer.console, auto_refresh=False, transient=True) as live:
            yield lambda now: live.update(panel(now, passing=True), refresh=True)
        return

    def tell(now: Json) -> None:
        printer.data(now)
        printer.text(line(now))

    yield tell


def _seconds(text: str) -> float:
    try:
        return Duration.parse(text).seconds
    except ValueError as error:
        raise UsageError(str(error), hint="write for example --for 60s") from None
