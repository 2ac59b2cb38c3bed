"""A receiver of JSON: one POST per notice, with a key by which a repetition is known, signed where there is a secret.

``Idempotency-Key`` is the notice's key: whoever has seen it has been told already. With a secret the header
``Tidegate-Signature: t=SECONDS,v1=HEX`` holds the HMAC-SHA256 of ``SECONDS.BODY``; the seconds are when it was sent,
so that an old request cannot be played again for ever. Raw records are never in it: evidence is redacted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from pathlib import Path

from tidegate.watch.live.model import Episode, Json, Notice
from tidegate.watch.live.receiver import Post, evidence_of, says_of, stamp
from tidegate.watch.live.store import FORMAT
from tidegate.watch.rule import RuleSet

__all__ = ["Webhook", "body_of", "signature"]


class Webhook:
    """A receiver at ``url``.

    Parameters
    ----------
    secret
        Key of the signature; ``None``: nothing is signed.
    timeout_s
        Longest wait for its answer.
    """

    at_once: int = 1
    renew_every: int | None = None

    def __init__(
        self, name: str, url: str, *, secret: bytes | None = None, ca: Path | None = None, timeout_s: float = 10.0
    ) -> None:
        self.name, self.ca, self.timeout_s = name, ca, timeout_s
        self._url, self._secret = url, secret

    def post(self, notices: Sequence[Notice], rules: RuleSet, now: int) -> Post:
        """Return the request that tells of the one notice."""
        (notice,) = notices
        content = json.dumps(body_of(notice, rules), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": notice.key}
        if self._secret is not None:
            headers["Tidegate-Signature"] = signature(self._secret, content, now)
        return Post(self._url, content, headers)

    def took(self, episodes: Sequence[Episode], now: int) -> None:
        """Nothing has to be noted."""

    def renewal(self, episodes: Sequence[Episode], rules: RuleSet, now: int) -> Post | None:
        """Return nothing: it is told once."""


def signature(secret: bytes, content: bytes, now: int) -> str:
    """Return the value of the header ``Tidegate-Signature`` for a body sent at ``now`` (nanoseconds since 1970)."""
    seconds = now // 1_000_000_000
    digest = hmac.new(secret, b"%d." % seconds + content, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def body_of(notice: Notice, rules: RuleSet) -> Json:
    """Return what a webhook is told of a notice."""
    episode = notice.episode
    rule = rules.get(episode.rule)
    return {
        "format": FORMAT,
        "key": notice.key,
        "episode": episode.key,
        "what": notice.what,
        "rule": episode.rule,
        "window": episode.window,
        "kb": rule.article if rule else None,
        "title": rule.title if rule else episode.rule,
        "says": says_of(rule, episode.window),
        "runbook": rule.source.url if rule else None,
        "scope": dict(episode.scope),
        "severity": episode.severity,
        "first": stamp(episode.first),
        "at": stamp(episode.at),
        "until": stamp(episode.until),
        "cleared": None if episode.cleared is None else stamp(episode.cleared),
        "count": episode.count,
        "hosts": list(episode.hosts),
        "hosts_total": episode.hosts_total,
        "evidence": evidence_of(episode),
    }
