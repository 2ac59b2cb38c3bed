"""All hosts of a world, in one process that outlives controllers.

``python -m tidegate.lab.fleet_host_process FOLDER PROVIDER`` says one ready line, and ends with its parent.

A host is its file (``fleet_hosts``): whoever renames another file into its place has stopped or started its service.
This process sees it and does what a started ``vvold`` does: it connects to the provider, sends ``setContext``, polls as
long as its service runs, and begins anew when something fails. What it saw is in the world's ``calls.jsonl``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from pathlib import Path

from tidegate.lab.fleet_calls import CallBook, What
from tidegate.lab.fleet_hosts import FleetHosts, LabHost
from tidegate.lab.vasa_host import CallFailed, VasaLine
from tidegate.lab.world import die_with_parent

__all__ = ["Reconnecting", "main"]

_LOOK_S = 0.01
"""Seconds between two looks at the folder."""
_RETRY_S = 1.0
"""Seconds from a failure to the next attempt."""
_POLL_S = 1.0
"""Seconds between two polls of a host, at the least."""
_POLLS = 200
"""Polls per second of all hosts together, at the most."""


class Reconnecting:
    """The services that run, each with a task of its own.

    Parameters
    ----------
    hosts
        The hosts of the world.
    book
        Where it is written what became of their calls.
    provider
        What they reconnect to, as ``address:port``.
    """

    def __init__(self, hosts: FleetHosts, book: CallBook, provider: str) -> None:
        self._hosts, self._book, self._provider = hosts, book, provider
        self._names = [host.name for host in hosts.all()]
        self._poll_s = max(_POLL_S, len(self._names) / _POLLS)
        self._running: dict[str, tuple[int, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._names)

    async def watch(self) -> None:
        """Follow the hosts' files until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if self._hosts.changed():
                    for number, name in enumerate(self._names):
                        self._follow(self._hosts.read(name), number, tasks)
                await asyncio.sleep(_LOOK_S)

    def _follow(self, host: LabHost, number: int, tasks: asyncio.TaskGroup) -> None:
        """Begin or end what the host's service does.

        One that has run since the world began is not connected: its provider had collapsed, as in the article.
        """
        wanted = host.starts if host.state == "running" and host.misbehaves != "never" else 0
        start, task = self._running.get(host.name, (0, None))
        if wanted == start:
            return
        if task is not None:
            task.cancel()
            del self._running[host.name]
        if wanted:
            self._running[host.name] = wanted, tasks.create_task(self._live(host, number))

    async def _live(self, host: LabHost, number: int) -> None:
        while True:
            try:
                await self._connected(host, number)
            except CallFailed as error:
                self._say(host, "failed", str(error))
            except asyncio.CancelledError:
                self._say(host, "failed", "its service was stopped")
                raise
            await asyncio.sleep(_RETRY_S)

    async def _connected(self, host: LabHost, number: int) -> None:
        self._say(host, "asked")
        line = await VasaLine.open(self._provider, number)
        try:
            await line.set_context()
            self._say(host, "answered")
            await line.poll()
            self._say(host, "connected")
            while True:
                await asyncio.sleep(self._poll_s)
                await line.poll()
        finally:
            line.close()

    def _say(self, host: LabHost, what: What, why: str = "") -> None:
        self._book.write(host.name, host.starts, what, time.time(), why)


def main(arguments: list[str]) -> int:
    """Be the hosts of the world at ``arguments[0]``, whose provider is at ``arguments[1]``, until the parent ends."""
    folder = Path(arguments[0])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each host has a connection
    threading.Thread(target=die_with_parent, daemon=True).start()
    hosts = Reconnecting(FleetHosts.of(folder), CallBook(folder), arguments[1])
    print(json.dumps({"kind": "ready", "hosts": len(hosts)}), flush=True)
    asyncio.run(hosts.watch())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
