"""A vCenter's part of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.config.model import Admission, Service
from tidegate.config.numbers import milli, plain
from tidegate.config.vcenter import GateWindow, Vcenter, VcenterOperation
from tidegate.config.windows import open_between
from tidegate.units import Duration

__all__ = ["FIRST_CALLS", "WINDOW_DAYS", "many_scripts", "vcenter_plan"]

Json = dict[str, Any]

WINDOW_DAYS = 15
"""So many days ahead a plan knows when windows are open; it is renewed every day."""

_WORK_MAX = Duration.parse("2h")
"""A machine in work whose end nobody told, or a snapshot that nobody removed, is forgotten after this."""


def vcenter_plan(
    service: Service,
    windows: Mapping[str, GateWindow],
    operations: Mapping[str, VcenterOperation],
    other: VcenterOperation,
    now: float,
) -> Json:
    """Return what Rust gets for a service with ``protocol = "vcenter"``.

    Parameters
    ----------
    windows
        All of the file.
    operations, other
        What is known of operations, and what holds for those that are not.
    now
        Seconds since 1970.
    """
    vcenter = service.vcenter or Vcenter()
    shares = vcenter.broker == "on" and service.mode == "enforce"
    table = {**operations, **vcenter.operation}
    return {
        "kind": "vcenter",
        "operations": {name: _operation(operation) for name, operation in table.items()},
        "default": _operation(other),
        "broker": _broker(vcenter) if shares else None,
        "tasks": _tasks(vcenter),
        "principals": [
            {
                "name": name,
                "users": list(principal.users),
                "bulk": principal.bulk,
                "vms_max": principal.vms_max,
                "windows": [
                    {"open": open_between(window.window(key), now, WINDOW_DAYS), "outside": window.outside}
                    for key, window in windows.items()
                    if name in window.principals
                ],
            }
            for name, principal in vcenter.principal.items()
        ],
        "long_polls_max": vcenter.long_polls_max,
        "long_poll_max_ns": vcenter.long_poll_max.nanoseconds,
    }


FIRST_CALLS = 16
"""How many calls at a vCenter of which nothing is known: it serves 640 at once by itself (vsphere.md §2.3)."""


def many_scripts(service: Service) -> Admission:
    """Return the bounds of admission before a vCenter: scripts of one user call from one machine, each for itself."""
    admission, vcenter = service.admission, service.vcenter or Vcenter()
    if "held_per_client_max" in admission.model_fields_set:
        return admission
    most = min(vcenter.sessions_per_principal_max, 65_536)
    return admission.model_copy(update={"held_per_client_max": most})


def _operation(operation: VcenterOperation) -> Json:
    return {"role": operation.role, "cost_milli": milli(operation.cost)}


def _broker(vcenter: Vcenter) -> Json:
    return {
        "clones_max": vcenter.clones,
        "sessions_max": vcenter.sessions_max,
        "sessions_per_principal_max": vcenter.sessions_per_principal_max,
        "own_max": vcenter.own_max,
        "principals_max": vcenter.principals_max,
        "waiting_max": vcenter.sessions_per_principal_max,  # each session may have a call that waits
        "wait_max_ns": vcenter.clone_wait.nanoseconds,
        "idle_ns": vcenter.session_idle.nanoseconds,
        "life_ns": vcenter.session_life.nanoseconds,
        "verify_ns": vcenter.password_ttl.nanoseconds,
        "keepalive_ns": vcenter.keepalive.nanoseconds,
    }


def _tasks(vcenter: Vcenter) -> Json:
    return {
        **plain(vcenter.tasks, leave_out=set()),
        "work_max_ns": _WORK_MAX.nanoseconds,
        "hold_us": _micros(vcenter.pace.hold),
        "halve_us": _micros(vcenter.pace.halve),
    }


def _micros(span: Duration) -> int:
    return max(1, span.nanoseconds // 1000)
