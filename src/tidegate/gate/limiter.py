"""Admission inside a server: ``async with limiter.admit(...)``, on the machine that the gate runs on."""

from __future__ import annotations

import asyncio
import json
import secrets
from types import TracebackType
from typing import Any, Literal, Self, get_args

from pydantic import ValidationError

from tidegate.compiled import load_core
from tidegate.config.model import Admission, Role, Server
from tidegate.config.plan import admission_plan
from tidegate.errors import UsageError
from tidegate.gate.driver import Driver, Facts, Held
from tidegate.units import Duration

__all__ = ["Limiter", "Ticket"]

_NEVER_NS = 2**64 - 1
_KINDS = frozenset(get_args(Role))
# Between a caller in this process and the limiter there is no network that a margin would be for.
_DEFAULTS = Admission(margin=Duration.parse("0s"))


class Limiter:
    """Admits, holds and turns away calls inside one server process; belongs to the event loop of its first call.

    Parameters
    ----------
    limit
        How many calls may be in flight: ``"adaptive"`` finds out, ``"static:N"`` is told.
    mode
        ``"observe"`` decides and counts, but lets everything pass.
    admission
        Bounds and constants of time; the defaults are the gate's, with no margin. ``upstream_timeout`` and
        ``quarantine`` do not apply: a slot is given back when the body is over, never before.
    seed
        Of all randomness (spread of ``retry_after``); drawn when it is not given.

    Raises
    ------
    UsageError
        When ``limit`` is not a limit.
    GateError
        When the bounds contradict each other.
    """

    def __init__(
        self,
        limit: str = "adaptive",
        *,
        mode: Literal["observe", "enforce"] = "enforce",
        admission: Admission | None = None,
        seed: int | None = None,
    ) -> None:
        try:
            server = Server(address="localhost:0", limit=limit)  # of which the machine never hears the address
        except ValidationError as error:
            hint = 'write "adaptive" or for example "static:8"'
            raise UsageError(error.errors()[0]["msg"], hint=hint, slug="limit") from None
        seed = secrets.randbits(63) if seed is None else seed
        plan = admission_plan(admission or _DEFAULTS, mode, {"here": server}, seed)
        self._mode = mode
        self._driver = Driver(json.dumps(plan | {"upstream_timeout_ns": _NEVER_NS}).encode())

    def admit(  # noqa: PLR0913 (what there is to know of a call)
        self,
        *,
        client: str | None = None,
        kind: Role = "call",
        deadline: float | None = None,
        operation: str | None = None,
        cost: float = 1.0,
        session: str | None = None,
    ) -> Ticket:
        """Return a ticket for one call, to be used once with ``async with``.

        Entering waits for a slot; it raises :exc:`~tidegate.errors.TurnedAway` when there will be none in time. A task
        that is cancelled while it waits leaves the queue. Leaving the body gives the slot back.

        Parameters
        ----------
        client
            Who calls: held calls are fair between clients, and a client has at most ``held_per_client_max`` of them.
            ``None``: not known, a client of its own.
        kind
            What for; with the session it decides who goes first.
        deadline
            Seconds from now after which nobody waits for the answer any more (default: ``client_timeout``).
        operation
            What is called. What an operation costs is learned by this name, so there should be few of them.
        cost
            Expected work in units, until it is learned; opening a session is one unit.
        session
            The session that the call belongs to, by the token given to :meth:`Ticket.opened`.

        Raises
        ------
        UsageError
            When ``kind``, ``deadline`` or ``cost`` is impossible.
        """
        if not 0.0 < cost <= 1000.0:
            raise UsageError(f"cost must be more than 0 and at most 1000 units, not {cost:g}", slug="cost")
        if deadline is not None and not -_NEVER_NS < deadline < _NEVER_NS:
            raise UsageError(f"deadline must be a number of seconds, not {deadline:g}", slug="deadline")
        if kind not in _KINDS:
            raise UsageError(f'"{kind}" is not a kind of call; use one of {", ".join(sorted(_KINDS))}', slug="kind")
        return Ticket(self._driver, (client, kind, operation, session, max(1, round(cost * 1000))), deadline)

    def status(self) -> dict[str, Any]:
        """Return the state as a table with stable keys, format 1; may be called from any thread."""
        core = load_core()
        snapshot = self._driver.snapshot()
        server, counters = snapshot["servers"][0], snapshot["counters"]
        away = dict(zip(core.reasons(), counters["turned_away"], strict=True))
        held = dict(zip(core.classes(), snapshot["held"], strict=True))
        return {
            "format": 1,
            "mode": self._mode,
            "phase": server["phase"],
            "limit": server["limit"],
            "limit_mode": server["why"]["mode"],
            "limit_cause": server["why"]["cause"],
            "in_flight": server["in_flight"],
            "in_flight_max": server["in_flight_max"],
            "held": held,
            "held_total": sum(held.values()),
            "oldest_wait_s": snapshot["oldest"] / 1e9,
            "remaining": snapshot["remaining"],
            "counters": counters | {"turned_away": away, "turned_away_total": sum(away.values())},
        }


class Ticket:
    """One call: a context manager, and inside its body the place to say what became of it.

    Whoever cannot use ``async with`` calls :meth:`arrive`, :meth:`wait` if that said no, and :meth:`done`.
    """

    __slots__ = ("_call", "_deadline", "_driver", "_facts", "_held", "_opened", "_outcome", "_over", "_used")

    def __init__(self, driver: Driver, facts: Facts, deadline: float | None) -> None:
        self._driver = driver
        self._facts = facts
        self._deadline = deadline
        self._call = 0
        self._used = False
        self._held: Held | None = None
        self._outcome = "answered"
        self._opened: str | None = None
        self._over = True  # until the machine knows of the call

    async def __aenter__(self) -> Self:
        if not self.arrive():
            await self.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done(error)

    def overload(self) -> None:
        """Say that the work could not be done for want of capacity; an adaptive limit goes down."""
        self._outcome = "overload"

    def opened(self, session: str) -> None:
        """Say that the call has opened this session: its next calls go before those that open another one."""
        self._opened = session

    def arrive(self) -> bool:
        """Ask for a slot; return whether the call is admitted at once, else it is held.

        Raises
        ------
        TurnedAway
            There will be no slot in time.
        UsageError
            The ticket was used before, or the limiter belongs to another event loop.
        """
        if self._used:
            raise UsageError("a ticket is good for one call", hint="call limiter.admit() again", slug="used-ticket")
        self._used = True
        self._call, self._held = self._driver.arrive(self._facts, self._deadline)
        self._over = False
        return self._held is None

    async def wait(self) -> None:
        """Wait for the slot of a held call.

        Raises
        ------
        TurnedAway
            There was no slot in time.
        """
        if self._held is None:
            return
        admitted = False
        try:
            await self._driver.wait(self._call, self._held)
            admitted = True
        finally:
            self._over = not admitted
            self._held = None

    def done(self, error: BaseException | None = None) -> None:
        """Give the slot back; a second time does nothing.

        An error counts as broken work and brings an adaptive limit down, but for a cancellation, from which nothing is
        learned.
        """
        if self._over:
            return
        self._over = True
        outcome = self._outcome
        if error is not None and outcome == "answered":
            outcome = "incomplete" if isinstance(error, asyncio.CancelledError) else "broken"
        self._driver.done(self._call, outcome, self._opened)
