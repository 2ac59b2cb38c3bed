"""An engine that plays nothing: results as Rust could have given them, for tests of what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["NEVER", "FakeEngine", "result"]

Json = dict[str, Any]


def result(**changed: Any) -> Json:
    """Return what a rehearsal gives in which everything went well, but for what is ``changed``."""
    return {
        "format": 1,
        "policy": "tidegate",
        "hosts": 300,
        "connected": 300,
        "floor_s": 32.4,
        "last_connected_s": 40.0,
        "t50_s": 20.0,
        "t99_s": 39.0,
        "failed_attempts": {"timeout": 0, "turned_away": 57, "refused": 0, "broken": 0},
        "wasted_work": 0.0,
        "useful_units": 600.0,
        "wasted_units": 0.0,
        "jain_connect_time": 0.75,
        "jain_attempts": 0.9,
        "max_in_flight": 23,
        "decisions": 1400,
        "events": 9000,
        "wall_s": 0.02,
        "parameters": {"seed": 1},
        "curves": {
            "t": [0.0, 20.0, 40.0],
            "connected": [0, 150, 300],
            "held": [270, 100, 0],
            "in_flight": [4, 22, 3],
            "limit": [4, 22, 22],
        },
        "populations": [{"name": "esx", "t50_s": 20.0}],
        **changed,
    }


NEVER: Json = {
    "connected": 3,
    "last_connected_s": None,
    "t50_s": None,
    "t99_s": None,
    "failed_attempts": {"timeout": 5000, "turned_away": 0, "refused": 40, "broken": 0},
    "wasted_work": 0.99,
    "jain_connect_time": None,
}


class FakeEngine:
    """Stands in for ``tidegate.sim.engine.play``; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Json, Json]] = []

    def __call__(self, spec: bytes, policy: Json, progress: Callable[[float], None]) -> Json:
        world = json.loads(spec)
        self.asked.append((world, policy))
        progress(0.5)
        return {**self.answer(world, policy), "parameters": {"seed": world["seed"], **policy}}

    def answer(self, world: Json, policy: Json) -> Json:
        """Give the better results the better the policy fits a knee of 22; by hand it takes what the pauses take."""
        hosts = sum(population.get("hosts", 0) for population in world["populations"])
        everyone = {"hosts": hosts, "connected": hosts}
        clean = {"timeout": 0, "turned_away": 0, "refused": 0, "broken": 0}
        match policy["kind"]:
            case "none":
                return result(hosts=hosts, **NEVER)
            case "kb-manual":
                begin = world["populations"][0]["begin_s"]
                last = begin + (-(-hosts // policy["batch"]) - 1) * policy["pause_s"] + 3.0
                too_fast = policy["batch"] > policy["pause_s"]
                failed = {**clean, "timeout": 9} if too_fast else clean
                waste = 0.1 if too_fast else 0.0
                return result(**everyone, last_connected_s=last, failed_attempts=failed, wasted_work=waste)
            case "haproxy":
                last = 40.0 + abs(policy["maxconn"] - 16) + abs(policy["timeout_queue_s"] - 25)
                over = last > world["window_s"]
                return result(hosts=hosts, **NEVER) if over else result(**everyone, last_connected_s=last)
        return result(**everyone)
