"""What the lab's hosts reconnect to: a VASA provider as arithmetic, in this process.

Every start of a host's service is one ``setContext``. The provider works on all calls that are in flight at once, and
past its knee every further one makes all of them slower: the law of ``tidegate demo``, without its sockets. What comes
out depends only on when the hosts were started, so that it outlives the controller as the hosts do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FleetProvider", "Served", "p95_ms"]


@dataclass(frozen=True, slots=True)
class Served:
    """One call: when it came, and when it was answered (``None``: not yet)."""

    host: str
    came: float
    answered: float | None


@dataclass(frozen=True, slots=True)
class FleetProvider:
    """A provider that needs ``unit_s`` for one call alone, and does most work with ``knee`` in flight."""

    unit_s: float = 0.06
    knee: float = 8.0
    contention: float = 0.15

    def rate(self, in_flight: int) -> float:
        """Return calls per second that ``in_flight`` calls together get done."""
        coherency = (1 - self.contention) / self.knee**2
        slow = 1 + self.contention * (in_flight - 1) + coherency * in_flight * (in_flight - 1)
        return in_flight / slow / self.unit_s

    def serve(self, calls: Iterable[tuple[str, float]], now: float) -> list[Served]:
        """Return what became of ``calls`` (host and time) until ``now``, in the order of their answers."""
        waiting = sorted(((came, host) for host, came in calls if came <= now), reverse=True)
        left: dict[str, tuple[float, float]] = {}
        served: list[Served] = []
        at = waiting[-1][0] if waiting else now
        while waiting or left:
            each = self.rate(len(left)) / len(left) if left else 0.0
            next_call = waiting[-1][0] if waiting else float("inf")
            next_answer = at + min(work for _, work in left.values()) / each if left else float("inf")
            until = min(next_call, next_answer, now)
            left = {host: (came, work - (until - at) * each) for host, (came, work) in left.items()}
            at = until
            if until == now and next_call > now and next_answer > now:
                break
            if next_call <= next_answer:
                came, host = waiting.pop()
                left[host] = (came, 1.0)
                continue
            host = min(left, key=lambda one: left[one][1])
            served.append(Served(host, left.pop(host)[0], at))
        return served + [Served(host, came, None) for host, (came, _) in left.items()]


def p95_ms(served: Iterable[Served], now: float, window_s: float = 1.0) -> float:
    """Return the 95th percentile of response times in the last ``window_s`` seconds, in milliseconds.

    Calls without an answer count with their age.
    """
    times = sorted(
        (call.answered or now) - call.came
        for call in served
        if call.came <= now and (call.answered is None or now - window_s <= call.answered <= now)
    )
    return times[min(len(times) - 1, int(len(times) * 0.95))] * 1000 if times else 0.0
