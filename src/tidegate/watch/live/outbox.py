"""What waits to be said, told in words: in which order, when again after a failure, and how much at once. Pure.

A notice waits once for every receiver, and each receiver has its own pace: one that is down delays no other.

- *Order.* Notices of one chain (rule and scope) are said in the order in which they were made: a "cleared" that
  overtook its "opened" would leave the alert burning. Chains do not wait for one another.
- *Again.* A notice that was not taken comes again after 1 s, 2 s, 4 s, … at most a minute, half of it by chance, for
  ever: what is wrong with a receiver is mended by people, in their time. The chance is drawn from the notice's key.
- *Pace.* A receiver that does not take what it is sent is left alone for as long, or as it asks for (``Retry-After``,
  at most 5 min). Then it gets one notice, and when it takes that, two, four, …: a receiver that comes back is not
  stormed. What has waited longest is next, and what failed goes to the end: one notice that can never be taken is soon
  found alone, and delays no other.
- *Clocks.* A clock that is set back must not keep anything waiting: what is due later than anything can be is due now.
- *Bounds.* At most 100 000 notices wait, an equal share for each receiver. What comes then is left out, and that is a
  gap.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from tidegate.watch.live.model import Episode, Gap, Notice

__all__ = ["Pace", "chain_of", "notice_of", "overflow", "share", "text_of", "wait"]

_ROWS_MAX = 100_000
"""Notices that wait at the most, for all receivers together: with evidence some hundred megabytes."""
_SECOND = 1_000_000_000
WAIT_MAX = 60 * _SECOND
"""Longest wait of a notice and of a receiver, in nanoseconds."""
_ASKED_MAX = 300 * _SECOND


def chain_of(notice: Notice) -> str:
    """Return what the notice is about, as 32 hexadecimal digits."""
    episode = notice.episode
    about = json.dumps([episode.rule, episode.scope])
    return hashlib.sha256(about.encode()).hexdigest()[:32]


def share(receivers: int) -> int:
    """Return how many notices may wait for each of so many receivers."""
    return _ROWS_MAX // max(1, receivers)


def overflow(receiver: str, count: int, now: int, before: Gap | None) -> Gap:
    """Return the gap that tells of ``count`` more notices without room; ``before`` is that gap so far."""
    if before is not None:
        return replace(before, until=now, count=(before.count or 0) + count)
    detail = f"{receiver} has not taken what waits for it, and there is no room for more"
    return Gap(source=f"outbox.{receiver}", kind="queue_full", detail=detail, since=now, until=now, count=count)


def wait(tries: int, seed: str) -> int:
    """Return how long to wait after failure number ``tries`` (1 and more), in nanoseconds: the upper half by chance."""
    bound = min(WAIT_MAX, _SECOND << min(tries - 1, 16))
    chance = int.from_bytes(hashlib.sha256(f"{seed}\0{tries}".encode()).digest()[:4]) / 2**32
    return bound // 2 + int(bound // 2 * chance)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one receiver may be told.

    Parameters
    ----------
    at_once
        Notices in one request at the most.
    room
        How many of them it may be now.
    failures
        Requests that failed since the last one that did not.
    until
        Until when it is left alone, in nanoseconds since 1970.
    why
        What it answered last, in words; "" when all is well.
    """

    at_once: int
    room: int = 1
    failures: int = 0
    until: int = 0
    why: str = ""

    def rests(self, now: int) -> bool:
        """Return whether it is to be left alone now."""
        return now < self.until <= now + _ASKED_MAX

    def took(self) -> Pace:
        """Return its pace after it has taken what it was sent."""
        return Pace(self.at_once, room=min(self.at_once, self.room * 2))

    def failed(self, why: str, now: int, seed: str, asked: int = 0) -> Pace:
        """Return its pace after it has not; ``asked`` is for how long it wants to be left alone, in nanoseconds."""
        failures = self.failures + 1
        pause = max(wait(failures, seed), min(asked, _ASKED_MAX))
        return replace(self, room=1, failures=failures, until=now + pause, why=why)


def text_of(notice: Notice) -> str:
    """Return the notice as JSON, to be kept."""
    return json.dumps(asdict(notice), separators=(",", ":"))


def notice_of(text: str) -> Notice:
    """Return the notice that :func:`text_of` wrote."""
    values = json.loads(text)
    episode = values["episode"]
    lists = {name: tuple(episode[name]) for name in ("hosts", "evidence")}
    scope = tuple((name, value) for name, value in episode["scope"])
    return Notice(**{**values, "episode": Episode(**{**episode, **lists, "scope": scope})})
