"""Syslog by UDP: what comes is taken at once; what the kernel or the watch has no room for is counted."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from contextlib import suppress

from tidegate.watch.live.syslog_intake import Intake
from tidegate.watch.live.syslog_records import tidy_address

__all__ = ["Datagrams"]

_LONGEST = 64 << 10
"""No datagram is longer."""
_AT_ONCE = 256
"""Datagrams that are taken before connections have their turn."""
# linux/sock_diag.h: SO_MEMINFO gives nine numbers, the last of which is how many datagrams the kernel dropped. It is
# the counter that SO_RXQ_OVFL puts beside each datagram; asked for, it is told even when no datagram comes any more.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")


class Datagrams:
    """Reads one bound socket.

    Parameters
    ----------
    intake
        Takes what is heard.
    opened
        Bound, never blocks.
    """

    def __init__(self, intake: Intake, opened: socket.socket) -> None:
        self._intake, self._socket = intake, opened
        self._dropped = 0
        self._looked = time.time_ns()

    def read(self) -> None:
        """Take what is there; for a loop's ``add_reader``."""
        refused: Counter[str] = Counter()
        # An error that an earlier answer brought (ICMP) is none of ours: the next datagram can be read.
        with suppress(OSError):
            for _ in range(_AT_ONCE):
                message, address = self._socket.recvfrom(_LONGEST)
                peer = tidy_address(address[0])
                if not self._intake.datagram(peer, message):
                    refused[peer] += 1
        for peer, count in refused.items():
            self._intake.lost("queue_full", "datagrams came faster than they could be looked at", peer, count)
        self._look()

    def _look(self) -> None:
        dropped = self._drops()
        # The kernel counts with 32 bits.
        if count := (dropped - self._dropped) % (1 << 32):
            why = "the kernel dropped datagrams, because the socket's queue was full; raise net.core.rmem_max"
            self._intake.lost("kernel_drops", why, count=count, since=self._looked)
        self._dropped, self._looked = dropped, time.time_ns()

    def _drops(self) -> int:
        try:
            told = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            # A kernel that does not count.
            return 0
        return int(_MEMINFO.unpack(told)[-1])
