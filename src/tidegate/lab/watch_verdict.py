"""What was told beside what had to be told: lost, spurious, said again with a known key, and how soon.

An alert is told when both receivers were: the web hook by a post of its own, Alertmanager by its labels. It belongs to
the expected episode of its rule and scope that holds at its time; where late records come the first that is told may be
a later one of the episode, and it may never lie outside. What is said to be over must be right in every figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.lab.watch_expected import Expected, Scope
from tidegate.lab.watch_sink import ALERTS, Post

__all__ = ["Told", "Verdict", "judge", "told_by"]

_SCOPE = "scope_"


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a receiver was told; times in nanoseconds since 1970, ``None`` where nothing was said of it."""

    received: int
    key: str
    what: str
    rule: str
    scope: Scope
    at: int
    until: int | None = None
    count: int | None = None


@dataclass(slots=True)
class Verdict:
    """What came of it."""

    lost: list[Expected] = field(default_factory=list)
    spurious: list[Told] = field(default_factory=list)
    wrong: list[Told] = field(default_factory=list)
    """Said to be over, with another beginning, end or count than it had."""
    alerts: int = 0
    """Alerts with a key of their own."""
    cleared: int = 0
    repeats: int = 0
    """Posts whose key was known already."""
    first: dict[Expected, int] = field(default_factory=dict)
    """When the web hook was first told of each."""

    @property
    def times_to_alert_ms(self) -> list[float]:
        """From the record by which an alert could first be known, until it was received; in order of size."""
        return sorted((at - expected.known) / 1e6 for expected, at in self.first.items())


def told_by(post: Post) -> list[Told]:
    """Return what a post says."""
    if post.path == ALERTS:
        return [_by_labels(post, alert) for alert in post.body]
    body = post.body
    scope = tuple(sorted(body["scope"].items()))
    times = (_time(body["at"]), _time(body["until"]))
    return [Told(post.at, post.key, body["what"], body["rule"], scope, *times, body["count"])]


def _by_labels(post: Post, alert: dict[str, dict[str, str]]) -> Told:
    labels = alert["labels"]
    scope = sorted((name.removeprefix(_SCOPE), value) for name, value in labels.items() if name.startswith(_SCOPE))
    return Told(post.at, "", "opened", labels["rule"], tuple(scope), _time(str(alert["startsAt"])))


def judge(expected: Sequence[Expected], posts: Iterable[Post]) -> Verdict:
    """Return what came of it, once nothing more is to come."""
    verdict, keys = Verdict(), dict[str, Expected | None]()
    by_labels: set[Expected] = set()
    known: dict[tuple[str, Scope], list[Expected]] = {}
    for one in expected:
        known.setdefault((one.rule, tuple(sorted(one.scope))), []).append(one)
    for told in (told for post in posts for told in told_by(post)):
        met = next((one for one in known.get((told.rule, told.scope), []) if one.at <= told.at <= one.until), None)
        if not told.key:
            if met is None:
                verdict.spurious.append(told)
            else:
                by_labels.add(met)
            continue
        if told.key in keys:
            verdict.repeats += 1
            if keys[told.key] != met:
                verdict.spurious.append(told)
            continue
        keys[told.key] = met
        _once(verdict, told, met)
    verdict.lost = [one for one in expected if one not in verdict.first or one not in by_labels]
    return verdict


def _once(verdict: Verdict, told: Told, met: Expected | None) -> None:
    """Take what is said for the first time."""
    if met is None or (told.what == "opened" and met in verdict.first):
        verdict.spurious.append(told)
        return
    if told.what == "opened":
        verdict.alerts += 1
        verdict.first[met] = told.received
    elif told.what == "cleared":
        verdict.cleared += 1
        if (told.at, told.until, told.count) != (met.at, met.until, met.count):
            verdict.wrong.append(told)


def _time(text: str) -> int:
    """Return a time of RFC 3339 in nanoseconds since 1970; records have it to the millisecond."""
    return round(datetime.fromisoformat(text).timestamp() * 1000) * 10**6
