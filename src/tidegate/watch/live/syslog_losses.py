"""What a listener did not see, counted and said as gaps: no I/O, time is passed in (nanoseconds since 1970)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.watch.live.model import Gap

__all__ = ["Losses"]

_EVERY = 1_000_000_000
"""Nanoseconds for which losses are counted together before they are said: a storm of them is no storm of gaps."""
_PEERS = 1000
"""Peers that are told apart between two gaps."""
_NAMED = 5
"""Peers that a gap names."""


class Losses:
    """Counts losses by kind and reason; each is said about once a second.

    Parameters
    ----------
    source
        Whose gaps these are.

    Attributes
    ----------
    counts
        By kind, since the start.
    """

    def __init__(self, source: str) -> None:
        self.counts: dict[str, int] = {}
        self._source = source
        self._open: dict[tuple[str, str], _Loss] = {}

    def add(self, kind: str, why: str, count: int, span: tuple[int, int], who: str = "") -> None:
        """Count what was not seen.

        Parameters
        ----------
        kind
            As :class:`~tidegate.watch.live.model.Gap` has it.
        why
            One of a few fixed phrases.
        count
            Records; of peers that were refused, connections.
        span
            From when to when.
        who
            The peer, where it is known.
        """
        self.counts[kind] = self.counts.get(kind, 0) + count
        loss = self._open.setdefault((kind, why), _Loss(*span))
        loss.count += count
        loss.since, loss.until = min(loss.since, span[0]), max(loss.until, span[1])
        if who and len(loss.peers) < _PEERS:
            loss.peers[who] = None

    def take(self, now: int) -> tuple[Gap, ...]:
        """Return the gaps that are to be said now."""
        due = [key for key, loss in self._open.items() if not 0 <= now - loss.since < _EVERY]
        return tuple(_gap(self._source, *key, self._open.pop(key)) for key in due)

    def __bool__(self) -> bool:
        """Whether there is anything to say, now or later."""
        return bool(self._open)


@dataclass(slots=True)
class _Loss:
    since: int
    until: int
    count: int = 0
    peers: dict[str, None] = field(default_factory=dict)


def _gap(source: str, kind: str, why: str, loss: _Loss) -> Gap:
    named = ", ".join(list(loss.peers)[:_NAMED])
    others = len(loss.peers) - _NAMED
    who = f" ({named}{f' and {others} others' if others > 0 else ''})" if named else ""
    count = loss.count if kind != "unreadable" else 0
    return Gap(source, kind, f"{why}{who}", loss.since, loss.until, count or None)
