"""The caller that stands out, as a finding like the others: who it is, and how it is made to call less.

It is a number over many lines and not a signature, so no rule file says it. The thresholds are those of
:mod:`tidegate.watch.callers`; what to do is KB 440879's "Client-Side Throttling".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.harmless import harmless

__all__ = ["CALLER_RULE", "caller_finding"]

Json = dict[str, Any]

CALLER_RULE = "vcenter.callers.one-storms"
"""What programs know this finding by."""
_REMEDY = {
    "id": "throttle",
    "title": "Make that caller keep one session, and work in batches",
    "prefer": True,
    "impact": "Its jobs take longer; nothing is restarted.",
    "steps": [
        {"do": "Find the script or product by its user, address and user agent, and stop it while vCenter recovers."},
        {"do": "Let it log in once and reuse the session, instead of a login per machine; let it log out at the end."},
        {"do": "Let it work on 20 to 50 machines at a time, and outside the backup window."},
    ],
    "verify": [{"say": "The same report over the next hour's log names nobody, and no sessions are left open."}],
}


def caller_finding(callers: Mapping[str, Any] | None) -> Json | None:
    """Return the finding about the caller that stands out; None when none does."""
    one = callers["stands_out"] if callers else None
    if callers is None or one is None:
        return None
    return {
        "rule": CALLER_RULE,
        "title": "One caller makes the storm",
        "article": None,
        "explains": "vCenter keeps a session per login, and calls wait for one another. One caller that logs in or "
        "calls without end takes the room of all others.",
        "version_verdict": None,
        "remedies": [_REMEDY],
        "discriminators": [],
        "source": {
            "title": "vCenter vSphere 8.x Backup Failures: Additional Information, Client-Side Throttling",
            "url": "https://knowledge.broadcom.com/external/article/440879",
        },
        "kind": "incident",
        "severity": "warning",
        "confidence": "high" if one["why"] == "rate" else "medium",
        "signatures": [],
        "windows": [],
        "hits": one["count"],
        "without_time": 0,
        "first": callers["from"],
        "last": callers["to"],
        "scope": {"hosts": [], "providers": [], "vcenters": [], "callers": [_who(one)]},
        "timeline": callers["series"]["logins" if one["of"] == "logins" else "calls"],
        "evidence": [
            {
                "path": "callers",
                "line": None,
                "time": None,
                "time_source": "none",
                "signature": None,
                "record": harmless(one["says"]),
                "fields": {},
            }
        ],
    }


def _who(one: Mapping[str, Any]) -> str:
    parts = [one[key] for key in ("user", "ip", "agent", "session") if one.get(key)]
    return harmless(" ".join(str(part) for part in parts))
