"""No storm at all: what a peer adds to the latency of calls when nobody needs to be protected."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import Any

from benches.peers import ORIGIN_CPU
from benches.peers.storm import Place, launch
from benches.process import BenchError, free_port
from benches.storm_world import Terms
from tidegate.lab.world import World, lab_binary

RATE = 1000
CONNECTIONS = 50


@dataclass(frozen=True)
class Calm:
    """How often the client measures the server with and without the peer in turn, and how long each time."""

    turns: int = 3
    seconds: float = 3.0


def added_p99_ms(peer: str, seed: int, terms: Terms, calm: Calm) -> float:
    """Return the p99 through `peer` minus the p99 without it, in milliseconds: the median over all turns.

    Raises
    ------
    BenchError
        A request was not answered with 200, or the peer does not start.
    LabError
        A lab process does not start.
    """
    with World() as world:
        lab = ["taskset", "--cpu-list", str(ORIGIN_CPU), str(lab_binary())]
        origin, ready = world.start("origin", [*lab, "origin", "{}"])
        address = str(ready["address"])
        place = Place(world.folder, address, free_port(), terms.speed, seed, "http", None, terms.best)
        gate = launch(peer, place)
        try:
            through = f"127.0.0.1:{place.port}"
            _p99_ms(world, "warm-up", lab, through, 1.0)
            added = [
                _p99_ms(world, f"through-{turn}", lab, through, calm.seconds)
                - _p99_ms(world, f"direct-{turn}", lab, address, calm.seconds)
                for turn in range(calm.turns)
            ]
        finally:
            gate.stop()
        origin.say({"cmd": "stop"})
    return round(statistics.median(added), 3)


def _p99_ms(world: World, name: str, lab: list[str], target: str, seconds: float) -> float:
    spec = {"target": target, "rate": RATE, "connections": CONNECTIONS, "duration_s": seconds}
    child, _ = world.start(name, [*lab, "load", json.dumps(spec)])
    child.say({"cmd": "go"})
    seen: dict[str, Any] = {}
    for who, message in world.hear(seconds + 15):
        if (who, message["kind"]) == (name, "final"):
            seen = message
            break
    if seen.get("statuses") != {"200": seen.get("offered")}:
        raise BenchError(f"of {seen.get('offered')} requests not all were answered with 200: {seen.get('statuses')}")
    return float(seen["p99_ms"])
