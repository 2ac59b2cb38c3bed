"""Who is told, as the sender sees it: what makes requests of notices, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tidegate.watch.live.model import Episode, Notice
from tidegate.watch.redact import redacted
from tidegate.watch.rule import Rule, RuleSet

__all__ = ["Post", "Receiver", "evidence_of", "says_of", "stamp"]


@dataclass(frozen=True, slots=True)
class Post:
    """One POST request of JSON."""

    url: str = field(repr=False)
    content: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Receiver(Protocol):
    """One that is told of every notice.

    ``at_once`` is how many notices one request may hold; ``renew_every``, in nanoseconds, after which time it has to be
    told again of what is still open (``None``: never). ``ca`` is a PEM file with the authority of its certificate.
    """

    name: str
    ca: Path | None
    timeout_s: float
    at_once: int
    renew_every: int | None

    def post(self, notices: Sequence[Notice], rules: RuleSet, now: int) -> Post:
        """Return the request that tells of these notices, at most ``at_once``, no two of the same episode."""
        ...

    def took(self, episodes: Sequence[Episode], now: int) -> None:
        """Note that it has been told of these."""
        ...

    def renewal(self, episodes: Sequence[Episode], rules: RuleSet, now: int) -> Post | None:
        """Return the request that tells that these, at most ``at_once``, are still open; ``None``: none is wanted."""
        ...


def stamp(time: int) -> str:
    """Return a time (nanoseconds since 1970) as RFC 3339 writes it, in UTC, with all nine digits."""
    seconds, rest = divmod(time, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def evidence_of(episode: Episode) -> list[str]:
    """Return the records that speak for it; no secret leaves the machine, whoever has put them there."""
    return [redacted(record) for record in episode.evidence]


def says_of(rule: Rule | None, window: str) -> str:
    """Return what the rule says of its window; where that is not one of its own, what it explains."""
    if rule is None:
        return ""
    return next((one.says for one in rule.windows if one.id == window), rule.explains)
