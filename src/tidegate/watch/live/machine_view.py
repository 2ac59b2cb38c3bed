"""What a person may see of a machine: how full its windows are, what is open, which clocks are off."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace

from tidegate.watch.live.model import Episode, Json
from tidegate.watch.live.moments import Clocks
from tidegate.watch.live.scopes import Scope

__all__ = ["view"]

_SECOND = 10**9
_SHOWN = 200


def view(scopes: Iterable[Scope], watermark: int, episodes: Sequence[Episode], clocks: Clocks) -> Json:
    """Return windows with something in them, fullest first and at most 200, episodes, clocks and the watermark.

    A window's ``count`` is what is in it at the watermark, or at the scope's newest event where that is later; it
    fires at ``limit``. For an absence both are seconds: how long the oldest event waits for its answer, and how long
    it may. Times of episodes and the watermark are nanoseconds since 1970.
    """
    filled = [each for scope in scopes for each in _windows(scope, watermark)]
    shown = heapq.nsmallest(
        _SHOWN,
        filled,
        key=lambda each: (-each["count"] / each["limit"], each["rule"], each["window"], str(each["scope"])),
    )
    return {
        "windows": shown,
        "windows_total": len(filled),
        "episodes": [_episode(one) for one in episodes[:_SHOWN]]
        + [_episode(replace(one, hosts=(), evidence=())) for one in episodes[_SHOWN:]],
        "clocks": [
            {"host": host, "offset_s": clock.offset // _SECOND, "records": clock.records}
            for host, clock in clocks.off()
        ],
        "watermark": watermark,
    }


def _episode(episode: Episode) -> Json:
    return {**asdict(episode), "scope": dict(episode.scope)}


def _windows(scope: Scope, watermark: int) -> Iterator[Json]:
    at = max(watermark, scope.newest)
    for judged, window in zip(scope.group.windows, scope.windows, strict=True):
        count, limit = window.fill(at), judged.limit
        if judged.window.kind == "absence":
            count, limit = count // _SECOND, max(limit // _SECOND, 1)
        if count:
            yield {
                "rule": scope.group.rule,
                "window": judged.id,
                "kind": judged.window.kind,
                "scope": dict(zip(scope.group.by, scope.values, strict=True)),
                "count": count,
                "limit": limit,
                "over_s": judged.window.over / _SECOND,
                "severity": judged.severity,
            }
