"""The command line of a benchmark of several tests and peers, and how it ends."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

from benches.process import BenchError
from tidegate.errors import LabError

__all__ = ["command"]


def command(name: str, description: str, quick: str, run: Callable[[argparse.Namespace], None]) -> int:
    """Run ``python -m benches.NAME``: 0 fine, 3 it cannot run here or is not to be trusted, 130 interrupted.

    Parameters
    ----------
    quick
        What ``--quick`` does.
    run
        Takes ``quick``, ``fresh``, ``peers`` and ``tests``.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benches.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on where it stopped")
    parser.add_argument("--peers", help="only these, separated by commas")
    parser.add_argument("--tests", help="only these, separated by commas")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the peers are ended after TERM as after Ctrl-C
    try:
        run(parser.parse_args())
    except (BenchError, LabError) as error:
        print(f"bench-{name}: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print(f"bench-{name}: interrupted; called again it goes on where it stopped", file=sys.stderr)
        return 130
    return 0
