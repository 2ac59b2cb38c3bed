"""A watch that was killed, as :func:`tidegate.lab.watch_play.play_watch` returns it: two alerts, both told."""

from __future__ import annotations

from tidegate.lab.watch_expected import Expected, Filling
from tidegate.lab.watch_play import WatchMoment, WatchResult
from tidegate.lab.watch_verdict import Verdict

__all__ = ["MOMENT", "killed"]

SECOND = 10**9
STORM = Filling(5, [SECOND, 2 * SECOND], [4, 6])
MOMENT = WatchMoment(t=20.5, lines=20_000, kills=2, alerts=41, cleared=11, repeats=3)


def killed(**changed: object) -> WatchResult:
    """Return what a run came to, with some of its figures changed."""
    first, second = (
        Expected("esxi.vmkernel.heap-full", (("host", f"esx-{n}"),), n * SECOND, n * SECOND, 1, n * SECOND)
        for n in (1, 2)
    )
    verdict = Verdict(alerts=2, cleared=1, repeats=3, first={first: SECOND + 10**8, second: 2 * SECOND + 3 * 10**8})
    numbers: dict[str, object] = {
        "format": 1, "events": 36_000, "hosts": 125, "kills": 5, "alerts_expected": 2, "alerts": 2, "lost": 0,
        "spurious": 0, "late_events": 5000, "time_to_alert_ms_p95": 300.0, "time_to_alert_ms_p50": 300.0, "cleared": 1,
        "wrong": 0, "repeats": 3, "rotations": 250, "refused_posts": 9, "unanswered_posts": 8, "speed": 12, "seed": 1,
        "seconds": 41.0,
    }  # fmt: skip
    return WatchResult(
        {**numbers, **changed}, verdict, [first, second], 0, [6.4, 9.6, 18.5], [MOMENT], ("vasa-3", STORM)
    )
