"""The sessions of the lab's vCenter: their cookies are not their keys, there is room for so many, and idle ones end."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Session", "Sessions"]


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
    collectors: set[str] = field(default_factory=set)
    """History collectors that it holds."""
    pages: dict[str, str] = field(default_factory=dict)
    """By property collector: the token of its last result."""
    waits: Counter[str] = field(default_factory=Counter)
    """By property collector: waits for updates that are not answered yet."""
    tickets: set[str] = field(default_factory=set)
    """Clone tickets that it has given and that nobody used."""


class Sessions:
    """All of them.

    Parameters
    ----------
    most
        Room for so many.
    idle_s
        One that is not used for so many seconds ends.
    """

    def __init__(self, most: int, idle_s: float) -> None:
        self.most, self.idle_s = most, idle_s
        self.peak = 0
        self._by_cookie: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._by_cookie)

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return len(self._by_cookie) >= self.most

    def open(self, key: str, user: str, login: bytes, now: float) -> Session:
        """Make one for a login that the simulator has let in."""
        session = Session(secrets.token_hex(20), key, user, login, now, now)
        self._by_cookie[session.cookie] = session
        self.peak = max(self.peak, len(self._by_cookie))
        return session

    def find(self, cookie: str, now: float) -> Session | None:
        """Return a live one and note that it is used."""
        session = self._by_cookie.get(cookie)
        if session is None or now - session.used > self.idle_s:
            return None
        session.used = now
        return session

    def by_key(self, key: str) -> Session | None:
        """Return the one with that key."""
        return next((one for one in self._by_cookie.values() if one.key == key), None)

    def by_ticket(self, ticket: str) -> Session | None:
        """Return the one that has given a clone ticket."""
        return next((one for one in self._by_cookie.values() if ticket in one.tickets), None)

    def end(self, session: Session) -> None:
        """Forget one."""
        self._by_cookie.pop(session.cookie, None)

    def ended(self, now: float) -> list[Session]:
        """Forget and return those that were idle for too long; one that waits for updates is not idle."""
        gone = [one for one in self._by_cookie.values() if now - one.used > self.idle_s and not one.waits.total()]
        for session in gone:
            self.end(session)
        return gone

    def of(self, user: str | None) -> list[Session]:
        """Return those of a user, or all."""
        return [one for one in self._by_cookie.values() if user is None or one.user == user]
