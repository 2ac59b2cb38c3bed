"""The life of an episode: opened, perhaps escalated, cleared.

A run of a window (see :mod:`tidegate.watch.live.windows`) lives from the moment at which its condition held first
until ``over`` after it held last. Runs of a group's windows in one scope whose lives touch are one episode.

- **opened** as soon as a run is seen, unless the scope's last episode is not cleared yet: a late event may still join
  the two, so the newer one waits.
- **updated** while it is open: it may begin earlier, last longer, and count more. That is not said to anyone by
  itself.
- **escalated** when a worse window fires, or when twice as many as were last told of are counted (count and distinct
  windows).
- **cleared** when the frontier is past the end of its life: no event can prolong it any more. Then its times are
  final.

An episode's key is that of the record which opened it. Where no record did (time passed, or it had to wait), it is
that of the moment at which it began.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tidegate.watch.findings import SEVERITIES
from tidegate.watch.live.groups import Group
from tidegate.watch.live.kept import Run
from tidegate.watch.live.model import Episode, Hit, Json, Notice, key_of

__all__ = ["Open", "ended"]

_EVIDENCE = 3
_RECORD = 2000
"""Characters of a record that are kept."""
_HOSTS = 200
"""Names of hosts that an episode shows."""
_HOSTS_COUNTED = 2000
"""Names of hosts that are kept, to count them."""


class Open:
    """An episode that is not cleared yet.

    Parameters
    ----------
    index
        Which window of the group speaks for it: the first of the worst that fired.
    """

    __slots__ = (
        "_lead",
        "_said",
        "at",
        "count",
        "end",
        "evidence",
        "first",
        "group",
        "hosts",
        "index",
        "key",
        "number",
        "scope",
        "until",
    )

    def __init__(self, group: Group, scope: tuple[str, ...], index: int, run: Run) -> None:
        self.group, self.scope, self.index = group, scope, index
        self.key = ""
        self.first, self.at, self.until, self.count = run.first, run.at, run.until, run.count
        self.end = run.until + group.windows[index].window.over
        self._lead = (run.at, index)
        self._said: tuple[int, int] | None = None
        self.number = 0
        self.hosts: dict[str, None] = {}
        self.evidence: list[str] = []

    def join(self, index: int, run: Run) -> None:
        """Take in a run, as it is now."""
        judged = self.group.windows[index]
        if (run.at, index) <= self._lead:
            self._lead = (run.at, index)
            self.first, self.at = run.first, run.at
        self.until = max(self.until, run.until)
        self.end = max(self.end, run.until + judged.window.over)
        if index == self.index:
            self.count = max(self.count, run.count)
        elif (self._rank(index), index) < (self._rank(self.index), self.index):
            self.index, self.count = index, run.count
            if self._said is not None:
                self._said = (self._said[0], run.count)

    def named(self, hits: Iterable[tuple[int, Hit]]) -> None:
        """Give it the key of the newest record up to the moment at which it began."""
        found = max(
            ((time, hit.stream, hit.place) for time, hit in hits if self.first <= time <= self.at),
            default=(0, "", self.at),
        )
        self.key = key_of(self.group.rule, self.group.name, self._scope(), found[1], found[2])

    def shows(self, hits: Iterable[tuple[int, Hit]]) -> bool:
        """Keep the first records as evidence; tell whether there was one."""
        had = len(self.evidence)
        for time, hit in hits:
            if len(self.evidence) >= _EVIDENCE:
                break
            record = hit.record[:_RECORD]
            if record and self.first <= time <= self.end and record not in self.evidence:
                self.evidence.append(record)
        return len(self.evidence) > had

    def met(self, hosts: Iterable[str]) -> None:
        """Take note of hosts."""
        for host in hosts:
            if len(self.hosts) < _HOSTS_COUNTED:
                self.hosts.setdefault(host)

    def notice(self, now: int) -> Notice | None:
        """Return what is to be said of it now, if anything."""
        rank = self._rank(self.index)
        if self._said is None:
            self._said = (rank, self.count)
            return self._notice("opened", "opened", now)
        said_rank, said_count = self._said
        more = self.group.windows[self.index].doubles and self.count >= 2 * said_count
        if rank >= said_rank and not more:
            return None
        self._said = (rank, self.count)
        self.number += 1
        return self._notice("escalated", f"escalated/{self.number}", now)

    def clear(self, now: int) -> Notice:
        """Return the last word about it."""
        return self._notice("cleared", "cleared", now)

    def _notice(self, what: Literal["opened", "escalated", "cleared"], suffix: str, now: int) -> Notice:
        return Notice(f"{self.key}/{suffix}", what, self.episode(now if what == "cleared" else None), now)

    def _rank(self, index: int) -> int:
        return SEVERITIES.index(self.group.windows[index].severity)

    def _scope(self) -> tuple[tuple[str, str], ...]:
        return tuple(zip(self.group.by, self.scope, strict=True))

    def episode(self, cleared: int | None = None) -> Episode:
        """Return it as others see it."""
        judged = self.group.windows[self.index]
        return Episode(
            key=self.key,
            rule=self.group.rule,
            window=judged.id,
            scope=self._scope(),
            severity=judged.severity,
            first=self.first,
            at=self.at,
            until=self.until,
            count=self.count,
            hosts=tuple(sorted(self.hosts)[:_HOSTS]),
            evidence=tuple(self.evidence),
            cleared=cleared,
            hosts_total=len(self.hosts),
        )

    def to_json(self) -> Json:
        """Return the state, as it stands in the store."""
        return {
            "key": self.key,
            "window": self.group.windows[self.index].id,
            "severity": self.group.windows[self.index].severity,
            "times": [self.first, self.at, self.until, self.end],
            "count": self.count,
            "lead": list(self._lead),
            "said": list(self._said) if self._said else None,
            "number": self.number,
            "hosts": list(self.hosts),
            "evidence": self.evidence,
        }

    @classmethod
    def from_json(cls, group: Group, scope: tuple[str, ...], index: int, row: Json) -> Open:
        """Take back what :meth:`to_json` gave; ``index`` is where its window stands now."""
        first, at, until, end = row["times"]
        one = cls(group, scope, index, Run(first, at, until, row["count"]))
        one.end, one.key, one.number = end, row["key"], row["number"]
        one._lead = (row["lead"][0], row["lead"][1])
        one._said = (row["said"][0], row["said"][1]) if row["said"] else None
        one.hosts = dict.fromkeys(row["hosts"])
        one.evidence = list(row["evidence"])
        return one


def ended(rule: str, scope: tuple[tuple[str, str], ...], row: Json, now: int) -> Notice:
    """Return the last word about an episode whose rule, or whose window, is gone."""
    first, at, until, _ = row["times"]
    episode = Episode(
        key=row["key"],
        rule=rule,
        window=row["window"],
        scope=scope,
        severity=row["severity"],
        first=first,
        at=at,
        until=until,
        count=row["count"],
        hosts=tuple(sorted(row["hosts"])[:_HOSTS]),
        evidence=tuple(row["evidence"]),
        cleared=now,
        hosts_total=len(row["hosts"]),
    )
    return Notice(f"{episode.key}/cleared", "cleared", episode, now)
