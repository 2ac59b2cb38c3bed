"""A listener of syslog as a source: UDP, TCP and TLS, numbered as one stream.

Whom a record is of is never what it says itself: it is the name in a client's verified certificate, else the address
that it came from; of a relay, the HOSTNAME that the relay put before it. What was not heard is a gap: while the watch
did not run, datagrams that the kernel or the watch had no room for, messages that were cut off, peers refused.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from tidegate.errors import UsageError
from tidegate.watch.live.model import Batch, Json
from tidegate.watch.live.syslog_gather import Gathered
from tidegate.watch.live.syslog_intake import Intake
from tidegate.watch.live.syslog_options import SyslogOptions, bound
from tidegate.watch.live.syslog_records import Relays
from tidegate.watch.live.syslog_streams import Connections, Streams
from tidegate.watch.live.syslog_tls import server_context
from tidegate.watch.live.syslog_udp import Datagrams

__all__ = ["Syslog"]

_HELD = 3_000_000_000
"""Nanoseconds for which a record may wait here and at the desk: it can be lost with a watch that stops after that."""
_LAST_S = 1.0
"""A desk that takes nothing for so long at the end is not waited for."""


class Syslog:
    """Listens as long as it runs.

    Parameters
    ----------
    name
        ``syslog.NAME``: its source and its only stream.
    stopped
        When a watch with the same state was last known to run (nanoseconds since 1970); ``None``: never.

    Attributes
    ----------
    ports
        Where it listens, by ``udp``, ``tcp`` and ``tls``; empty until :meth:`open`.
    """

    def __init__(self, name: str, options: SyslogOptions, *, stopped: int | None = None) -> None:
        self.name = name
        self.options = options
        self.ports: dict[str, int] = {}
        ways = {"udp": options.udp, "tcp": options.tcp, "tls": options.tls}
        self._ways = {way: address for way, address in ways.items() if address is not None}
        self._sockets: dict[str, socket.socket] = {}
        shown = ", ".join(f"{way} {address}" for way, address in self._ways.items())
        self._intake = Intake(name, shown, Relays(options.relays))
        self._connections = Connections(options.caps)
        self._datagrams: Datagrams | None = None
        self._tls: ssl.SSLContext | None = None
        if stopped is not None:
            self._intake.lost("not_running", "the watch did not run", count=0, since=stopped - _HELD)

    def open(self) -> None:
        """Take the ports, so that what is sent from now on waits in the kernel until :meth:`run`.

        Raises
        ------
        UsageError
            When an address cannot be had, or TLS cannot be spoken with these files.
        """
        if self._sockets:
            return
        options = self.options
        if options.tls is not None:
            if not (options.certificate and options.key):
                raise UsageError(f"{self.name} has no certificate for TLS.", hint="name a certificate and its key")
            self._tls = server_context(options.certificate, options.key, options.clients)
        try:
            for way, address in self._ways.items():
                kind = socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM
                self._sockets[way] = bound(address, kind)
                self.ports[way] = self._sockets[way].getsockname()[1]
                if way == "udp":
                    self._datagrams = Datagrams(self._intake, self._sockets[way])
        except UsageError:
            self.close()
            raise

    def close(self) -> None:
        """Give the ports back."""
        for opened in self._sockets.values():
            opened.close()
        self._sockets.clear()

    async def run(self, put: Callable[[Batch], Awaitable[None]], saved: Mapping[str, Json]) -> None:
        """Listen until cancelled.

        Parameters
        ----------
        put
            Takes a batch; while it waits, connections are not read, and datagrams wait within bounds.
        saved
            Positions by stream, as batches have them.

        Raises
        ------
        UsageError
            As :meth:`open`; when ``saved`` was written by another version.
        """
        if position := saved.get(self.name):
            self._intake.resume(position)
        self.open()
        loop = asyncio.get_running_loop()
        if self._datagrams:
            loop.add_reader(self._sockets["udp"], self._datagrams.read)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._give(put))
                for way in self._sockets.keys() - {"udp"}:
                    tls = self._tls if way == "tls" else None
                    tasks.create_task(Streams(self._intake, self._connections, self._sockets[way], tls).run())
        finally:
            if self._datagrams:
                loop.remove_reader(self._sockets["udp"])
            self.close()

    def view(self) -> Json:
        """Return what it does, for people and metrics; ``lost`` counts records by kind of gap since the start."""
        return {
            "streams": 1,
            "listens": dict(self._ways),
            "connections": self._connections.of.total(),
            "peers": len(self._connections.of),
            "records": self._intake.records,
            "lag_bytes": self._intake.waiting,
            "lost": dict(self._intake.losses.counts),
            "troubles": [f"{gap.kind}: {gap.detail}" for gap in self._intake.troubles],
        }

    async def _give(self, put: Callable[[Batch], Awaitable[None]]) -> None:
        handed: Batch | None = None
        try:
            while True:
                await self._intake.due()
                for batch in self._intake.batches():
                    handed = batch
                    await put(batch)
                    handed = None
                    await self._intake.given()
        finally:
            # What was heard is not heard again: it is handed over if the desk still takes it.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    for batch in (*([handed] if handed else []), *self._intake.batches(later=Gathered.PATIENCE)):
                        await put(batch)
