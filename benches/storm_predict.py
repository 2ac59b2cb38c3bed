"""What the simulator says of the storms that are played live: the same server, hosts and seed, in virtual time."""

from __future__ import annotations

import json
from typing import Any

from benches.storm_scenarios import DOWN_S, POLL_S, POLL_UNITS, RETRY_S, Scenario
from benches.storm_world import CENSORED_FLOORS, SPREAD_S, Outcome
from tidegate import _core

POLICY = {"kind": "tidegate", "limit": {"most": 256}}


def spec(scenario: Scenario, work_floor_s: float, seed: int) -> dict[str, Any] | None:
    """Return a scenario as the simulator reads it; None where an event depends on what happens live."""
    if scenario.tls or any(event.once_all_in or event.what != "crash" for event in scenario.events):
        return None
    changes, now = [], 0.0
    for event in scenario.events:
        changes.append({"at_s": now + event.after_floors * work_floor_s, "restart_for_s": DOWN_S})
        now = changes[-1]["at_s"] + DOWN_S
    law = {"kind": "usl", "knee": scenario.knee, "unit_s": scenario.unit_s}
    script = [
        {"operation": "setContext", "role": "open", "units": 1.0},
        {"operation": "queryArrays", "role": "call", "units": 1 / 3, "times": 3},
    ]
    hosts: dict[str, Any] = {
        "spread_s": SPREAD_S,
        "poll_s": POLL_S,
        "script": script,
        "poll": {"operation": "getEvents", "role": "poll", "units": POLL_UNITS},
    }
    greedy = round(scenario.hosts * scenario.greedy)
    patient = {"kind": "fixed", "min_s": RETRY_S[0], "max_s": RETRY_S[1]}
    populations = [{"name": "hosts", "hosts": scenario.hosts - greedy, "retry": patient, **hosts}]
    if greedy:
        populations.append({"name": "greedy", "hosts": greedy, "retry": {"kind": "greedy", "s": 0.5}, **hosts})
    return {
        "format": 1,
        "seed": seed,
        "window_s": now + CENSORED_FLOORS * work_floor_s,
        "servers": [{"name": "vp", "law": law, "changes": changes}],
        "populations": populations,
    }


def error(spec: dict[str, Any], outcome: Outcome) -> float | None:
    """Return by how much of the live time the simulator's time to the last host differs; None: only one says never."""
    told = json.loads(_core.simulate(json.dumps(spec).encode(), json.dumps(POLICY)))["last_connected_s"]
    predicted = None if told is None else float(told) - outcome.counted_from_s
    live = outcome.last_connected_s
    if predicted is None or live is None:
        return 0.0 if predicted is live else None
    return round(abs(predicted - live) / live, 4)
