"""The sessions of the lab's vCenter: their cookies are not their keys, and idle ones end."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from dataclasses import dataclass, field

__all__ = ["Session", "Sessions", "Wait"]


@dataclass(slots=True, eq=False)
class Wait:
    """A wait for updates that is not answered yet: its property collector, and how often the session had cancelled."""

    collector: str
    after: int


@dataclass(slots=True, eq=False)
class Session:
    """One session. ``key`` is the simulator's own cookie, and the ``UserSession.key`` that clients see."""

    cookie: str
    key: str
    user: str
    login: bytes
    """The body that made it: a clone of it is a session of its own at the simulator."""
    made: float
    used: float
    collector: str = ""
    """The simulator's property collector that stands for the default one here."""
    histories: set[str] = field(default_factory=set)
    """History collectors that it holds."""
    pages: dict[str, str] = field(default_factory=dict)
    """By property collector: the token of its last result."""
    waits: set[Wait] = field(default_factory=set)
    cancelled: int = 0
    """How often all its waits were cancelled."""
    locks: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By property collector: calls on one are served one after another (vsphere.md §2.5)."""
    tickets: set[str] = field(default_factory=set)
    """Clone tickets that it has given and that nobody used."""
    shown: dict[str, str] = field(default_factory=dict)
    """What its ``UserSession`` says instead of what it said at login, by element."""


class Sessions:
    """All of them.

    Parameters
    ----------
    idle_s
        One that is not used for so many seconds ends.
    """

    def __init__(self, idle_s: float) -> None:
        self.idle_s = idle_s
        self.peak = 0
        self._by_cookie: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._by_cookie)

    def open(self, key: str, user: str, login: bytes, now: float) -> Session:
        """Make one for a login that the simulator has let in."""
        session = Session(secrets.token_hex(20), key, user, login, now, now)
        self._by_cookie[session.cookie] = session
        self.peak = max(self.peak, len(self._by_cookie))
        return session

    def find(self, cookie: str, now: float) -> Session | None:
        """Return a live one and note that it is used."""
        session = self._by_cookie.get(cookie)
        if session is not None:
            if self._idle(session, now):
                return None
            session.used = now
        return session

    def by_key(self, key: str) -> Session | None:
        """Return the one with that key."""
        return next((one for one in self._by_cookie.values() if one.key == key), None)

    def by_ticket(self, ticket: str) -> Session | None:
        """Return the one that has given a clone ticket."""
        return next((one for one in self._by_cookie.values() if ticket in one.tickets), None)

    def end(self, session: Session) -> bool:
        """Forget one; return whether it was there."""
        return self._by_cookie.pop(session.cookie, None) is not None

    def idle(self, now: float) -> list[Session]:
        """Return those that were idle for too long."""
        return [one for one in self._by_cookie.values() if self._idle(one, now)]

    def of(self, user: str | None) -> list[Session]:
        """Return those of a user, or all."""
        return [one for one in self._by_cookie.values() if user is None or one.user == user]

    def _idle(self, session: Session, now: float) -> bool:
        """Say whether it was unused for too long; one that waits for updates is in use."""
        return now - session.used > self.idle_s and not session.waits
