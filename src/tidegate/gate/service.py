"""The handle of a gate that runs in this process.

The gate itself is Rust: two threads with runtimes of their own, one for the traffic and one for health, metrics and
switches. Python hands over a plan and gets a handle back; nothing on the data path comes back here, so the gate keeps
gating while Python sleeps. :class:`Gate` only turns a :class:`~tidegate.config.model.Config` into a plan, and Rust's
errors into the tree of ``tidegate.errors``.
"""

from __future__ import annotations

import json
import socket
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tidegate.compiled import load_core
from tidegate.config.model import Config
from tidegate.config.plan import Known, compile_plan
from tidegate.gate import vasa, vcenter
from tidegate.gate.core import translated
from tidegate.gate.inherit import Inherited
from tidegate.units import Duration

if TYPE_CHECKING:
    from tidegate import _core

__all__ = ["Gate", "check_learned", "check_plan", "plan_for"]

_DRAIN = Duration.parse("30s")
_KNOWN = Known(vasa.OPERATIONS, vasa.DEFAULT, vcenter.OPERATIONS, vcenter.DEFAULT)


def plan_for(config: Config) -> bytes:
    """Return the plan that Rust gets for ``config``, as JSON; windows of time in it begin now."""
    return compile_plan(config, _KNOWN, time.time())


def check_plan(config: Config) -> None:
    """Let Rust look at the plan for ``config`` without binding anything.

    Raises
    ------
    GateError
        When :meth:`Gate.start` would refuse it.
    """
    with translated():
        load_core().check_plan(plan_for(config))


def check_learned(config: Config, learned: dict[str, dict[str, Any]]) -> None:
    """Let Rust look whether a gate with ``config`` may begin with what was ``learned``, by service.

    Raises
    ------
    GateError
        When :class:`Gate` would refuse it.
    """
    with translated():
        load_core().check_learned(plan_for(config), json.dumps(learned).encode())


class Gate:
    """A running gate. Close it, or use it as a context manager.

    Every method may be called from any thread, and none holds the GIL while it waits.
    """

    def __init__(
        self,
        config: Config,
        learned: dict[str, dict[str, Any]] | None = None,
        inherited: Inherited | None = None,
    ) -> None:
        """Start the gate: everything is checked and bound, or nothing is.

        Parameters
        ----------
        learned
            What :meth:`learned` returned when an earlier gate ended.
        inherited
            What another process hands over; its sockets are the gate's, also when this fails.

        Raises
        ------
        GateError
            When the plan or what was learned is refused, an address is in use, or the process may open too few files.
        """
        known = json.dumps(learned).encode() if learned else None
        given = inherited or Inherited()
        with translated():
            self._core: _core.Gate = load_core().Gate.start(
                plan_for(config),
                known,
                [(service, listen, one.detach()) for service, listen, one in given.sockets],
                given.admin.detach() if given.admin else None,
                given.known or None,
                given.replaces,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def apply(self, config: Config) -> dict[str, Any]:
        """Swap the whole plan; return what changed and what became of the calls that were held.

        Raises
        ------
        GateError
            When the new plan is refused; the old one stays.
        """
        with translated():
            return _object(self._core.apply(plan_for(config)))

    def datastores(self, look: str) -> None:
        """Tell a service what its vCenter's counters say, as JSON of ``gate/latency.py``.

        Raises
        ------
        GateError
            When it is refused, or there is no such service.
        """
        with translated():
            self._core.datastores(look)

    def addresses(self) -> dict[str, str]:
        """Return where each service listens, as ``HOST:PORT`` by service."""
        return dict(self._core.addresses())

    def learned(self) -> dict[str, dict[str, Any]]:
        """Return what each service has learned: limits, costs, patience."""
        return _object(self._core.learned())

    def status(self) -> dict[str, Any]:
        """Return the state of every service and server, format 1 (docs/guides)."""
        return _object(self._core.status())

    def explain(
        self, *, client: str | None = None, service: str | None = None, call: int | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Return the newest decisions, newest first, at most ``limit`` (1 to 2048)."""
        query = {"client": client, "service": service, "call": call, "limit": limit}
        answer = _object(self._core.explain(json.dumps(query).encode()))
        return list(answer["calls"])

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        return self._core.metrics()

    def maintenance(self, on: bool, service: str | None = None) -> None:
        """Announce (or end) a planned restart of one service's servers, or of all.

        Raises
        ------
        GateError
            When there is no such service.
        """
        with translated():
            self._core.maintenance(service, on)

    def bypass(self, on: bool, service: str | None = None) -> None:
        """Let everything pass (or end that) for one service, or for all.

        Raises
        ------
        GateError
            When there is no such service.
        """
        with translated():
            self._core.bypass(service, on)

    def drain(self, deadline: Duration = _DRAIN) -> dict[str, Any]:
        """Take nothing new, turn away what is held, wait for what is in flight; return what was left."""
        return _object(self._core.drain(deadline.seconds))

    def listeners(self) -> tuple[list[tuple[str, str, socket.socket]], socket.socket | None]:
        """Return service, address in the file and listening socket of each service, and the admin's TCP socket.

        They are second handles, the caller's to close.
        """
        every = [(name, listen, socket.socket(fileno=number)) for name, listen, number in self._core.listeners()]
        admin = next((one for name, _, one in every if not name), None)
        return [one for one in every if one[0]], admin

    def known(self) -> bytes:
        """Return the sessions of each service and the source ports in use, for a gate that takes over."""
        return self._core.known().encode()

    def retire(self) -> None:
        """Accept no more; serve who is here and what is held, close each client with its next answer."""
        self._core.retire()

    def left(self) -> dict[str, Any]:
        """Give up slots that a retired gate needs no more; return its ``clients``, ``calls``, and ``slots`` in use."""
        return _object(self._core.left())

    def share(self, service: str, server: str, used: int) -> None:
        """Note how many slots of a server the gate that was taken over from still uses."""
        self._core.share(service, server, used)

    def share_no_more(self) -> None:
        """Note that the gate that was taken over from has ended."""
        self._core.share_no_more()

    def close(self) -> None:
        """End the gate at once. May be called twice."""
        self._core.close()


def _object(text: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    return value
