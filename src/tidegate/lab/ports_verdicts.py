"""What a proxy says about its servers: which are down, and how often each was taken out."""

from __future__ import annotations

import asyncio
import csv
import io
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tidegate.errors import GateUnreachable
from tidegate.gate.admin import AdminClient

__all__ = ["Gate", "Haproxy", "Look", "Watch"]

_LOOK_S = 0.05
"""Seconds between two looks."""
_ANSWER_MAX = 1 << 20


class Look(Protocol):
    """Says which servers a proxy holds to be down."""

    def down(self) -> Sequence[str]:
        """Return their names now; an empty list while the proxy does not answer."""


class Haproxy:
    """HAProxy, by its stats socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def down(self) -> list[str]:
        """Return the servers whose status is DOWN, on their way up or not."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
                talk.settimeout(1)
                talk.connect(str(self._path))
                talk.sendall(b"show stat -1 4 -1\n")
                answer = b""
                while (piece := talk.recv(65536)) and len(answer) < _ANSWER_MAX:
                    answer += piece
        except OSError:
            return []
        rows = csv.DictReader(io.StringIO(answer.decode(errors="replace").removeprefix("# ")))
        return [row["svname"] for row in rows if row["status"].startswith("DOWN")]


class Gate:
    """tidegate, by its admin socket."""

    def __init__(self, path: Path) -> None:
        self._admin = AdminClient(path, timeout_s=1)

    def down(self) -> list[str]:
        """Return the servers whose phase is `down`."""
        try:
            services = self._admin.status()["services"]
        except GateUnreachable:
            return []
        return [server["name"] for service in services for server in service["servers"] if server["phase"] == "down"]


class Watch:
    """Looks again and again, and counts how often a server that was not down is."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.times = 0
        self.down: frozenset[str] = frozenset()

    def once(self) -> None:
        """Look once."""
        now = frozenset(self._look.down())
        self.times += len(now - self.down)
        self.down = now

    async def until(self, over: asyncio.Event) -> None:
        """Look until ``over`` is set; the look itself runs in a thread, so that it holds up no client."""
        while not over.is_set():
            await asyncio.to_thread(self.once)
            await asyncio.sleep(_LOOK_S)
