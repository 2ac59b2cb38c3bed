"""How the parts of one scenario must fit together: what a single key cannot know."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.config.broken import Broken
from tidegate.sim.policies import BUILT_IN
from tidegate.sim.scenario import Fixed, Hosts, Jittered, RetryAfter, Scenario, Server
from tidegate.units import Duration

__all__ = ["HOSTS_MAX", "POINTS_MAX", "broken_rules"]

Path = tuple[str | int, ...]

HOSTS_MAX = 1_000_000
"""Hosts of one scenario, all populations together."""

POINTS_MAX = 20_000
"""Points of a curve."""

_LATE = "it would never happen: the window is over before"


def broken_rules(scenario: Scenario) -> Iterator[Broken]:
    """Yield every rule that ``scenario`` breaks."""
    yield from _positive(("scenario",), scenario.scenario, "window", "sample")
    if scenario.scenario.sample.count * POINTS_MAX < scenario.scenario.window.count:
        hint = f"a curve has at most {POINTS_MAX} points in the window of {scenario.scenario.window}"
        yield Broken(("scenario", "sample"), "the points of the curves are too close", hint)
    for name, server in scenario.server.items():
        yield from _server(("server", name), server)
    for name, hosts in scenario.hosts.items():
        yield from _hosts(("hosts", name), hosts)
    for name, bulk in scenario.bulk.items():
        yield from _positive(("bulk", name), bulk, "timeout")
    for index, flap in enumerate(scenario.network.flap):
        yield from _positive(("network", "flap", index), flap, "down")
    yield from _positive(("gate",), scenario.gate, "down")
    yield from _in_window(scenario)
    if scenario.host_count > HOSTS_MAX:
        hint = f"all populations together may have {HOSTS_MAX}"
        yield Broken(("hosts",), f"{scenario.host_count} hosts are more than can be played", hint)
    for name, policy in scenario.policy.items():
        if name in BUILT_IN:
            yield Broken(("policy", name), f'"{name}" is built in', "choose another name")
        yield from _positive(("policy", name), policy, "timeout_queue", "pause", "update", "min_rtt_interval")


def _server(at: Path, server: Server) -> Iterator[Broken]:
    yield from _positive(at, server, "unit", "session_idle", "crash_down")
    both = server.sigma is not None and server.kappa is not None
    neither = server.sigma is None and server.kappa is None
    if server.law != "usl" and not neither:
        yield Broken(
            at, f'the law "{server.law}" has a knee, and neither sigma nor kappa', 'write knee, or law = "usl"'
        )
    elif both == (server.knee is not None) or not (both or neither):
        message = "nothing says how much the server can work on" if neither else "a server has one law"
        yield Broken(at, message, "write knee, or both sigma and kappa")
    for index, change in enumerate(server.change):
        there = (*at, "change", index)
        yield from _positive(there, change, "unit", "restart_for")
        if change.knee is None and change.unit is None and change.restart_for is None:
            yield Broken(there, "nothing changes", "write knee, unit or restart_for")
        elif change.restart_for is not None and (change.knee is not None or change.unit is not None):
            yield Broken(there, "a change is a restart or a new capacity", "write two changes with the same time")


def _hosts(at: Path, hosts: Hosts) -> Iterator[Broken]:
    yield from _positive(at, hosts, "timeout")
    yield from _positive((*at, "poll"), hosts.poll, "every")
    opening = [step.times if step.role == "open" else 0 for step in hosts.script]
    if opening[:1] != [1] or sum(opening) != 1:
        hint = 'give role = "open" to the first call, made once, and to no other'
        yield Broken((*at, "script"), "a host opens one session, and first of all", hint)
    retry = hosts.retry
    if isinstance(retry, Fixed | RetryAfter) and retry.min > retry.max:
        yield Broken((*at, "retry"), f"min is longer than max, which is {retry.max}")
    if isinstance(retry, Jittered) and retry.base > retry.cap:
        yield Broken((*at, "retry"), f"base is longer than cap, which is {retry.cap}")
    yield from _positive((*at, "retry"), retry, "max", "after", "base", "cap")


def _in_window(scenario: Scenario) -> Iterator[Broken]:
    times: list[tuple[Path, Duration]] = []
    for name, server in scenario.server.items():
        times.append((("server", name, "down_until"), server.down_until))
        times += [(("server", name, "change", i, "at"), change.at) for i, change in enumerate(server.change)]
    times += [(("hosts", name, "begin"), hosts.begin) for name, hosts in scenario.hosts.items()]
    times += [(("bulk", name, "begin"), bulk.begin) for name, bulk in scenario.bulk.items()]
    times += [(("network", "flap", i, "at"), flap.at) for i, flap in enumerate(scenario.network.flap)]
    times += [(("gate", "restart_at"), at) for at in scenario.gate.restart_at]
    for path, at in times:
        if at >= scenario.scenario.window:
            yield Broken(path, _LATE, f"choose less than scenario.window, which is {scenario.scenario.window}")


def _positive(at: Path, table: object, *names: str) -> Iterator[Broken]:
    for name in names:
        value = getattr(table, name, None)
        if isinstance(value, Duration) and value.count == 0:
            yield Broken((*at, name), "no time at all may not stand here", "write the time that you mean")
