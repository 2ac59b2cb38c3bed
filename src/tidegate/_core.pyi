"""The compiled part of tidegate: a handle for the gate, storms in virtual time, and the closed lists of words.

Everything crosses the boundary as JSON with ``"format": 1`` or as plain numbers and texts. Every blocking call releases
the GIL. Nothing here calls back into Python, but for the progress of a simulation.
"""

from collections.abc import Callable
from os import PathLike
from typing import final

__all__ = [
    "Gate",
    "GateError",
    "SpecError",
    "TraceError",
    "__version__",
    "build_info",
    "build_profile",
    "check_learned",
    "check_plan",
    "check_spec",
    "classes",
    "ends",
    "reasons",
    "replay",
    "simulate",
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

class SpecError(Exception):
    """A spec or a policy cannot be played.

    ``args`` is ``(message, path, hint)``: one sentence, the path of the field, and what to do about it.
    """

    message: str
    path: str
    hint: str

@final
class Gate:
    """A running gate: a thread for the traffic and one for health, metrics and switches."""

    @staticmethod
    def start(plan: bytes, learned: bytes | None = None) -> Gate:
        """Check ``plan`` (JSON, format 1), bind everything, start; on :exc:`GateError` nothing is bound.

        ``learned`` is what :meth:`learned` returned when an earlier gate ended.
        """

    def apply(self, plan: bytes) -> str:
        """Swap the plan whole; return a report as JSON. On :exc:`GateError` the old plan stays."""

    def addresses(self) -> list[tuple[str, str]]:
        """Return ``(service, "HOST:PORT")`` for every service, as bound."""

    def learned(self) -> str:
        """Return what each service has learned, by name, as JSON."""

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

def check_learned(plan: bytes, learned: bytes) -> None:
    """Raise :exc:`GateError` when a gate with ``plan`` may not begin with what was ``learned``."""

def check_spec(spec: bytes) -> None:
    """Refuse what :func:`simulate` would refuse, playing nothing. Raises :exc:`SpecError`."""

def simulate(spec: bytes, policy: str | bytes, progress: Callable[[float], object] | None = None) -> str:
    """Play ``spec`` (JSON, format 1) under ``policy`` (its name, or JSON); return a report as JSON.

    ``progress`` is called about ten times a second with the share that is over, 0 to 1; what it raises ends the run.
    Raises :exc:`SpecError`.
    """

def reasons() -> list[str]:
    """Return the words for why a call is turned away, in order of declaration."""

def classes() -> list[str]:
    """Return the words for the classes, in order of rank."""

def ends() -> list[str]:
    """Return every ``who/step`` with which a call may end."""
