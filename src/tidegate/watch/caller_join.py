"""From counted lines to callers: what a session, an address or a failed login belongs to.

Login events show user, address and user agent; later lines show less, and are laid to the caller that logged in. What
cannot be laid to anybody stays a caller of its own, with the unknown parts None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Caller", "Counted", "gather"]

CLIP = 240
"""Characters of a name that comes from a log, at most."""

_Tally = Mapping[str, Any]


@dataclass
class Counted:
    """How often one thing was seen: in all, by minute since 1970, and by name."""

    total: int = 0
    minutes: Counter[int] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)

    def add(self, tally: _Tally) -> None:
        """Add what a tally of the scan counted."""
        self.total += int(tally["total"])
        self.minutes.update({int(minute): int(count) for minute, count in tally.get("minutes") or ()})
        self.by.update({str(name): int(count) for name, count in (tally.get("by") or {}).items()})

    def join(self, others: Iterable[Counted]) -> Counted:
        """Add others to this one, and return it."""
        for other in others:
            self.total += other.total
            self.minutes.update(other.minutes)
            self.by.update(other.by)
        return self

    @property
    def peak(self) -> int:
        """The most in one minute; 0 when no times are known."""
        return max(self.minutes.values(), default=0)


@dataclass
class Caller:
    """One caller and what it did. ``session`` is the head of an id, only where nothing else is known."""

    user: str | None = None
    ip: str | None = None
    agent: str | None = None
    session: str | None = None
    logins: Counted = field(default_factory=Counted)
    logouts: Counted = field(default_factory=Counted)
    failed: Counted = field(default_factory=Counted)
    begun: Counted = field(default_factory=Counted)
    requests: Counted = field(default_factory=Counted)
    first: int | None = None
    last: int | None = None

    def add(self, to: Counted, tally: _Tally) -> None:
        """Count a tally to one of this caller's own counters, and widen its time."""
        to.add(tally)
        times = [time for time in (self.first, self.last, tally.get("first"), tally.get("last")) if time is not None]
        self.first, self.last = (min(times), max(times)) if times else (None, None)

    @property
    def invocations(self) -> int:
        """API calls of its ended sessions, as their logout lines say."""
        return sum(
            int(calls) * count
            for calls, count in self.logouts.by.items()
            if calls.isascii() and calls.isdecimal() and len(calls) < 19
        )

    @property
    def named(self) -> bool:
        """Whether more than a session is known of it."""
        return bool(self.user or self.ip)


class _Known:
    """Callers that logged in, by what later lines show of them. Of several the one with most logins is meant."""

    def __init__(self, found: Iterable[Caller]) -> None:
        self._at: dict[tuple[str, str | None], Caller] = {}
        self._ip: dict[str | None, list[Caller]] = {}
        for one in sorted(found, key=lambda one: one.logins.total, reverse=True):
            self._at.setdefault(((one.user or "").lower(), one.ip), one)
            self._ip.setdefault(one.ip, []).append(one)

    def at(self, user: str | None, ip: str | None) -> Caller | None:
        return self._at.get(((user or "").lower(), ip))

    def with_agent(self, ip: str | None, agent: str | None) -> Caller | None:
        """Return the caller at an address that has this agent, or that is the only one there."""
        there = self._ip.get(ip, []) if ip else []
        if agent:
            there = [one for one in there if one.agent == agent] or there
        return there[0] if len(there) == 1 else None


def gather(tallies: Iterable[_Tally]) -> list[Caller]:
    """Return all callers that the tallies of :data:`~tidegate.watch.caller_lines.TALLIES` show."""
    of: dict[str, list[_Tally]] = {}
    for tally in tallies:
        of.setdefault(str(tally["tally"]), []).append(tally)
    found: dict[tuple[str | None, ...], Caller] = {}

    def at(user: str | None, ip: str | None, agent: str | None = None, session: str | None = None) -> Caller:
        return found.setdefault((user, ip, agent, session), Caller(user, ip, agent, session))

    for what in ("login", "logout"):
        for tally in of.get(f"caller/{what}", ()):
            one = at(_name(tally, "user"), _name(tally, "ip"), _name(tally, "agent"))
            one.add(one.logins if what == "login" else one.logouts, tally)
    known = _Known(found.values())
    for tally in of.get("caller/failed-login", ()):
        user, ip = _name(tally, "user"), _name(tally, "ip")
        one = known.at(user, ip) or at(user, ip)
        one.add(one.failed, tally)
    owners = {
        str(tally["key"].get("session")).lower(): (_name(tally, "user"), _name(tally, "ip"))
        for tally in of.get("caller/session", ())
    }
    for tally in of.get("caller/call", ()):
        ids = str(tally["key"].get("session") or "").lower().rstrip(")").split("(")
        owner = next((owners[session] for session in ids if session in owners), None)
        one = (known.at(*owner) or at(*owner)) if owner else at(None, None, None, ids[0][:8])
        one.add(one.begun, tally)
    for what in ("caller/request", "caller/request-vmware"):
        for tally in of.get(what, ()):
            ip, agent = _name(tally, "ip"), _name(tally, "agent")
            one = known.with_agent(ip, agent) or at(None, ip, agent)
            one.add(one.requests, tally)
    return list(found.values())


def _name(tally: _Tally, part: str) -> str | None:
    """Return a part of the key as one short name, or None when the log has none there."""
    text = str(tally["key"].get(part) or "").strip()
    if part == "agent":
        text = text.removeprefix(", user agent: ").strip()
    elif part == "ip":
        # X-Forwarded-For may be a list: the client is its first entry, and is as true as who sent it
        text = text.split(",")[0].strip().strip("[]")
    return None if text in {"", "-"} else text[:CLIP]
