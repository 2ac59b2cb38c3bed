"""What a storm to come will be like: when the last host is in, what a gate wins, and how to restart by hand."""

from __future__ import annotations

import math

from tidegate.sim.compare import Tell, policies_of, rehearse_policy, scenario_json, with_time_for
from tidegate.sim.engine import Json
from tidegate.sim.policies import KbManual
from tidegate.sim.scenario import Hosts, Scenario, ScenarioTable, Server
from tidegate.units import Duration

__all__ = ["plan", "storm_of"]

_BATCHES = (5, 6, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50)
_PAUSES_S = (15, 20, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300)
_ARTICLE = ((10, 120), (5, 180))
"""KB 412434: 5 to 10 hosts every 2 to 3 minutes; its quickest and its slowest form."""
_SEEDS = 3
"""A way to restart by hand must work with so many seeds."""


def storm_of(hosts: int, server: Server, timeout: Duration) -> Scenario:
    """Return a storm that is described by a few figures; the rest is as in a file that leaves it out.

    Parameters
    ----------
    hosts
        How many hosts reconnect at once, at least 1.
    server
        What they connect to.
    timeout
        How long a host waits for an answer.
    """
    population = Hosts(count=hosts, timeout=timeout)
    # Ten times the least time that the work takes: who is not in by then will not be.
    window_s = math.ceil(server.down_until.seconds + 60 + 10 * hosts * population.session_units / server.best_rate)
    run = ScenarioTable(
        title=f"{hosts} hosts reconnect at once",
        window=Duration.from_seconds(window_s),
        sample=Duration.from_seconds(window_s / 1000),
    )
    return Scenario(format=1, scenario=run, server={"server": server}, hosts={"hosts": population})


def plan(scenario: Scenario, tell: Tell) -> Json:
    """Rehearse the storm with a gate, without, and by hand; return what to expect of each."""
    policies = policies_of(scenario)
    gate = rehearse_policy(scenario, "tidegate", policies["tidegate"], _span(tell, 0.0, 0.15))
    none = rehearse_policy(scenario, "none", policies["none"], _span(tell, 0.15, 0.3))
    article = [
        _by_hand(scenario, batch, pause_s, 1, _span(tell, 0.3 + 0.1 * index, 0.4 + 0.1 * index))
        for index, (batch, pause_s) in enumerate(_ARTICLE)
    ]
    fastest, tried = _fastest(scenario, _span(tell, 0.5, 1.0))
    return {
        "format": 1,
        "scenario": scenario_json(scenario),
        "floor_s": gate["floor_s"],
        "gate": _figures(gate),
        "none": _figures(none),
        "manual": {"fastest": fastest, "tried": tried, "article": article},
    }


def _figures(run: Json) -> Json:
    keys = ("connected", "last_connected_s", "t50_s", "t99_s", "failed_attempts", "wasted_work", "max_in_flight")
    return {key: run[key] for key in keys}


def _fastest(scenario: Scenario, tell: Tell) -> tuple[Json | None, int]:
    """Return the quickest way by hand without a failed attempt or wasted work, and how many ways were tried.

    The ways are tried in the order of the time that their pauses alone take, so the search ends early and misses none.
    """
    hosts = scenario.host_count
    ways = sorted((_pauses_s(hosts, batch, pause), batch, pause) for batch in _BATCHES for pause in _PAUSES_S)
    best: Json | None = None
    for index, (pauses_s, batch, pause_s) in enumerate(ways):
        if best is not None and scenario.down_until_s + pauses_s >= best["last_connected_s"]:
            return best, index
        way = _by_hand(scenario, batch, pause_s, _SEEDS, _span(tell, index / len(ways), (index + 1) / len(ways)))
        if not way["played"]:
            return best or way, index
        if way["clean"] and (best is None or way["last_connected_s"] < best["last_connected_s"]):
            best = way
    return best, len(ways)


def _by_hand(scenario: Scenario, batch: int, pause_s: int, seeds: int, tell: Tell) -> Json:
    """Return what comes of a restart by hand, the worst of ``seeds``; its pauses alone where it takes too long."""
    policy = KbManual(kind="kb-manual", batch=batch, pause=Duration.from_seconds(pause_s))
    way: Json = {"batch": batch, "pause_s": pause_s, "played": with_time_for(policy, scenario) is not None}
    if not way["played"]:
        pauses_s = _pauses_s(scenario.host_count, batch, pause_s)
        return {**way, "clean": None, "last_connected_s": scenario.down_until_s + pauses_s}
    last: float | None = 0.0
    first = scenario.scenario.seed
    for seed in range(first, first + seeds):
        run = rehearse_policy(scenario.played_with(seed=seed), "kb-manual", policy, tell)
        ends = run["last_connected_s"]
        last = None if last is None or ends is None else max(last, ends)
        if ends is None or sum(run["failed_attempts"].values()) or run["wasted_work"]:
            return {**way, "clean": False, "last_connected_s": last}
    return {**way, "clean": True, "last_connected_s": last}


def _pauses_s(hosts: int, batch: int, pause_s: int) -> int:
    """Return the seconds from the first batch to the last."""
    return (math.ceil(hosts / batch) - 1) * pause_s


def _span(tell: Tell, begin: float, end: float) -> Tell:
    return lambda name, share: tell(name, begin + share * (end - begin))
