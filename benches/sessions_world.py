"""One cell of `bench-sessions`: the lab's vCenter on one CPU with its clients, a peer before it on the other."""

from __future__ import annotations

import json
import ssl
import sys
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from benches.peers import ORIGIN_CPU
from benches.peers.sessions import Knobs, Site, launch
from benches.process import BenchError, Process
from tidegate.lab.vcenter_caller import Target
from tidegate.lab.vcenter_scenario import VcenterScenario
from tidegate.lab.world import Child, World, lab_binary

_ANSWER_S = 10.0
_START_S = 60.0


@dataclass
class Stage:
    """The processes of one cell.

    Parameters
    ----------
    peer
        Who stands before the vCenter; `direct` is nobody.
    scenario
        What the vCenter is like.
    knobs
        What HAProxy is told.
    patience_s
        How long clients wait for an answer, in seconds of the clock.
    told
        What else the vCenter is told, by the keys of its specification.
    """

    peer: str
    scenario: VcenterScenario
    knobs: Knobs
    patience_s: float
    told: dict[str, Any] = field(default_factory=dict)
    world: World = field(default_factory=World)
    proxy: Process | None = None
    address: str = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.proxy:
            self.proxy.stop()
        self.world.__exit__(None, None, None)

    def _start(self) -> None:
        folder, scenario = self.world.folder, self.scenario
        self.world.run([lab_binary(), "certificates", folder, "--hosts", "1"])
        self._vcenter, ready = self.child("vcenter", "vcenter_front", {**scenario.front(folder), **self.told})
        self.address = str(ready["address"])
        if self.peer != "direct":
            site = Site(
                folder,
                self.address,
                seed=scenario.seed,
                speed=scenario.speed,
                patience_s=self.patience_s,
                knobs=self.knobs,
            )
            self.proxy, port = launch(self.peer, site)
            self.address = f"127.0.0.1:{port}"

    def child(self, name: str, module: str, spec: dict[str, Any]) -> tuple[Child, dict[str, Any]]:
        """Start a process of the lab on the CPU that it shares with the clients; return it and its ready line."""
        path = self.world.write(f"{name}.json", json.dumps(spec))
        command = ["taskset", "--cpu-list", str(ORIGIN_CPU), sys.executable, "-m", f"tidegate.lab.{module}", f"@{path}"]
        return self.world.start(name, command, within_s=_START_S)

    def target(self) -> Target:
        """Return where clients of this process connect to."""
        host, _, port = self.address.rpartition(":")
        trust = ssl.create_default_context(cafile=str(self.world.folder / "ca.pem"))
        return Target(host, int(port), "gate.lab", trust)

    def cpu_us(self) -> float:
        """Return the peer's CPU time so far in microseconds; 0 for nobody's."""
        return self.proxy.cpu_us() if self.proxy else 0.0

    def counts(self) -> dict[str, Any]:
        """Ask the vCenter what it has seen.

        Raises
        ------
        BenchError
            It has ended, or does not answer.
        """
        self._vcenter.say({"cmd": "counts"})
        return self.heard("vcenter", "counts", _ANSWER_S)

    def heard(self, name: str, kind: str, within_s: float) -> dict[str, Any]:
        """Wait until a child says something of a kind; return it.

        Raises
        ------
        BenchError
            It has ended, or does not say it in time.
        """
        for child, message in self.world.hear(within_s):
            if (child, message["kind"]) == (name, kind):
                return message
            if message["kind"] == "ended":
                raise BenchError(f"{child} ended before its time: {message['why']}")
        raise BenchError(f"{name} does not say what it has seen")
