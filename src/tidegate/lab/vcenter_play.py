"""Plays scripts against the lab's vCenter once, straight or through the gate, and measures.

Logins, sessions, expired tokens and calls in flight are the vCenter's own counters; failures and durations are what the
scripts saw. All times are seconds of the clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tidegate.config.write import to_toml
from tidegate.errors import LabError
from tidegate.lab.vcenter_front_vcsim import find_vcsim
from tidegate.lab.vcenter_scenario import VcenterScenario
from tidegate.lab.world import Child, Message, World, lab_binary

__all__ = ["VcenterMoment", "VcenterResult", "play_scripts", "vcsim_program"]

_LOOK_S = 0.25
_GRACE_S = 5.0
"""How long after the window the scripts may take to say their last word."""
_START_S = 30.0
"""How long the vCenter may take to make its inventory."""

Sample = dict[str, Any]


@dataclass(slots=True)
class VcenterMoment:
    """How things stand, for who watches."""

    t: float = 0.0
    running: int = 0
    done: int = 0
    broken: int = 0
    calls: int = 0
    failed_calls: int = 0
    sessions: int = 0
    logins: int = 0
    in_flight: int = 0
    tasks_queued: int = 0
    """Tasks that have not ended: in the hosts' queue, or worked on."""
    expired: int = 0
    held: int = 0
    """Calls that scripts wait for and that are not at the vCenter: they wait at the gate."""


@dataclass(slots=True)
class VcenterResult:
    """What one run came to."""

    gate: bool
    scripts: Sample = field(default_factory=dict)
    """The last word of the scripts."""
    counts: Sample = field(default_factory=dict)
    """The vCenter's counters at the end."""
    seconds: float = 0.0
    samples: list[VcenterMoment] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """Return the figures of this run under their stable names."""
        counts, scripts = self.counts, self.scripts
        return {
            "upstream_logins": counts["logins"],
            "clones": counts["clones"],
            "peak_sessions": counts["peak_sessions"],
            "peak_in_flight": counts["peak_in_flight"],
            # A task whose token expired ends with the same fault.
            "not_authenticated": sum(counts["not_authenticated"].values()) + counts["expired_in_queue"],
            "refused": sum(counts["refused"].values()),
            "expired_in_queue": counts["expired_in_queue"],
            "calls": scripts["calls"],
            "failed_calls": scripts["failed_calls"],
            "scripts_done": scripts["done"],
            "scripts_broken": scripts["broken"],
            "scripts_unfinished": scripts["unfinished"],
            "p99_ms": _quantile(scripts["durations_ms"], 0.99),
            "seconds": round(self.seconds, 1),
        }


def play_scripts(
    scenario: VcenterScenario, *, gate: bool, watch: Callable[[VcenterMoment], None], keep: bool = False
) -> VcenterResult:
    """Play ``scenario`` once.

    Parameters
    ----------
    gate
        Whether the gate stands between the scripts and the vCenter.
    watch
        Called a few times a second with how things stand.
    keep
        Leave the world's folder.

    Raises
    ------
    LabError
        When a process of the world does not start, or ends before its time.
    """
    with World(keep=keep) as world:
        return _Run(world, scenario, gate, watch).result()


def vcsim_program() -> Path:
    """Return the simulator: in a checkout as ``scripts/vcsim`` has built it or builds it now, else where it is found.

    Raises
    ------
    LabError
        When it is nowhere, and cannot be built.
    """
    script = Path(__file__).resolve().parents[3] / "scripts" / "vcsim"
    if script.is_file():
        built = subprocess.run([script], capture_output=True, text=True, check=False)
        if built.returncode == 0:
            return Path(built.stdout.strip())
    return find_vcsim()


class _Run:
    def __init__(
        self, world: World, scenario: VcenterScenario, gate: bool, watch: Callable[[VcenterMoment], None]
    ) -> None:
        self._world, self._watch, self._scenario = world, watch, scenario
        self._result, self._now = VcenterResult(gate=gate), VcenterMoment()
        folder = world.folder
        world.run([lab_binary(), "certificates", folder, "--hosts", "1"])
        front = world.write("vcenter.json", json.dumps({**scenario.front(folder), "vcsim": str(vcsim_program())}))
        self._vcenter, ready = self._python("vcenter", "tidegate.lab.vcenter_front", f"@{front}")
        target = str(ready["address"])
        if gate:
            file = world.write("gate.toml", to_toml(scenario.gate(folder, target)))
            command = ("tidegate", "gate", "run", file, "--output", "jsonl", "--until-eof")
            target = str(self._python("gate", *command)[1]["services"]["vcenter"])
        scripts = world.write("scripts.json", json.dumps(scenario.scripts_spec(folder, target)))
        self._scripts, _ = self._python("scripts", "tidegate.lab.vcenter_scripts", f"@{scripts}")

    def _python(self, name: str, *words: str | Path) -> tuple[Child, Message]:
        return self._world.start(name, [sys.executable, "-m", *words], within_s=_START_S)

    def result(self) -> VcenterResult:
        """Let the scripts begin and return what came of it."""
        self._scripts.say({"cmd": "go"})
        began = time.monotonic()
        while not self._result.scripts:
            if time.monotonic() - began > self._scenario.window_s + _GRACE_S:
                raise LabError("the scripts did not end with their window", hint="--keep leaves their log to look at")
            self._look()
            self._hear(_LOOK_S)
        self._result.seconds = time.monotonic() - began
        self._result.counts = {}
        self._vcenter.say({"cmd": "counts"})
        while not self._result.counts:
            if time.monotonic() - began > self._scenario.window_s + 2 * _GRACE_S:
                raise LabError("the vCenter does not say what it has seen", hint="--keep leaves its log to look at")
            self._hear(_LOOK_S)
        return self._result

    def _look(self) -> None:
        """Ask how things stand at the vCenter, and tell who watches."""
        self._vcenter.say({"cmd": "counts"})
        self._watch(self._now)

    def _hear(self, within_s: float) -> None:
        now = self._now
        for name, message in self._world.hear(within_s):
            match name, message["kind"]:
                case "scripts", "sample":
                    now.t, now.running, now.done, now.broken = (
                        message[key] for key in ("t", "running", "done", "broken")
                    )
                    now.calls, now.failed_calls = message["calls"], message["failed_calls"]
                    now.held = max(0, message["in_flight"] - now.in_flight) if self._result.gate else 0
                    self._result.samples.append(replace(now))
                case "vcenter", "counts":
                    now.sessions, now.logins, now.in_flight = (
                        message[key] for key in ("sessions", "logins", "in_flight")
                    )
                    now.expired = message["expired_in_queue"]
                    now.tasks_queued = message["tasks_queued"] - message["tasks_done"] - now.expired
                    self._result.counts = message
                case "scripts", "final":
                    self._result.scripts = message
                    return
                case _, "ended" if not (name == "scripts" and self._result.scripts):
                    raise LabError(f"{name} ended before its time: {message['why']}")


def _quantile(values: list[float], share: float) -> float | None:
    """Return what so large a share of the values is at most; ``None`` of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
