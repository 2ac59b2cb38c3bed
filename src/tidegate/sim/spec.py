"""Scenario to spec: the JSON that Rust plays, and the only thing that it sees of a scenario.

Format 1. Times are seconds and their keys end in ``_s``; work is in units. Rust refuses a spec of another format or
with a key that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from tidegate.config.fields import Table
from tidegate.sim.policies import Policy, Tidegate
from tidegate.sim.scenario import Bulk, Hosts, Scenario, Server
from tidegate.units import Duration

__all__ = ["FORMAT", "compile_policy", "compile_spec"]

FORMAT = 1
"""Of the spec; spec and library ship together."""

Json = dict[str, Any]


def compile_spec(scenario: Scenario, *, not_before_s: float = 0.0) -> bytes:
    """Return the spec for ``scenario`` as JSON.

    Parameters
    ----------
    scenario
        The checked scenario.
    not_before_s
        No host comes back before this.
    """
    run = scenario.scenario
    populations = [_hosts(name, hosts, not_before_s) for name, hosts in scenario.hosts.items()]
    populations += [_bulk(name, bulk) for name, bulk in scenario.bulk.items()]
    spec = {
        "format": FORMAT,
        "seed": run.seed,
        "window_s": run.window.seconds,
        "sample_s": run.sample.seconds,
        "servers": [_server(name, server) for name, server in scenario.server.items()],
        "populations": populations,
        "network": {
            "delay_s": scenario.network.delay.seconds,
            "flaps": [{"at_s": flap.at.seconds, "for_s": flap.down.seconds} for flap in scenario.network.flap],
        },
        "gate": {
            "restart_at_s": [at.seconds for at in scenario.gate.restart_at],
            "down_s": scenario.gate.down.seconds,
            "expected_hosts": scenario.gate.expected_hosts,
        },
    }
    return json.dumps(spec).encode()


def compile_policy(policy: Policy) -> Json:
    """Return what Rust is told about a policy."""
    if isinstance(policy, Tidegate):
        return {"kind": policy.kind, "limit": policy.limit or {"most": policy.most}}
    plain = _set(policy)
    if "rate" in plain:
        plain["rate_per_s"] = plain.pop("rate")
    return plain


def _server(name: str, server: Server) -> Json:
    law: Json = {"kind": server.law, "unit_s": server.unit.seconds}
    if server.knee is None:
        law |= {"sigma": server.sigma, "kappa": server.kappa}
    else:
        law["knee"] = server.knee
    return {
        "name": name,
        "law": law,
        "changes": [_set(change) for change in server.change],
        "refuse": server.full,
        **_plain(server, leave_out={"law", "knee", "sigma", "kappa", "unit", "change", "full"}),
    }


def _hosts(name: str, hosts: Hosts, not_before_s: float) -> Json:
    poll = hosts.poll
    return {
        "name": name,
        "hosts": hosts.count,
        "poll_s": poll.every.seconds,
        "poll": {"operation": poll.operation, "role": "poll", "units": poll.units},
        "script": [_plain(step) for step in hosts.script],
        "retry": _retry(hosts),
        "honours_retry_after": hosts.retry.kind == "retry-after",
        **_plain(hosts, leave_out={"count", "begin", "poll", "script", "retry"}),
        "begin_s": max(hosts.begin.seconds, not_before_s),
    }


def _retry(hosts: Hosts) -> Json:
    plain = _plain(hosts.retry)
    if "after_s" in plain:
        plain["s"] = plain.pop("after_s")
    return plain


def _bulk(name: str, bulk: Bulk) -> Json:
    plain = _plain(bulk)
    return {"name": name, "kind": "bulk", "rate_per_s": plain.pop("rate"), **plain}


def _set(table: Table) -> Json:
    """Return only what is set."""
    return {name: value for name, value in _plain(table).items() if value is not None}


def _plain(table: Table, *, leave_out: Collection[str] = ()) -> Json:
    """Return durations in seconds under ``NAME_s``, and everything else under its own name."""
    plain: Json = {}
    for name, value in dict(table).items():
        if name in leave_out:
            continue
        if isinstance(value, Duration):
            plain[f"{name}_s"] = value.seconds
        else:
            plain[name] = value
    return plain
