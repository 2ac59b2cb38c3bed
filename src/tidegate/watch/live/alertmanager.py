"""Tells an Alertmanager (API v2) of episodes as Prometheus would: labels that stay, an end that is put off.

- An alert is known by its labels: rule, scope and severity. What changes (counts, hosts, evidence, the window
  that speaks for the episode) is in the annotations.
- While an episode is open, it is told again each minute, and ends by itself 3 minutes after the last time: nobody is
  left with an alert that burns because its watch is gone.
- When an episode is cleared its alert ends then, but not earlier than 6 minutes after Alertmanager was first told: it
  collects alerts of a group for up to 5 minutes (``group_interval``), and of one that is over by then nobody would ever
  hear. That is so when a watch, or Alertmanager, was away for a while.
- A worse severity is another alert; the milder ones of the same episode end with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import get_args

from tidegate.errors import UsageError
from tidegate.watch.live.model import Episode, Json, Notice, Severity
from tidegate.watch.live.receiver import Post, evidence_of, says_of, stamp
from tidegate.watch.rule import RuleSet

__all__ = ["Alertmanager"]

_MINUTE = 60_000_000_000
_OPEN_FOR = 3 * _MINUTE
_SEEN_FOR = 6 * _MINUTE
_CLOCKS_DIFFER = _MINUTE
"""What ends now would burn for a moment where Alertmanager's clock is behind, and most have never burnt."""
_TOLD_MAX = 20_000
"""Of so many episodes it is known when Alertmanager was first told: twice as many as may be open."""
_WORST_FIRST: tuple[Severity, ...] = get_args(Severity)


class Alertmanager:
    """The Alertmanager whose base is ``url``.

    Parameters
    ----------
    token
        Sent as a bearer token.
    timeout_s
        Longest wait for its answer.

    Raises
    ------
    UsageError
        When the token cannot stand in a header.
    """

    at_once: int = 64
    renew_every: int | None = _MINUTE

    def __init__(
        self, name: str, url: str, *, token: str | None = None, ca: Path | None = None, timeout_s: float = 10.0
    ) -> None:
        self.name, self.ca, self.timeout_s = name, ca, timeout_s
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise UsageError(f"the token for {name} holds more than printable ASCII", hint="is it the right file?")
            self._headers["Authorization"] = f"Bearer {token}"
        self._told: dict[str, int] = {}

    def post(self, notices: Sequence[Notice], rules: RuleSet, now: int) -> Post:
        """Return the request that tells of these notices."""
        return self._post(alert for notice in notices for alert in self._alerts(notice, rules, now))

    def took(self, episodes: Sequence[Episode], now: int) -> None:
        """Remember when it was first told of each."""
        for episode in episodes:
            if episode.cleared is not None:
                self._told.pop(episode.key, None)
            else:
                self._told.setdefault(episode.key, now)
        for key in list(islice(self._told, max(0, len(self._told) - _TOLD_MAX))):
            del self._told[key]

    def renewal(self, episodes: Sequence[Episode], rules: RuleSet, now: int) -> Post | None:
        """Return the request that tells that these are still open."""
        return self._post(_alert(episode, rules, now, now + _OPEN_FOR) for episode in episodes)

    def _post(self, alerts: Iterator[Json]) -> Post:
        return Post(self._url, json.dumps(list(alerts), separators=(",", ":")).encode(), self._headers)

    def _alerts(self, notice: Notice, rules: RuleSet, now: int) -> Iterator[Json]:
        episode = notice.episode
        if notice.what == "cleared":
            # Where nobody knows when it was told, it may have been just now.
            ends = max(min(now, episode.cleared or now), self._told.get(episode.key, now) + _SEEN_FOR)
            if rules.get(episode.rule) is None:  # it has other labels now, and must not burn under them
                ends = now - _CLOCKS_DIFFER
        else:
            ends = now + _OPEN_FOR
        yield _alert(episode, rules, now, ends)
        if notice.what != "opened":
            for milder in _WORST_FIRST[_WORST_FIRST.index(episode.severity) + 1 :]:
                yield _alert(replace(episode, severity=milder), rules, now, now - _CLOCKS_DIFFER)


def _alert(episode: Episode, rules: RuleSet, now: int, ends: int) -> Json:
    rule = rules.get(episode.rule)
    starts = min(episode.at, now)  # a record's clock may be ahead; an alert that ends before it starts is refused
    labels = {
        "alertname": episode.rule,
        "by": "+".join(name for name, _ in episode.scope),
        "rule": episode.rule,
        "kb": (rule.article or "") if rule else "",
        "severity": episode.severity,
        **{f"scope_{re.sub('[^a-zA-Z0-9_]', '_', name)}": value for name, value in episode.scope},
    }
    annotations = {
        "summary": rule.title if rule else episode.rule,
        "description": says_of(rule, episode.window),
        "runbook_url": rule.source.url if rule else "",
        "window": episode.window,
        "count": str(episode.count),
        "hosts": ", ".join(episode.hosts),
        "hosts_total": str(episode.hosts_total or ""),
        "evidence": "\n".join(evidence_of(episode)),
        "since": stamp(episode.first),
        "until": stamp(episode.until),
        "episode": episode.key,
    }
    return {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": stamp(starts),
        "endsAt": stamp(max(starts, ends)),
    }
