"""The list of commands, and the one place where an error becomes words and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from tidegate.errors import Exit, TidegateError, exit_code

__all__ = ["app", "main"]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("tidegate")
    except PackageNotFoundError:
        number = "0 (not installed)"
    try:
        from tidegate import _core
    except ImportError:
        return f"tidegate {number}, without its compiled part"
    return f"tidegate {number} ({_core.build_profile}, {_core.build_info})"


app = App(
    name="tidegate",
    version=_version,
    help="""Keep connection storms from taking down management planes.

    See it at work: `tidegate demo`. Put a gate in front of a server: `tidegate gate init vasa --server HOST:PORT`, then
    `tidegate gate check FILE`, then `tidegate gate run FILE`.
    """,
    help_format="markdown",
    version_format="plaintext",
    result_action="return_value",
    # Ctrl-C is an exit code among others: main gives it.
    suppress_keyboard_interrupt=False,
)
# Registered by path: starting one command does not import the others, and --help imports none.
app.command(
    "tidegate.cli.demos:demos",
    name="demo",
    help="""Play a reconnect storm without and with the gate, and compare; `demo fleet` plays a phased restart.

    A VASA provider restarts and all its hosts reconnect at once: first straight to the provider, which collapses, then
    through the gate. Both runs have the same provider, seed and client policy, in processes of their own on this
    machine.
    """,
)
app.command(
    "tidegate.cli.diagnose:diagnose",
    name="diagnose",
    help="Recognise known failures in logs, bundles, crash screens, the output of commands, and captures.",
)
app.command(
    "tidegate.cli.fleet:fleet",
    name="fleet",
    help="Run phased changes over many hosts: durable, guarded, resumable.",
)
app.command("tidegate.cli.flow:flow", name="flow", help="Look at the TCP connections in captures, or of an interface.")
app.command("tidegate.cli.gate:gate", name="gate", help="Run a gate, look at it, steer it.")
app.command(
    "tidegate.cli.rules:rules",
    name="rules",
    help="Look at the rules of `tidegate diagnose`, test your own, and export them as alerts.",
)
app.command("tidegate.cli.sim:sim", name="sim", help="Rehearse a storm in virtual time, and plan for it.")
app.command(
    "tidegate.cli.watch:watch",
    name="watch",
    help="Leave it running: logs, syslog and devices, windows that fill up, one alert per storm.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code, one of :class:`~tidegate.errors.Exit`."""
    from tidegate.cli.printer import Printer

    _make_safe()
    try:
        # Cyclopts would end the process itself; here its errors get the same form as ours.
        result = app(
            sys.argv[1:] if arguments is None else arguments,
            exit_on_error=False,
            print_error=False,
        )
        sys.stdout.flush()
    except CycloptsError as error:
        printer = Printer()
        printer.words(f"error: {str(error).strip().rstrip('.')}")
        printer.words("  hint: add --help to see what may stand here")
        return Exit.USAGE
    except BrokenPipeError:
        # Who read our output has seen enough (`… | head`); Python must not complain about it at exit.
        sys.stdout = None
        return Exit.FINE
    except OSError as error:
        if error.filename is not None:
            raise
        # It was about a stream that is open already: the output.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        Printer().words(f"error: the output cannot be written: {error.strerror}")
        return Exit.USAGE
    except (TidegateError, KeyboardInterrupt) as error:
        if isinstance(error, TidegateError):
            Printer().error(error)
        return exit_code(error)
    return result if isinstance(result, int) else Exit.FINE


def _make_safe() -> None:
    """Let output be written whatever the locale is, and nowhere when its stream was closed before the start."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
