"""One storm under one policy or under several, and the search for the best HAProxy."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable

from tidegate.errors import UsageError
from tidegate.sim import engine
from tidegate.sim.engine import Json
from tidegate.sim.policies import BEST_HAPROXY, BUILT_IN, Haproxy, KbManual, Policy, built_in, haproxy_grid
from tidegate.sim.scenario import Scenario
from tidegate.sim.spec import compile_policy, compile_spec

__all__ = [
    "Tell",
    "names_of",
    "policies_of",
    "rehearse",
    "rehearse_all",
    "rehearse_policy",
    "scenario_json",
    "with_time_for",
]

Tell = Callable[[str, float], None]
"""Told which run is on, and which share of everything is done."""

_OTHER_SEED = 1_000_003
"""Added to the seed for the search: what is chosen on a storm must not be judged on the same."""
_POLLS_MAX = 10_000_000
"""A restart of very many hosts by hand takes days; one that takes more polls than this ends with the window."""


def policies_of(scenario: Scenario) -> dict[str, Policy]:
    """Return every policy that can be named, but the one that is searched for."""
    there = built_in(knee=scenario.best_in_flight, rate=scenario.best_rate, hosts=scenario.host_count)
    return {**there, **scenario.policy}


def names_of(scenario: Scenario, wanted: str) -> list[str]:
    """Return the policies that ``wanted`` names: ``all``, or names with commas between them.

    Raises
    ------
    UsageError
        When one of them does not exist.
    """
    known = [*BUILT_IN, *scenario.policy]
    if wanted == "all":
        return known
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(known)}"
            raise UsageError(f'there is no policy "{name}"', hint=hint)
    if not names:
        raise UsageError("no policy is named", hint=f"there are {', '.join(known)}")
    return list(dict.fromkeys(names))


def rehearse_all(scenario: Scenario, names: Iterable[str], tell: Tell) -> dict[str, Json]:
    """Play the storm under each policy of ``names``; return the results by name."""
    wanted = list(names)
    return {name: rehearse(scenario, name, _part(tell, i, len(wanted))) for i, name in enumerate(wanted)}


def rehearse(scenario: Scenario, name: str, tell: Tell) -> Json:
    """Play the storm under the policy ``name``; the best HAProxy is searched first."""
    if name != BEST_HAPROXY:
        return rehearse_policy(scenario, name, policies_of(scenario)[name], tell)
    best, grid = _search(scenario, _part(tell, 0, 2))
    return {**rehearse_policy(scenario, name, best, _part(tell, 1, 2)), "grid": grid}


def rehearse_policy(scenario: Scenario, name: str, policy: Policy, tell: Tell) -> Json:
    """Play the storm under one policy that is called ``name``.

    A restart by hand gets the time that its pauses take, as long as that can be played, and begins when no server is
    down.
    """
    not_before_s = 0.0
    if isinstance(policy, KbManual):
        not_before_s = scenario.down_until_s
        scenario = with_time_for(policy, scenario) or scenario
    spec = compile_spec(scenario, not_before_s=not_before_s)
    result = engine.play(spec, compile_policy(policy), lambda share: tell(name, share))
    return {**result, "policy": name}


def with_time_for(policy: KbManual, scenario: Scenario) -> Scenario | None:
    """Return the storm with the time that the pauses of a restart by hand take; ``None`` when that cannot be played."""
    run = scenario.scenario
    pauses_s = math.ceil(scenario.host_count / policy.batch) * policy.pause.seconds
    needed_s = run.window.seconds + scenario.down_until_s + pauses_s
    polls = sum(hosts.count / 2 * needed_s / hosts.poll.every.seconds for hosts in scenario.hosts.values())
    if polls > _POLLS_MAX:
        return None
    longer = needed_s / run.window.seconds
    return scenario.played_with(window_s=needed_s, sample_s=run.sample.seconds * longer)


def scenario_json(scenario: Scenario) -> Json:
    """Return what a report says about the storm itself."""
    run = scenario.scenario
    return {
        "title": run.title,
        "hosts": scenario.host_count,
        "seed": run.seed,
        "window_s": run.window.seconds,
        "best_in_flight": scenario.best_in_flight,
        "best_rate": round(scenario.best_rate, 3),
    }


def _search(scenario: Scenario, tell: Tell) -> tuple[Haproxy, Json]:
    """Return the settings with which a HAProxy does best on another seed, and how they were found.

    A run ends when it can no longer be the best, which loses nothing: the first of equals stays.
    """
    settings = list(haproxy_grid(scenario.best_in_flight))
    seed = (scenario.scenario.seed + _OTHER_SEED) % 2**63
    other = scenario.played_with(seed=seed)
    best, best_key = settings[0], (0, -math.inf, -math.inf)
    for index, setting in enumerate(settings):
        part = _part(tell, index, len(settings))
        result = rehearse_policy(other, BEST_HAPROXY, setting, part)
        last = result["last_connected_s"]
        key = (result["connected"], -(last if last is not None else math.inf), -sum(result["failed_attempts"].values()))
        if key > best_key:
            best, best_key = setting, key
            other = other if last is None else other.played_with(window_s=last)
    return best, {"runs": len(settings), "seed": seed, **compile_policy(best)}


def _part(tell: Tell, index: int, of: int) -> Tell:
    """Return what tells the progress of the part ``index`` of ``of`` equal parts."""
    return lambda name, share: tell(name, (index + share) / of)
