"""Where one message of syslog ends and the next begins in a stream of bytes (RFC 6587): no I/O.

A connection frames in one of two ways, and its first bytes say which:

``counted``
    ``72 <166>…``: each message has its length before it. Ends of lines between messages are passed over.
``lines``
    Anything else: a line feed ends a message.

What stands where a count should be ends the reading (*broken*): nobody can tell where the next message begins, and the
connection is closed. A message longer than :data:`FRAME_MOST` keeps its first bytes; the others are passed over and
counted.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["FRAME_MOST", "Frame", "Frames"]

FRAME_MOST = 64 << 10
"""Bytes of a message that are kept; the scanner's records are as long at the most."""
_DIGITS = 10
"""Digits of a count, at the most: a message of 10 GB is no message."""


class Frame(NamedTuple):
    """One message without what framed it, and how many of its bytes are missing (too long, or cut off by the end)."""

    text: bytes
    missing: int = 0


class Frames:
    """Reads one connection. The same bytes give the same frames, however they are cut into reads.

    Attributes
    ----------
    way
        How this connection frames; ``None`` until its first bytes tell.
    broken
        Nothing more can be read from it.
    """

    def __init__(self, most: int = FRAME_MOST) -> None:
        self.way: Literal["counted", "lines"] | None = None
        self.broken = False
        self._most = most
        self._head = bytearray()
        """What has come of a count."""
        self._left: int | None = None
        """Bytes of a counted message that are still to come; ``None``: a count comes first."""
        self._kept = bytearray()
        self._missing = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Return the messages that end within ``data``, in order."""
        frames: list[Frame] = []
        at = 0
        while at < len(data) and not self.broken:
            if self.way == "lines":
                at = self._line(data, at, frames)
            elif self._left is not None:
                at = self._message(data, at, self._left, frames)
            else:
                at = self._count(data, at)
        return frames

    def end(self) -> list[Frame]:
        """Return what is left at the stream's end: a last line without a line feed, or a message that was cut off."""
        if self.way is None:
            self._keep(self._head)
        self._missing += self._left or 0
        self._head.clear()
        self._left = None
        frames: list[Frame] = []
        if self._kept or self._missing:
            self._give(frames)
        return frames

    def _count(self, data: bytes, at: int) -> int:
        """Read one byte where a count may stand; return where to go on."""
        byte = data[at : at + 1]
        if self.way and not self._head and byte in b"\r\n":
            return at + 1
        counting = not self._head.endswith(b" ")
        if counting and byte.isdigit() and len(self._head) < _DIGITS and (self._head or byte != b"0"):
            self._head += byte
            return at + 1
        if counting and byte == b" " and self._head:
            if self.way:
                self._begin("counted")
            else:
                self._head += byte
            return at + 1
        if self.way:
            self.broken = True
        elif not counting and byte == b"<":
            self._begin("counted")
        else:
            self._keep(self._head)
            self._begin("lines")
        return at

    def _begin(self, way: Literal["counted", "lines"]) -> None:
        self.way = way
        self._left = int(self._head) if way == "counted" else None
        self._head.clear()

    def _message(self, data: bytes, at: int, left: int, frames: list[Frame]) -> int:
        part = data[at : at + left]
        self._keep(part)
        self._left = left - len(part)
        if not self._left:
            self._left = None
            self._give(frames)
        return at + len(part)

    def _line(self, data: bytes, at: int, frames: list[Frame]) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._keep(data[at:])
            return len(data)
        self._keep(data[at:end])
        self._give(frames)
        return end + 1

    def _keep(self, part: bytes | bytearray) -> None:
        room = self._most - len(self._kept)
        self._kept += part[:room]
        self._missing += max(0, len(part) - room)

    def _give(self, frames: list[Frame]) -> None:
        frames.append(Frame(bytes(self._kept), self._missing))
        self._kept.clear()
        self._missing = 0
