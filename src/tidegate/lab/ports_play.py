"""Plays the exhaustion of a small port range through one gate: KB 425869 in half a minute, without root.

Two servers that are well, a gate that may use twenty source ports towards each, and more clients than that who hold a
connection. The gate runs out of ports; nothing else is wrong. Later one server really dies.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.errors import LabError
from tidegate.lab.ports_clients import Tally
from tidegate.lab.ports_haproxy import haproxy_file, haproxy_program
from tidegate.lab.ports_trial import Moment, Outcome, Terms, Trial, run_to_end
from tidegate.lab.ports_verdicts import Gate, Haproxy, Look
from tidegate.lab.world import Child, World

__all__ = ["GateName", "PortsDemo", "PortsResult", "play_ports"]

GateName = Literal["haproxy", "tidegate"]

_ANSWER_S = 5.0
_FALL, _RISE = 3, 2
_GATE = """\
[gate]
admin = "unix:{folder}/admin.sock"
seed = {seed}

[gate.ports]
range = "{first}-{last}"

[service.ports]
listen = "127.0.0.1:{port}"
protocol = "http"
mode = "enforce"

[service.ports.admission]
client_timeout = "{patience_s:g}s"

[service.ports.monitor]
kind = "tcp"
interval = "{every_ms}ms"
timeout = "{every_ms}ms"
fast = "{every_ms}ms"
fall = {fall}
rise = {rise}
"""
_SERVER = """
[service.ports.server.{name}]
address = "{address}"
limit = "static:1000"
"""


@dataclass(frozen=True, slots=True)
class PortsDemo:
    """What is played.

    Parameters
    ----------
    clients
        How many hold a connection at once.
    hold_s
        For how long, in seconds.
    ports
        First and last source port towards each server, below ``ip_local_port_range`` as a rule.
    every_ms
        Interval and timeout of the health checks, in milliseconds; fall is 3 and rise 2 for both gates.
    patience_s
        How long a client waits for an answer, in seconds.
    """

    clients: int = 60
    hold_s: float = 6.0
    ports: tuple[int, int] = (20_000, 20_019)
    every_ms: int = 500
    patience_s: float = 20.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class PortsResult:
    """What came of it: the trial's outcome, and the most connections that were open at the servers together."""

    outcome: Outcome
    backend_connections: int


def play_ports(demo: PortsDemo, gate: GateName, watch: Callable[[Moment], None], *, keep: bool = False) -> PortsResult:
    """Play it once through ``gate``.

    Raises
    ------
    LabError
        When a process of the world does not start, or ends before its time.
    """
    with World(keep=keep) as world:
        return _Play(world, demo, gate, watch).result()


class _Play:
    def __init__(self, world: World, demo: PortsDemo, gate: GateName, watch: Callable[[Moment], None]) -> None:
        self._world, self._demo = world, demo
        self._servers: dict[str, Child] = {}
        addresses = {name: self._server(name) for name in ("a", "b")}
        port = _free_port()
        self._peak = 0
        self._checks = {"every_ms": demo.every_ms, "fall": _FALL, "rise": _RISE}
        self._checks |= dict(zip(("first", "last"), demo.ports, strict=True))
        start = self._haproxy if gate == "haproxy" else self._tidegate
        look = start(port, addresses)
        terms = Terms(("127.0.0.1", port), patience_s=demo.patience_s, up_within_s=12, down_within_s=8)
        self._trial = Trial(terms, look, self._release, self._kill, tell=watch)

    def _server(self, name: str) -> str:
        spec = json.dumps({"listen": ["127.0.0.1:0"]})
        child, ready = self._world.start(name, [sys.executable, "-m", "tidegate.lab.ports_origin", spec])
        self._servers[name] = child
        return str(ready["addresses"][0])

    def _haproxy(self, port: int, addresses: dict[str, str]) -> Look:
        program = haproxy_program()
        if program is None:
            raise LabError("HAProxy is not installed", hint="on Debian: apt-get install haproxy")
        path = self._world.folder / "haproxy.sock"
        file = self._world.write("haproxy.cfg", haproxy_file(f"127.0.0.1:{port}", addresses, path, **self._checks))
        self._world.start("haproxy", [sys.executable, "-m", "tidegate.lab.ports_haproxy", program, file, path])
        return Haproxy(path)

    def _tidegate(self, port: int, addresses: dict[str, str]) -> Look:
        demo, folder = self._demo, self._world.folder
        text = _GATE.format(folder=folder, port=port, seed=demo.seed, patience_s=demo.patience_s, **self._checks)
        text += "".join(_SERVER.format(name=name, address=address) for name, address in addresses.items())
        file = self._world.write("gate.toml", text)
        command: list[Any] = [sys.executable, "-m", "tidegate", "gate", "run", file]
        self._world.start("tidegate", [*command, "--output", "jsonl", "--until-eof"])
        return Gate(folder / "admin.sock")

    def _release(self) -> None:
        for child in self._servers.values():
            child.say({"cmd": "release"})

    def _kill(self) -> None:
        self._servers["a"].process.kill()

    def _peak_of(self, child: Child) -> int:
        child.say({"cmd": "counts"})
        for name, message in self._world.hear(_ANSWER_S):
            if (name, message["kind"]) == (child.name, "counts"):
                return int(message["peak"])
            if message["kind"] == "ended":
                raise LabError(f"{name} ended before its time: {message['why']}")
        raise LabError(f"the server {child.name} does not say what it has seen")

    def result(self) -> PortsResult:
        """Let the clients come, and return what came of it."""

        async def held(tally: Tally) -> None:
            await self._trial.hold(tally, self._demo.clients, self._demo.hold_s)
            self._peak = sum(self._peak_of(child) for child in self._servers.values())

        outcome = run_to_end(self._trial.play("connections are held", held))
        return PortsResult(outcome, self._peak)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
