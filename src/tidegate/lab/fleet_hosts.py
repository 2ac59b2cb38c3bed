"""Hosts of the lab: each is a file of its own, so that it outlives whoever works on it, and counts its restarts itself.

A host's service has an identity (boot id, pid, start time) and changes in one rename: whoever is killed in the middle
has done it or has not. It may misbehave: ``hangs``, ``fails``, comes back ``slow``, or starts and ``never`` reconnects.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tidegate.fleet.act import Evidence, Host

__all__ = ["FleetHosts", "LabHost", "Misbehaviour"]

Misbehaviour = Literal["", "hangs", "fails", "slow", "never"]

_GRAIN_NS = 100_000_000
"""Longer than the grain of any file system's times, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class LabHost:
    """What one host's file says."""

    name: str
    boot_id: str
    pid: int
    start_time: float
    state: str = "running"
    misbehaves: Misbehaviour = ""
    starts: int = 0
    stops: int = 0

    def evidence(self) -> Evidence:
        """Return what a look at the host shows."""
        return {"boot_id": self.boot_id, "pid": self.pid, "start_time": self.start_time, "state": self.state}

    def stopped(self) -> LabHost:
        """Return the host after its service was stopped."""
        if self.state == "stopped":
            return self
        return dataclasses.replace(self, state="stopped", stops=self.stops + 1)

    def started(self, now: float) -> LabHost:
        """Return the host after its service was started."""
        if self.state == "running":
            return self
        return dataclasses.replace(self, state="running", pid=self.pid + 7, start_time=now, starts=self.starts + 1)


class FleetHosts:
    """The hosts of one world, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked = 0
        self._seen: dict[str, tuple[tuple[int, int], LabHost]] = {}

    @classmethod
    def of(cls, world: Path) -> FleetHosts:
        """Return the hosts of the world in ``world``."""
        return cls(world / "hosts")

    def make(self, count: int, seed: int, misbehaving: Mapping[int, Misbehaviour] | None = None) -> list[Host]:
        """Make ``count`` hosts in clusters of 8; return the inventory.

        Parameters
        ----------
        count, seed
            How many, and of what randomness.
        misbehaving
            How the n-th host misbehaves, from 0.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        rng = random.Random(seed)  # noqa: S311 (the same seed gives the same hosts)
        hosts = []
        for n in range(count):
            name = f"esx{n + 1:04}.lab"
            boot, pid = f"{rng.getrandbits(64):016x}", rng.randrange(2_000_000, 2_300_000)
            self.write(LabHost(name, boot, pid, 0.0, misbehaves=(misbehaving or {}).get(n, "")))
            labels = {"bound_vvols": str(rng.choice([0, 0, 3, 12]))}
            hosts.append(Host(name, name, f"cluster-{n // 8 + 1}", labels))
        return hosts

    def changed(self) -> bool:
        """Return whether a host may have changed since the last call: every change is one in the folder.

        A folder's time has a grain, so one that changed just now may change again without another time.
        """
        changed, now = self._folder.stat().st_mtime_ns, time.time_ns()
        old, self._looked = self._looked, changed
        return changed != old or now - changed < _GRAIN_NS

    def read(self, name: str) -> LabHost:
        """Return the host as it is now."""
        file = self._folder / f"{name}.json"
        status = file.stat()
        stamp = (status.st_ino, status.st_mtime_ns)  # every change is a new file
        found = self._seen.get(name)
        if found is None or found[0] != stamp:
            found = (stamp, LabHost(**json.loads(file.read_text(encoding="utf-8"))))
            self._seen[name] = found
        return found[1]

    def write(self, host: LabHost) -> None:
        """Change the host, at once and for good."""
        file = self._folder / f"{host.name}.json"
        temporary = file.with_suffix(f".{os.getpid()}.part")
        temporary.write_text(json.dumps(dataclasses.asdict(host)), encoding="utf-8")
        temporary.replace(file)
        self._seen.pop(host.name, None)

    def all(self) -> Iterator[LabHost]:
        """Return every host."""
        for file in sorted(self._folder.glob("*.json")):
            yield self.read(file.stem)
