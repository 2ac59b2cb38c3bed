"""Which file is which: by device, inode and what it begins with; and how far one was read.

An inode alone says little: it is used again for the next file, and a compressed rotation has another one. So a file
is known by the SHA-256 of its first KiB as well, decompressed. A file that is shorter is known by what it has; its
identity grows with it, and what begins with the same bytes is the same file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tidegate.watch.live.model import Json

__all__ = ["HEAD", "Identity", "Position"]

HEAD = 1024
"""Bytes at the beginning of a file, decompressed, that it is known by."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is known by: ``digest`` is the SHA-256 of its first ``length`` bytes, 1 to :data:`HEAD`."""

    device: int
    inode: int
    digest: str
    length: int

    @classmethod
    def of(cls, device: int, inode: int, head: bytes) -> Identity:
        """Return the identity of a file that begins with ``head``, which is not empty."""
        head = head[:HEAD]
        return cls(device, inode, hashlib.sha256(head).hexdigest(), len(head))

    def begins(self, head: bytes) -> bool:
        """Tell whether a text that begins with ``head`` is this one, as far as it was known."""
        return len(head) >= self.length and hashlib.sha256(head[: self.length]).hexdigest() == self.digest

    def is_at(self, device: int, inode: int) -> bool:
        """Tell whether the file stands at this device and inode."""
        return (self.device, self.inode) == (device, inode)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log was read.

    A log is read file by file; each is a *generation*, from 0. ``base`` is the sum of all bytes before this one's, so
    that ``base + offset`` is a place of the log for ever. All are in decompressed bytes.

    Parameters
    ----------
    path
        The log: the file that is written to.
    identity
        The file that was read last.
    offset
        How much of it was handed on.
    modified
        When it was changed last, as far as known (ns since 1970): what is older was read, or is none of ours.
    cut
        The offset is in the middle of a line that is too long; what is left of it is passed over.
    """

    path: str
    generation: int
    identity: Identity
    base: int
    offset: int
    modified: int
    cut: bool = False

    def as_json(self) -> Json:
        """Return what is stored."""
        known = self.identity
        return {
            "path": self.path,
            "generation": self.generation,
            "identity": {
                "device": known.device,
                "inode": known.inode,
                "digest": known.digest,
                "length": known.length,
            },
            "base": self.base,
            "offset": self.offset,
            "modified": self.modified,
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, stored: Json) -> Position:
        """Return what :meth:`as_json` has stored."""
        return cls(**{**stored, "identity": Identity(**stored["identity"])})
