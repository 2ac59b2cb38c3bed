"""The compiled part of tidegate: a gate, a limiter, storms in virtual time, a scanner, flows of TCP, lists of words.

Everything crosses the boundary as JSON with ``"format": 1`` or as plain numbers and texts. Every blocking call releases
the GIL. Nothing here calls back into Python, but for the progress of a simulation or a scan.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import final

__all__ = [
    "FlowWatch",
    "Gate",
    "GateError",
    "Limiter",
    "ScanError",
    "Scanner",
    "SpecError",
    "TraceError",
    "__version__",
    "analyse",
    "analyse_bytes",
    "build_info",
    "build_profile",
    "check_learned",
    "check_plan",
    "check_spec",
    "classes",
    "drill",
    "ends",
    "is_capture",
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

class ScanError(Exception):
    """A plan of a scan cannot be used.

    ``args`` is ``(message, hint)``: one sentence that names what is wrong, and what to do about it.
    """

    message: str
    hint: str

@final
class Gate:
    """A running gate: a thread for the traffic and one for health, metrics and switches."""

    @staticmethod
    def start(
        plan: bytes,
        learned: bytes | None = None,
        sockets: Sequence[tuple[str, str, int]] | None = None,
        admin: int | None = None,
        known: bytes | None = None,
        replaces: bool = False,
    ) -> Gate:
        """Check ``plan`` (JSON, format 1), bind everything, start; on :exc:`GateError` nothing is bound.

        ``learned`` is what :meth:`learned` returned when an earlier gate ended. ``sockets`` (service or empty, address
        in the plan, descriptor) and ``admin`` are listening sockets that are taken over, also when this fails.
        ``replaces``: another gate answers at the admin socket and has all slots until :meth:`share` says less.
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

    def datastores(self, look: str) -> None:
        """Take a look at a vCenter's counters, as JSON: ``service``, ``datastores`` with their latency, ``vms``.

        :exc:`GateError` when it cannot be read, or there is no such service.
        """

    def drain(self, deadline_s: float) -> str:
        """Drain, waiting at most ``deadline_s`` seconds; return a report as JSON."""

    def listeners(self) -> list[tuple[str, str, int]]:
        """Return ``(service, address in the plan, descriptor)`` per listening socket; service ``""``: the admin's."""

    def known(self) -> str:
        """Return the sessions of each service, and the source ports in use, as JSON."""

    def retire(self) -> None:
        """Accept no more; serve who is here."""

    def left(self) -> str:
        """Give up slots that are not needed any more; return ``clients``, ``calls`` and ``slots`` as JSON."""

    def share(self, service: str, server: str, used: int) -> None:
        """Note how many slots of a server another process still uses."""

    def share_no_more(self) -> None:
        """Note that the other process has gone."""

    def close(self) -> None:
        """End the gate at once; a second call does nothing."""

@final
class Limiter:
    """The admission machine of one service, for a driver in Python. Time is passed in, in seconds since any origin.

    A *decision* is ``(call, reason, retry_after_s)``: a held or new call is admitted (``reason`` is ``None``) or turned
    away. Every event returns what it has decided, and when :meth:`wake` wants to be called if nothing happens before.
    """

    def __new__(cls, plan: bytes, now: float, /) -> Limiter:
        """Begin with nothing held and nothing in flight; ``plan``: the ``admission`` part of a service, as JSON."""

    def arrive(
        self,
        now: float,
        client: str | None,
        role: str,
        operation: str | None,
        session: str | None,
        cost_milli: int,
        deadline: float | None,
        /,
    ) -> tuple[int, list[tuple[int, str | None, float]], float | None]:
        """Return the call's number, decisions (the call's own first; none: it is held), and when to wake."""

    def client_gone(self, now: float, call: int, /) -> tuple[list[tuple[int, str | None, float]], float | None]:
        """Tell that a call's client has left."""

    def done(
        self, now: float, call: int, outcome: str, opened: str | None, /
    ) -> tuple[list[tuple[int, str | None, float]], float | None]:
        """Give back the slot of an admitted call: ``answered``, ``overload``, ``broken`` or ``incomplete``."""

    def wake(self, now: float, /) -> tuple[list[tuple[int, str | None, float]], float | None]:
        """Tell that the time has come."""

    def snapshot(self, now: float, /) -> str:
        """Return counters and gauges as JSON."""

