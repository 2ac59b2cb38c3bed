"""Syslog by TCP and TLS: who may connect, who it is, and its frames.

A connection is read only while its records have room; then the kernel tells the sender to wait. One over the caps is
closed at once. With client authorities a client without a certificate that one of them signed is never read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter

from tidegate.watch.live.frames import FRAME_MOST, Frame, Frames
from tidegate.watch.live.syslog_intake import Intake, Speaker
from tidegate.watch.live.syslog_options import Caps
from tidegate.watch.live.syslog_records import tidy_address
from tidegate.watch.live.syslog_tls import certified_name, refusal

__all__ = ["Connections", "Streams"]

_UNREAD = 16 << 10
"""Bytes of a connection that are read ahead; asyncio reads on up to twice as many."""
_HANDSHAKE_S = 10.0
_SILENT_S = 60
"""A connection that has been silent for so long is asked whether it is still there."""
_PAUSE_S = 1.0
"""Before the next try where this process may open no more files."""


class Connections:
    """How many there are, in all and of each peer; shared by the listeners of one source."""

    def __init__(self, caps: Caps) -> None:
        self.of: Counter[str] = Counter()
        self._caps = caps

    def refuse(self, peer: str) -> str:
        """Return why one more of this peer is too many; "" when it is not."""
        if self.of[peer] >= self._caps.peer:
            return f"more than {self._caps.peer} connections of one peer were closed"
        return f"more than {self._caps.all} connections were closed" if self.of.total() >= self._caps.all else ""

    def leave(self, peer: str) -> None:
        """Count one less."""
        self.of[peer] -= 1
        if not self.of[peer]:
            del self.of[peer]


class Streams:
    """Accepts on one listening socket.

    Parameters
    ----------
    tls
        What clients are met with; ``None``: without TLS.
    """

    def __init__(
        self, intake: Intake, connections: Connections, opened: socket.socket, tls: ssl.SSLContext | None = None
    ) -> None:
        self._intake, self._connections, self._socket, self._tls = intake, connections, opened, tls

    async def run(self) -> None:
        """Serve clients until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    client, address = await asyncio.get_running_loop().sock_accept(self._socket)
                except OSError as error:
                    self._intake.lost("unreadable", f"connections could not be taken: {error.strerror}")
                    await asyncio.sleep(_PAUSE_S)
                    continue
                peer = tidy_address(address[0])
                if why := self._connections.refuse(peer):
                    client.close()
                    self._intake.lost("unreadable", why, peer)
                else:
                    self._connections.of[peer] += 1
                    tasks.create_task(self._serve(client, peer))
                # Accepting need not wait, and everybody else would.
                await asyncio.sleep(0)

    async def _serve(self, client: socket.socket, peer: str) -> None:
        try:
            await self._meet(client, peer)
        finally:
            self._connections.leave(peer)

    async def _meet(self, client: socket.socket, peer: str) -> None:
        reader = asyncio.StreamReader(limit=_UNREAD)
        try:
            # A host that is gone without a word gives its place back within a quarter of an hour.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENT_S)
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader),
                client,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self._tls else None,
            )
        except ssl.SSLError as error:
            self._intake.lost("unreadable", f"TLS clients were refused: {refusal(error)}", peer)
            return
        except OSError:
            # It left before it had said anything, as a balancer that looks whether somebody listens.
            return
        try:
            name = certified_name(transport.get_extra_info("peercert") or {})
            await self._read(reader, self._intake.connected(peer, name))
        finally:
            transport.abort()

    async def _read(self, reader: asyncio.StreamReader, speaker: Speaker) -> None:
        frames = Frames()
        try:
            while data := await reader.read(2 * _UNREAD):
                await self._intake.room(speaker)
                for frame in frames.feed(data):
                    self._hear(speaker, frames, frame, f"messages were longer than {FRAME_MOST >> 10} KiB")
                if frames.broken:
                    self._intake.lost("truncated", _BROKEN, speaker.host)
                    return
        except OSError:
            # A reset: what is left is told below.
            pass
        for frame in frames.end():
            self._hear(speaker, frames, frame, "connections ended within a message")

    def _hear(self, speaker: Speaker, frames: Frames, frame: Frame, why: str) -> None:
        if frame.missing:
            self._intake.lost("truncated", why, speaker.host)
        self._intake.hear(speaker, frame.text, more=frames.way == "lines")


_BROKEN = "connections were closed, because no length stood where the next message's should"
