"""What keeps a benchmark honest: a release build, a quiet machine, and another try where a run cannot be trusted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benches.process import BenchError
from benches.record import Row

# Of /proc/pressure/cpu, "some avg10", in percent: more means that somebody else is at work on this machine.
QUIET = 5.0


def pressure() -> float:
    """Return how much of the last 10 s some process waited for a CPU, in percent."""
    line = Path("/proc/pressure/cpu").read_text().splitlines()[0]
    return float(line.split("avg10=")[1].split()[0])


def wait_for_quiet(limit_s: float = 120.0) -> None:
    """Wait until nobody else works on this machine.

    Raises
    ------
    BenchError
        Somebody still does after `limit_s` seconds.
    """
    give_up = time.monotonic() + limit_s
    while (now := pressure()) > QUIET:
        if time.monotonic() > give_up:
            raise BenchError(f"the machine is busy (CPU pressure {now:.0f} %): stop what else runs, or use --quick")
        time.sleep(2)


def refuse_debug_build() -> None:
    """Refuse to measure anything but a release build.

    Raises
    ------
    BenchError
        The extension module is missing or a debug build.
    """
    try:
        from tidegate import _core
    except ImportError as error:
        raise BenchError("tidegate is not built: make build") from error
    if _core.build_profile != "release":
        raise BenchError(f"tidegate is a {_core.build_profile} build, which says nothing about speed: make build")


def tried(cell: str, measure: Callable[[], list[Row]]) -> list[Row]:
    """Measure one cell; where a run cannot be trusted (a rate that was not held), twice more.

    Raises
    ------
    BenchError
        The third try could not be trusted either.
    """
    for left in (2, 1):
        try:
            return measure()
        except BenchError as error:
            tell(f"{cell}: {error}; {left} more")
    return measure()


def tell(text: str) -> None:
    """Say on stderr how far the benchmark is."""
    print(text, file=sys.stderr, flush=True)
