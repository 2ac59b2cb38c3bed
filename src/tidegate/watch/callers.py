"""Who storms: the callers behind the counted lines, what they do per minute, and the one that stands out.

A caller is a user at an address with a user agent, as its login event shows it. Calls carry a session only; the
profiler's lines join the two where they are there. What cannot be joined is shown as what it is: a session without a
user, an address without one. Nothing here keeps a session's whole id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tidegate.watch.caller_join import Caller, Counted, gather
from tidegate.watch.caller_lines import LOGIN_OPERATIONS, TALLIES
from tidegate.watch.coverage import iso

__all__ = ["TALLIES", "callers"]

Json = dict[str, Any]

TOP = 10
"""Callers that are told one by one; our number: a screenful."""
OPERATIONS = 5
"""Operations told of each caller."""
POINTS = 720
"""Points of a curve at most: twelve hours by the minute, longer spans in longer steps."""

RATE = {"logins": 60, "calls": 6_000}
"""Per minute, from one caller, at its peak: a storm whoever else is there.

Our numbers. A vCenter up to 8.0 U2 holds 2000 sessions, and one that is left open stays 30 minutes: 60 logins a minute
that nobody ends are 1800 sessions, nine tenths of all. 6000 calls a minute are 100 a second; vCenter serves 640 at
once, so that is all it can do when a call takes 6.4 s, as calls in an overload do.
"""
FLOOR = {"logins": 10, "calls": 600}
"""Per minute, from one caller, at its peak: below it a share means nothing. Our numbers, a sixth and a tenth of `RATE`.

