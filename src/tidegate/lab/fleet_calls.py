"""The reconnects of a world's hosts: a file to which its hosts append as things happen, and what others read from it.

A reconnect begins with ``asked`` (``setContext`` is sent); ``answered`` ends its response time, ``connected`` says that
a poll in the new session was answered, and ``failed`` that it came to nothing, at whichever step. One process writes;
whoever reads may be killed, and another reads it all again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

__all__ = ["CallBook", "Calls", "Reconnect", "Reconnects", "p95_ms", "p95_ms_max"]

_FILE = "calls.jsonl"

What = Literal["asked", "answered", "connected", "failed"]


@dataclass(slots=True)
class Reconnect:
    """One attempt of a host to reconnect; times in seconds since 1970, ``None``: not yet.

    Parameters
    ----------
    host, start
        Whose, and after which start of its service, by the host's own count.
    came, answered
        When its ``setContext`` was sent, and answered (or failed).
    connected
        Whether it works: a poll was answered, and nothing has failed since.
    why
        Why it failed; empty while it has not.
    """

    host: str
    start: int
    came: float
    answered: float | None = None
    connected: bool = False
    why: str = ""


class Reconnects(Protocol):
    """Who says whether a host has reconnected."""

    def last(self, host: str, start: int) -> Reconnect | None:
        """Return the newest attempt of a host since its ``start``-th start; ``None``: there was none."""


class CallBook:
    """Writes them down, as the only process that does.

    Parameters
    ----------
    folder
        The world's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / _FILE).open("ab", buffering=0)

    def write(self, host: str, start: int, what: What, at: float, why: str = "") -> None:
        """Append one line, in one write."""
        line = {"at": at, "host": host, "start": start, "what": what, **({"why": why} if why else {})}
        self._file.write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Calls:
    """Reads them, as far as they have come; a :class:`Reconnects`.

    Parameters
    ----------
    folder
        The world's.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._offset = folder / _FILE, 0
        self._all: list[Reconnect] = []
        self._last: dict[tuple[str, int], Reconnect] = {}

    def read(self) -> Sequence[Reconnect]:
        """Return all attempts, in the order in which they began."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            for line in whole.splitlines():
                self._apply(**json.loads(line))
        return self._all

    def last(self, host: str, start: int) -> Reconnect | None:
        """Return the newest attempt of a host since its ``start``-th start."""
        self.read()
        return self._last.get((host, start))

    def _apply(self, at: float, host: str, start: int, what: What, why: str = "") -> None:
        if what == "asked":
            self._last[host, start] = Reconnect(host, start, at)
            self._all.append(self._last[host, start])
            return
        one = self._last[host, start]
        if one.answered is None:
            one.answered = at
        one.connected, one.why = what == "connected", why


def p95_ms(calls: Iterable[Reconnect], now: float, window_s: float = 1.0) -> float:
    """Return the 95th percentile of response times in the last ``window_s`` seconds, in milliseconds.

    Calls without an answer count with their age.
    """
    times = sorted(
        (now if call.answered is None else call.answered) - call.came
        for call in calls
        if call.came <= now and (call.answered is None or now - window_s <= call.answered <= now)
    )
    return times[min(len(times) - 1, int(len(times) * 0.95))] * 1000 if times else 0.0


def p95_ms_max(calls: Sequence[Reconnect]) -> float:
    """Return the worst 95th percentile that the moment of any answer has seen, in milliseconds."""
    return max((p95_ms(calls, call.answered) for call in calls if call.answered is not None), default=0.0)
