"""What can go wrong, as one tree, and the one place that turns it into an exit code.

::

    TidegateError
    ├── UsageError            the command was asked for something that it cannot do           exit 2
    ├── ConfigError           a configuration file is wrong; carries every Problem found      exit 2
    ├── GateError             the gate refused to start, or refused a new plan                exit 2
    ├── GateUnreachable       no gate answers at the admin socket                             exit 4
    ├── WatchUnreachable      no watch answers at its admin socket                            exit 4
    ├── ServerUnreachable     the server that was to be looked at does not answer             exit 4
    ├── TurnedAway            a limiter of this process turned a call away                    exit 4
    ├── LabError              a world of the lab did not start, or broke                      exit 4
    └── FleetError            a run, or a step of one, cannot be done as asked                exit 2
        ├── Stopped           a guard stopped the run, or it waits for approval               exit 3
        └── HostUnreachable   a host, its manager or the run's journal does not answer        exit 4

Each error has a stable ``slug`` for programs, one sentence for people, and a ``hint`` that says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

__all__ = [
    "ConfigError",
    "Exit",
    "FleetError",
    "GateError",
    "GateUnreachable",
    "HostUnreachable",
    "LabError",
    "Problem",
    "ServerUnreachable",
    "Stopped",
    "TidegateError",
    "TurnedAway",
    "UsageError",
    "WatchUnreachable",
    "exit_code",
]


class Exit(IntEnum):
    """The exit codes of every command."""

    FINE = 0
    """All is well."""
    BAD = 1
    """The thing asked about is bad."""
    USAGE = 2
    """Usage or configuration."""
    STOPPED = 3
    """Stopped by a guard, or waiting for approval."""
    UNREACHABLE = 4
    """Cannot reach the gate, the server or the host."""
    INTERRUPTED = 130
    """The operator pressed Ctrl-C."""


class TidegateError(Exception):
    """Anything that tidegate reports.

    Parameters
    ----------
    message
        One sentence: what is wrong.
    hint
        What to do about it; empty when there is nothing to say.
    slug
        Stable word for programs; the class has a default.
    """

    slug: str = "error"

    def __init__(self, message: str, *, hint: str = "", slug: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if slug is not None:
            self.slug = slug


class UsageError(TidegateError):
    """The command was asked for something that it cannot do."""

    slug = "usage"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a configuration file.

    ``line`` counts from 1; 0 when the problem belongs to no line. ``where`` is the dotted path of the key.
    """

    file: Path
    line: int
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        where = f"{self.where}: " if self.where else ""
        return f"{place}: {where}{self.message}"


class ConfigError(TidegateError):
    """One file of configuration or rules, or several, are wrong; all that was found is in ``problems``.

    ``who`` has the problems, in words.
    """

    slug = "config"

    def __init__(self, problems: Sequence[Problem], who: str = "the configuration has") -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        super().__init__(f"{who} one problem" if count == 1 else f"{who} {count} problems")


class GateError(TidegateError):
    """The gate refused to start, or refused a new plan; nothing has changed."""

    slug = "gate"


class GateUnreachable(TidegateError):
    """No gate answers at the admin socket."""

    slug = "gate-unreachable"


class WatchUnreachable(TidegateError):
    """No watch answers at its admin socket."""

    slug = "watch-unreachable"


class ServerUnreachable(TidegateError):
    """The server that was to be looked at does not answer."""

    slug = "server-unreachable"


class TurnedAway(TidegateError):
    """A limiter of this process turned a call away.

    Parameters
    ----------
    reason
        Why: one of the closed list (``queue-full``, ``too-late``, ``deadline``, ``client-cap``, …).
    retry_after
        When to come back, in seconds: a prediction, spread over those who wait.
    """

    slug = "turned-away"

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(f"the call was turned away: {reason}", hint=f"come back in {retry_after:.0f} s")
        self.reason = reason
        self.retry_after = retry_after


class LabError(TidegateError):
    """A world of the lab did not start, or broke while it ran."""

    slug = "lab"


class FleetError(TidegateError):
    """A run over hosts, or one step of it, cannot be done as asked."""

    slug = "fleet"


class Stopped(FleetError):
    """A guard stopped the run, or it waits for approval; it can be resumed."""

    slug = "stopped"


class HostUnreachable(FleetError):
    """A host, what manages it, or the run's journal does not answer."""

    slug = "host-unreachable"


_EXIT_CODES: tuple[tuple[type[BaseException], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (ConfigError, Exit.USAGE),
    (GateError, Exit.USAGE),
    (GateUnreachable, Exit.UNREACHABLE),
    (WatchUnreachable, Exit.UNREACHABLE),
    (ServerUnreachable, Exit.UNREACHABLE),
    (TurnedAway, Exit.UNREACHABLE),
    (LabError, Exit.UNREACHABLE),
    (Stopped, Exit.STOPPED),
    (HostUnreachable, Exit.UNREACHABLE),
    (FleetError, Exit.USAGE),
    (KeyboardInterrupt, Exit.INTERRUPTED),
)


def exit_code(error: BaseException) -> Exit:
    """Return the exit code that ``error`` ends a command with; what is not in the tree is :attr:`Exit.BAD`."""
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    return Exit.BAD
