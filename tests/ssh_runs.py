"""Runs of ``tidegate fleet`` over the hosts of ``sshd``, as processes, and the provider that these reconnect to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sshd import SshSite
from tidegate.fleet import events as e
from tidegate.fleet.journal import open_journal
from tidegate.lab.world import Child, World, lab_binary

__all__ = ["Fleet", "Provider", "reached", "write_plan"]


def write_plan(folder: Path, made: SshSite, *, deadline: str = "60s", size: int = 2) -> Path:
    """Write a plan that restarts every host of a site, and its inventory; return the plan."""
    options = made.options()
    inventory = "".join(
        f'[[host]]\nname = "{host.folder.name}"\naddress = "{host.address}"\ncluster = "c{number % 2}"\n'
        for number, host in enumerate(made.hosts)
    )
    (folder / "hosts.toml").write_text(inventory)
    file = folder / "plan.toml"
    file.write_text(
        f"""
[run]
plan = "vvold-phased-restart"
[targets]
inventory = "hosts.toml"
[batch]
size = {size}
grow_to = {size}
pause = "1ms"
[verify]
quiet = "0s"
deadline = "{deadline}"
[ssh]
user = "{options.user}"
known_hosts = "{options.known_hosts}"
identity = "{options.identity}"
"""
    )
    return file


class Fleet:
    """Commands over one journal."""

    def __init__(self, state: str) -> None:
        self.state = state

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "tidegate", "fleet", *map(str, arguments), "--state", self.state]

    def ended(self, *arguments: object) -> tuple[int, Any, str]:
        command = [*self.command(*arguments), "--output", "json"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in ran.stderr
        return ran.returncode, json.loads(ran.stdout) if ran.stdout.strip() else None, ran.stderr

    def begun(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def only(self) -> str:
        """Return the name of the one run."""
        (run,) = self.ended("status")[1]["runs"]
        return str(run["run"])

    def controllers(self, run: str) -> list[int]:
        """Return the processes that took the run, the newest last."""
        journal = open_journal(self.state)
        events = [event for _, event in journal.events(run)]
        journal.close()
        return [int(event.by.rpartition(":")[2]) for event in events if isinstance(event, e.Taken)]


class Provider:
    """The lab's provider as a process: what the hosts of a site reconnect to."""

    def __init__(self, processes: World, made: SshSite, **spec: Any) -> None:
        self._processes = processes
        command: list[str | Path] = [
            lab_binary(),
            "provider",
            json.dumps({"speed": 1.0, "knee": 8, "unit_s": 0.2, **spec}),
        ]
        self.child: Child
        self.child, ready = processes.start("provider", command)
        for number, host in enumerate(made.hosts):
            host.register(ready["address"], number)

    def counted(self) -> Any:
        """End it and return its own counts."""
        self.child.say({"cmd": "stop"})
        return next(message for _, message in self._processes.hear(10) if message["kind"] == "final")


def reached(condition: Callable[[], bool], alive: Callable[[], bool]) -> bool:
    """Wait until something is so, or who brings it about has ended."""
    while alive():
        if condition():
            return True
        time.sleep(0.001)
    return False