@final
class Scanner:
    """Signatures, tallies and marks, ready to be found in logs, archives and text; many threads may use it."""

    def __new__(cls, plan: bytes) -> Scanner:
        """Compile ``plan`` (JSON, format 1). Raises :exc:`ScanError`."""

    def scan(
        self,
        paths: Sequence[str | PathLike[str]],
        *,
        stdin: bool = False,
        threads: int = 2,
        progress: Callable[[int, int], object] | None = None,
    ) -> str:
        """Read ``paths`` (files, folders, archives) and, if asked, standard input; return a result as JSON, format 1.

        The JSON has ``members``, ``hits``, ``tallies``, ``marks``, ``dumps``, ``captures`` (``member``, and its
        ``report`` as of :func:`analyse`), ``troubles`` and ``cut`` (how much the plan's limits left out). Times are
        nanoseconds since 1970. The same inputs give the same result, whatever ``threads`` is. ``progress`` is called at
        once and then about ten times a second with the bytes read and the bytes to read (0: unknown); what it raises
        ends the scan.
        """

    def scan_text(self, name: str, data: bytes, cut: int | None = None) -> str:
        """Scan one text, as if it came in two reads with the second from byte ``cut`` on; return as :meth:`scan`."""

@final
class FlowWatch:
    """What is known of the flows that pass an interface; on Linux only. At most a million flows are kept at a time."""

    def __init__(self) -> None: ...
    def read(self, socket: int, seconds: float) -> bool:
        """Read from a packet socket for 0 to 60 ``seconds``, or until a signal comes; False: its interface is down.

        The socket (its descriptor stays the caller's) is of type ``SOCK_DGRAM`` with ``SO_TIMESTAMPNS`` and
        ``PACKET_AUXDATA`` on, and a receive timeout: how much longer than ``seconds`` it may take. Raises
        :exc:`OSError` when it cannot be read.
        """

    def report(self) -> str:
        """Return what is known as JSON: ``packets``, ``skipped`` (counts by reason), ``report`` (format 1)."""

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

def analyse(
    paths: Sequence[str | PathLike[str]],
    *,
    stdin: bool = False,
    together: bool = True,
    each: bool = False,
    shards: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> str:
    """Read the captures below ``paths`` and, if asked, standard input; return what they say of TCP as JSON, format 1.

    ``together``: their packets in the order of time, as one capture with one report; else each capture has its own.
    The JSON has ``reports`` (1000 at most, ``unreported`` counts the others), ``not_captures`` (``count``, and at
    most 1000 ``paths``) and ``troubles`` (``path``, ``what``, ``detail``). A report has ``files`` (``path``,
    ``format``, ``ended``, ``detail``, ``packets``, ``records``, ``skipped`` by reason, ``flows``, ``states``,
    ``outcomes``, ``from``, ``to``), ``from``, ``to``, ``packets``, ``unplaced``, ``flows``, ``live``, ``states``,
    ``conn_states`` (Zeek's), ``notes``, ``handshakes``, ``half_open``, ``buckets``, ``found`` (``finding``,
    ``severity``, ``confidence``, ``outcome``, ``count``, ``first``, ``last``, ``frames``, ``groups``, ``facts``,
    ``timeline``, ``ladder``), ``withheld``, ``evicted``, ``refused``, ``bytes_per_flow``, and with ``each`` a line
    per incarnation of a flow. Times are nanoseconds since 1970, frames count from 1. The same captures give the same
    report, whatever ``shards`` is. ``progress`` is as in :meth:`Scanner.scan`.
    """

def analyse_bytes(name: str, data: bytes, *, each: bool = False) -> str:
    """Return the report of one capture, which is there already; ``name`` is its path in the report."""

def is_capture(head: bytes) -> bool:
    """Tell whether a file that begins with these bytes, 12 of them, is a capture (pcap or pcapng)."""

def drill(seed: int, flows: int) -> str:
    """Force every state on flows that the fast path forwards, flip policies, flood the table; return counts as JSON.

    The same ``seed`` (0 to 2**64 - 1) plays the same. ``flows``: 1 to 100 000, else the nearer of the two. The JSON has
    ``established``, ``forced``, ``forced_half_open_under_fast_entry``, ``revalidated``, ``recreated``, ``anomalies``,
    ``flood``, ``crashes``, ``dropped`` and ``established_lost``.
    """

def reasons() -> list[str]:
    """Return the words for why a call is turned away, in order of declaration."""

def classes() -> list[str]:
    """Return the words for the classes, in order of rank."""

def ends() -> list[str]:
    """Return every ``who/step`` with which a call may end."""
