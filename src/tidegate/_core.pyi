"""The compiled part of tidegate: a handle for the gate, and the closed lists of words.

Everything crosses the boundary as JSON with ``"format": 1`` or as plain numbers and texts. Every blocking call releases
the GIL. Nothing here calls back into Python.
"""

from os import PathLike
from typing import final

__all__ = [
    "Gate",
    "GateError",
    "TraceError",
    "__version__",
    "build_info",
    "build_profile",
    "check_plan",
    "classes",
    "ends",
    "reasons",
    "replay",
]

__version__: str
"""Version of the library, the same as the package's."""

build_profile: str
"""``release`` or ``dev``; benchmarks refuse ``dev``."""

build_info: str
"""Commit and compiler that this was built from, for ``tidegate --version``."""

class GateError(Exception):
    """The gate refused a plan or could not start.

    ``args`` is ``(slug, message, hint)``: a stable word, one sentence, and what to do about it (may be empty).
    """

    slug: str
    message: str
    hint: str

class TraceError(Exception):
    """A trace cannot be replayed. ``args`` is ``(message, hint)``: one sentence, and what to do about it."""

@final
class Gate:
    """A running gate: a thread for the traffic and one for health, metrics and switches."""

    @staticmethod
    def start(plan: bytes) -> Gate:
        """Check ``plan`` (JSON, format 1), bind everything, start; on :exc:`GateError` nothing is bound."""

    def apply(self, plan: bytes) -> str:
        """Swap the plan whole; return a report as JSON. On :exc:`GateError` the old plan stays."""

    def addresses(self) -> list[tuple[str, str]]:
        """Return ``(service, "HOST:PORT")`` for every service, as bound."""

    def status(self) -> str:
        """Return the state as JSON."""

    def explain(self, query: bytes) -> str:
        """Return the newest decisions as JSON; ``query``: ``client``, ``service``, ``call``, ``limit`` or null."""

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""

    def maintenance(self, service: str | None, on: bool) -> None:
        """Announce or end a planned restart; ``None`` means every service. :exc:`GateError` when there is none such."""

    def bypass(self, service: str | None, on: bool) -> None:
        """Let everything pass, or end that; ``None`` means every service. :exc:`GateError` when there is none such."""

    def drain(self, deadline_s: float) -> str:
        """Drain, waiting at most ``deadline_s`` seconds; return a report as JSON."""

    def close(self) -> None:
        """End the gate at once; a second call does nothing."""

def check_plan(plan: bytes) -> None:
    """Refuse what :meth:`Gate.start` would refuse, binding nothing. Raises :exc:`GateError`."""

def replay(path: str | PathLike[str]) -> str:
    """Replay the trace in a file (``tidegate gate record``); return what was found as JSON.

    The JSON has ``format``, ``service``, ``version``, ``events``, ``decisions``, ``identical`` and ``first_difference``
    (null, or ``event``, ``at_s``, ``told``, ``said``). :exc:`TraceError` when it is no whole trace of this format.
    """

def reasons() -> list[str]:
    """Return the words for why a call is turned away, in order of declaration."""

def classes() -> list[str]:
    """Return the words for the classes, in order of rank."""

def ends() -> list[str]:
    """Return every ``who/step`` with which a call may end."""
