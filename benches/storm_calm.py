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


@dataclass(frozen=True)
class Added:
    """What a peer adds to the p99, in milliseconds, and the share of calls that it turned away without need."""

    p99_ms: float
    turned_away: float


def added(peer: str, seed: int, terms: Terms, calm: Calm) -> Added:
    """Return what `peer` adds: the medians over all turns.

    Raises
    ------
    BenchError
        A request got no answer, or one that is neither 200 nor 503; or the peer does not start.
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
            _offer(world, "warm-up", lab, through, 1.0)
            seen = [
                (
                    _offer(world, f"through-{turn}", lab, through, calm.seconds),
                    _offer(world, f"direct-{turn}", lab, address, calm.seconds),
                )
                for turn in range(calm.turns)
            ]
        finally:
            gate.stop()
        origin.say({"cmd": "stop"})
    return Added(
        p99_ms=round(statistics.median(peers.p99_ms - direct.p99_ms for peers, direct in seen), 3),
        turned_away=round(statistics.median(peers.turned_away for peers, _ in seen), 5),
    )


def _offer(world: World, name: str, lab: list[str], target: str, seconds: float) -> Added:
    """Offer requests at a fixed rate; latencies count from the time at which each was meant to begin."""
    spec = {"target": target, "rate": RATE, "connections": CONNECTIONS, "duration_s": seconds}
    child, _ = world.start(name, [*lab, "load", json.dumps(spec)])
    child.say({"cmd": "go"})
    seen: dict[str, Any] = {"offered": 0, "statuses": {}}
    for who, message in world.hear(seconds + 15):
        if (who, message["kind"]) == (name, "final"):
            seen = message
            break
    fine, away = (int(seen["statuses"].get(status, 0)) for status in ("200", "503"))
    if not fine or fine + away != seen["offered"]:
        raise BenchError(f"of {seen['offered']} requests not all were answered: {seen['statuses']}")
    return Added(float(seen["p99_ms"]), away / (fine + away))