In a quiet log somebody always makes more than half of the calls.
"""
SHARE = 0.5
"""One caller that makes more than this part of all is named: the rest together makes less."""


def callers(tallies: Sequence[Mapping[str, Any]], span: tuple[int, int] | None = None, *, cut: int = 0) -> Json | None:
    """Return who calls, as JSON, or None when no line of a caller was seen.

    Parameters
    ----------
    tallies
        The scan result's ``tallies``; those of other ids are passed over.
    span
        First and last time of what was read, in ns since 1970, for the means; without it the callers' own lines.
    cut
        How much the scan left out of its counts, its ``cut.keys``: the numbers of single callers are then low.

    Returns
    -------
    dict or None
        ``from`` and ``to`` (ISO 8601 or null) and ``minutes`` (at least 1);
        ``totals``: ``callers``, ``logins``, ``logins_from`` (events, calls, none), ``logouts``, ``failed_logins``,
        ``left_open`` (null without login events), ``calls``, ``calls_from`` (vpxd, access, logout, none),
        ``calls_without_user``, ``begun``, ``finished``, ``errors``;
        ``series``: ``step_s``, ``logins`` and ``calls`` as [[second since 1970, count in the step], …];
        ``operations``: at most 10 of ``name``, ``calls``;
        ``top``: at most 10 of ``user``, ``ip``, ``agent``, ``session`` (the head of the id of a caller that is not
        known otherwise), ``local`` (vCenter's own), ``logins``, ``logouts``, ``failed_logins``, ``left_open``,
        ``calls``, ``logins_per_minute`` and ``calls_per_minute`` (``mean``, ``peak``, null when times are not known),
        ``share_of_logins``, ``share_of_calls`` (0 to 1), ``operations`` (at most 5), ``first``, ``last``;
        ``stands_out``: null, or ``by`` (caller, user, ip, agent), ``user``, ``ip``, ``agent``, ``session``, ``of``
        (logins, calls), ``count``, ``share``, ``peak``, ``callers``, ``why`` (rate, share), ``says`` (a sentence);
        ``notes``: sentences about what the numbers do not hold.
    """
    ours = [tally for tally in tallies if str(tally.get("tally", "")).startswith("caller/")]
    found = gather(ours)
    begun = _by_key(ours, "caller/operation", "op")
    if not found and not begun:
        return None
    numbers = _Numbers(found, begun)
    first, last = span or _own_span(ours)
    minutes = max(1.0, (last - first) / 60e9) if first is not None and last is not None else 1.0
    step = max(1, -(-int(minutes) // POINTS))
    ended = {how: counted.total for how, counted in _by_key(ours, "caller/ended", "how").items()}
    return {
        "from": iso(first, "seconds"),
        "to": iso(last, "seconds"),
        "minutes": round(minutes, 1),
        "totals": numbers.totals()
        | {
            "begun": sum(counted.total for counted in begun.values()),
            "finished": ended.get("FINISH", 0),
            "errors": ended.get("ERROR", 0),
        },
        "series": {
            "step_s": 60 * step,
            "logins": _series(numbers.logins, step),
            "calls": _series(numbers.calls, step),
        },
        "operations": _operations(numbers.calls.by, TOP),
        "top": [numbers.told(one, minutes) for one in numbers.ordered()[:TOP]],
        "stands_out": numbers.stands_out(),
        "notes": numbers.notes(cut),
    }


class _Numbers:
    """The numbers of all callers, and where they come from.

    ``calls_from``: *vpxd* counts calls that began, *access* requests of a proxy, *logout* what ended sessions say they
    called. They measure different things and are never added; the first that can be laid to callers is taken.
    """

    def __init__(self, found: list[Caller], begun: Mapping[str, Counted]) -> None:
        self.found = found
        served = {op: counted for op, counted in begun.items() if op.startswith(("vim.", "vmodl."))}
        self.events = any(one.logins.total for one in found)
        if self.events:
            self.logins = Counted().join(one.logins for one in found)
        else:
            self.logins = Counted().join(counted for op, counted in served.items() if op in LOGIN_OPERATIONS)
            for one in found:
                one.logins.total = sum(one.begun.by[op] for op in LOGIN_OPERATIONS)
        all_begun = Counted().join(served.values()) if served else Counted().join(one.begun for one in found)
        all_begun.by = Counter({op: counted.total for op, counted in served.items()}) or all_begun.by
        requests = Counted().join(one.requests for one in found)
        joined = sum(one.begun.total for one in found if one.named)
        if all_begun.total and (not requests.total or 2 * joined >= all_begun.total):
            self.calls_from, self.calls = "vpxd", all_begun
        elif requests.total:
            self.calls_from, self.calls = "access", requests
        else:
            self.calls = Counted(sum(one.invocations for one in found))
            self.calls_from = "logout" if self.calls.total else "none"

    def of(self, what: str, one: Caller) -> Counted:
        """Return one caller's logins or calls."""
        if what == "logins":
            return one.logins
        by = {"vpxd": one.begun, "access": one.requests}
        return by[self.calls_from] if self.calls_from in by else Counted(one.invocations)

    def all(self, what: str) -> Counted:
        return self.logins if what == "logins" else self.calls

    def ordered(self) -> list[Caller]:
        """Return the callers, those that storm most first: by the larger of the two shares.

        Calls that only logouts tell of do not count here: who never leaves would come last.
        """
        shared = ("logins", "calls") if self.calls_from in {"vpxd", "access"} else ("logins",)

        def weight(one: Caller) -> tuple[float, int, int]:
            shares = [self.of(what, one).total / (self.all(what).total or 1) for what in shared]
            return (-max(shares), -one.logins.total, -one.failed.total)

        return sorted(self.found, key=lambda one: (weight(one), one.user or "", one.ip or "", one.agent or ""))

    def totals(self) -> Json:
        source = "events" if self.events else "calls"
        return {
            "callers": sum(1 for one in self.found if one.named),
            "logins": self.logins.total,
            "logins_from": source if self.logins.total else "none",
            "logouts": sum(one.logouts.total for one in self.found),
            "failed_logins": sum(one.failed.total for one in self.found),
            "left_open": sum(_left_open(one) for one in self.found) if self.events else None,
            "calls": self.calls.total,
            "calls_from": self.calls_from,
            "calls_without_user": self.calls.total - sum(self.of("calls", one).total for one in self.found if one.user),
        }

    def told(self, one: Caller, minutes: float) -> Json:
        calls = self.of("calls", one)
        return {
            **_who(one),
            "local": _is_local(one.ip),
            "logins": one.logins.total,
            "logouts": one.logouts.total,
            "failed_logins": one.failed.total,
            "left_open": _left_open(one) if self.events else None,
            "calls": calls.total,
            "logins_per_minute": _rate(one.logins, minutes),
            "calls_per_minute": _rate(calls, minutes),
            "share_of_logins": _share(one.logins.total, self.logins.total),
            "share_of_calls": _share(calls.total, self.calls.total),
            "operations": _operations(calls.by, OPERATIONS),
            "first": iso(one.first, "seconds"),
            "last": iso(one.last, "seconds"),
        }

    def stands_out(self) -> Json | None:
        """Return who storms: one caller if it is one, else a user, an address or an agent that many callers share."""
        for by, part in _GROUPS.items():
            groups: dict[Any, list[Caller]] = {}
            for one in self.found:
                if part(one):
                    groups.setdefault(part(one), []).append(one)
            for what in ("logins", "calls"):
                sums = [(Counted().join(self.of(what, one) for one in group), group) for group in groups.values()]
                counted, group = max(sums, key=lambda pair: pair[0].total, default=(Counted(), []))
                share = _share(counted.total, self.all(what).total)
                if counted.peak >= RATE[what] or (share > SHARE and counted.peak >= FLOOR[what]):
                    why = "rate" if counted.peak >= RATE[what] else "share"
                    return self._named(by, group, what, counted) | {"share": share, "why": why}
        return None

    def _named(self, by: str, group: list[Caller], what: str, counted: Counted) -> Json:
        shared = _who(group[0])
        if by != "caller":
            shared = {part: value if part == by else None for part, value in shared.items()}
        many = f", as {len(group)} callers," if len(group) > 1 else ""
        did = "opened" if what == "logins" else "made"
        things = "sessions" if what == "logins" else "calls"
        share = _share(counted.total, self.all(what).total)
        says = (
            f"{_spoken(shared)}{many} {did} {counted.total} of {self.all(what).total} {things} ({share:.0%}), "
            f"up to {counted.peak} in one minute."
        )
        left = sum(_left_open(one) for one in group)
        if what == "logins" and self.events and left:
            says += f" It left {left} of them open."
        return {"by": by, **shared, "of": what, "count": counted.total, "peak": counted.peak, "callers": len(group)} | {
            "says": says
        }

    def notes(self, cut: int) -> list[str]:
        notes = []
        if not self.events and self.logins.total:
            notes.append(
                "No login events were read; logins are counted from calls, and users and addresses are not known."
            )
        if any(one.session for one in self.found) and self.calls_from == "vpxd":
            notes.append(
                "Some calls show a session whose user is not known: vpxd-profiler logs, which name it, were not read "
                "or do not hold it."
            )
        if self.calls_from == "logout":
            notes.append(
                "Calls are what ended sessions say they made, some of them before this log begins; no times are known."
            )
        if cut:
            notes.append(
                f"The scan left out {cut} counts to stay within its limits: a caller may have done more than is told."
            )
        return notes


_GROUPS: dict[str, Callable[[Caller], Any]] = {
    "caller": lambda one: (one.user, one.ip, one.agent, one.session),
    "user": lambda one: one.user,
    "ip": lambda one: one.ip,
    "agent": lambda one: one.agent,
}


def _who(one: Caller) -> Json:
    return {"user": one.user, "ip": one.ip, "agent": one.agent, "session": one.session}


def _spoken(who: Json) -> str:
    """Return a caller in words: what is known of it, the user first."""
    if who["session"]:
        return f"Session {who['session']}…"
    if who["user"]:
        text = str(who["user"]) + (f" from {who['ip']}" if who["ip"] else "")
    else:
        text = f"A client at {who['ip']}" if who["ip"] else "Clients"
    return text + (f" ({who['agent']})" if who["agent"] else "")


def _left_open(one: Caller) -> int:
    """Return sessions without an end, as far as this log goes: those opened before it make the number low."""
    return max(0, one.logins.total - one.logouts.total)


def _is_local(ip: str | None) -> bool:
    return bool(ip) and (str(ip).startswith("127.") or ip in {"::1", "localhost"})


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _rate(counted: Counted, minutes: float) -> Json:
    return {"mean": round(counted.total / minutes, 2), "peak": counted.peak if counted.minutes else None}


def _operations(by: Mapping[str, int], most: int) -> list[Json]:
    ordered = sorted(by.items(), key=lambda item: (-item[1], item[0]))
    return [{"name": name, "calls": calls} for name, calls in ordered[:most]]


def _series(counted: Counted, step: int) -> list[list[int]]:
    """Return [[second since 1970, count], …] in steps of so many minutes, with zeros where the log is silent."""
    steps: Counter[int] = Counter()
    for minute, count in counted.minutes.items():
        steps[minute // step] += count
    if not steps:
        return []
    low, high = min(steps), max(steps)
    if high - low >= 2 * POINTS:  # times far apart, as of two years: the gap stays a gap
        return [[60 * step * at, steps[at]] for at in sorted(steps)[: 2 * POINTS]]
    return [[60 * step * at, steps[at]] for at in range(low, high + 1)]


def _by_key(tallies: Iterable[Mapping[str, Any]], tally_id: str, part: str) -> dict[str, Counted]:
    counts: dict[str, Counted] = {}
    for tally in tallies:
        if tally["tally"] == tally_id:
            counts.setdefault(str(tally["key"].get(part)), Counted()).add(tally)
    return counts


def _own_span(tallies: Iterable[Mapping[str, Any]]) -> tuple[int | None, int | None]:
    times = [int(tally[end]) for tally in tallies for end in ("first", "last") if tally.get(end) is not None]
    return (min(times), max(times)) if times else (None, None)
