"""What a probe rule can compare: measures of dumps (:mod:`tidegate.watch.ports`), and those that only a probe has.

The latter are asked of a manager by a running watch; no file holds them, so ``diagnose`` leaves their rules alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from tidegate.watch.ports import MEASURES as PORTS

__all__ = ["ALL", "LIVE"]

LIVE: Mapping[str, str] = {
    "nsx.ens_switches": "switches of a host that run in a mode of the Enhanced Datapath",
    "vcenter.datastore_ms": "latency of a datastore in ms: the worst host's newest sample, at most 60 s old",
    "vcenter.oldest_task_s": "seconds since the oldest task that has not ended was begun, or queued",
    "vcenter.running_tasks": "tasks of a user that run or wait, of the oldest 500",
    "vcenter.sessions": "sessions of a user",
}
"""Measures that only a probe has, and what they count; the scope is the thing or the user that is named."""
ALL = tuple(sorted([*PORTS, *LIVE]))
"""Every measure."""
