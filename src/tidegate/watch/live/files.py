"""Files as they are read: plain ones at any place, compressed ones from the front. Only regular files are opened.

What a file has is asked of what was opened, never of its path: the path may be another file a moment later.
"""

from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

from tidegate.watch.live.identity import HEAD
from tidegate.watch.live.rotation import Found

__all__ = ["Opened", "Unreadable", "found", "opened", "seen"]

_GZIP = b"\x1f\x8b"
_OTHERS = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
_BLOCK = 256 << 10
"""Compressed bytes that are read at a time."""
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Unreadable(Exception):
    """A file cannot be read, or not to its end; one sentence says why."""


class Opened:
    """A plain file that was opened.

    Parameters
    ----------
    descriptor
        The file; closed by :meth:`close`.
    """

    packed = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.broken = ""
        """Why reading ends before the file does."""

    def status(self) -> os.stat_result:
        """Return what the system knows of it now."""
        return os.fstat(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` decompressed bytes from ``offset`` on; fewer only at the end.

        Raises
        ------
        Unreadable
            When the system cannot. A compressed text that is damaged ends there, and ``broken`` says so.
        """
        return self._raw(offset, size)

    def left(self, offset: int) -> int:
        """Return how many bytes are not read yet; for a compressed file, compressed ones."""
        return max(self.status().st_size - offset, 0)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _raw(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise Unreadable(f"it cannot be read: {error.strerror}") from None


class _Packed(Opened):
    """A file that gzip has made, of one member or several; at most a block of it is kept."""

    packed = True

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._rewind()

    def _rewind(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self.broken = ""
        self._taken = 0  # compressed bytes
        self._waiting = b""  # compressed bytes that were read, and not taken
        self._begin = 0  # where `_text` begins
        self._text = bytearray()

    def read(self, offset: int, size: int) -> bytes:
        if offset < self._begin:
            self._rewind()
        while self._begin + len(self._text) < offset + size:
            self._pass(offset)
            if self.broken or not self._more():
                break
        self._pass(offset)
        return bytes(self._text[:size])

    def left(self, offset: int) -> int:
        unread = self._begin + len(self._text) - offset
        return max(self.status().st_size - self._taken + len(self._waiting), 0) + max(unread, 0)

    def _pass(self, offset: int) -> None:
        """Forget what lies before ``offset``."""
        gone = min(max(offset - self._begin, 0), len(self._text))
        del self._text[:gone]
        self._begin += gone

    def _more(self) -> bool:
        """Decompress a little more; tell whether there was any."""
        if not self._waiting:
            self._waiting = self._raw(self._taken, _BLOCK)
            self._taken += len(self._waiting)
        if not self._waiting:
            if not self._member.eof and self._taken:
                self.broken = "it ends in the middle of its compressed text"
            return False
        if self._member.eof:
            if not self._waiting.startswith(_GZIP[: len(self._waiting)]):
                return False  # zeros behind the last member
            self._member = zlib.decompressobj(wbits=31)
        try:
            self._text += self._member.decompress(self._waiting, _BLOCK)
        except zlib.error as error:
            self.broken = f"its compressed text is damaged ({error})"
            return False
        self._waiting = self._member.unused_data or self._member.unconsumed_tail
        return True


def opened(path: str) -> Opened:
    """Open a file.

    Raises
    ------
    FileNotFoundError
        When it is not there.
    Unreadable
        When it is no regular file, may not be read, or is compressed by other means than gzip.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(f"it cannot be opened: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("it is no regular file")
        magic = os.pread(descriptor, 6, 0)
        other = next((name for begin, name in _OTHERS.items() if magic.startswith(begin)), None)
        if other is not None:
            raise Unreadable(f"it is compressed with {other}; of compressed rotations only gzip's are read")
    except OSError as error:
        os.close(descriptor)
        raise Unreadable(f"it cannot be read: {error.strerror}") from None
    except Unreadable:
        os.close(descriptor)
        raise
    return _Packed(descriptor) if magic.startswith(_GZIP) else Opened(descriptor)


def found(path: str, *, live: bool) -> Found:
    """Look at a file.

    Raises
    ------
    FileNotFoundError, Unreadable
        As :func:`opened` does.
    """
    file = opened(path)
    try:
        status = file.status()
        head = file.read(0, HEAD)
    finally:
        file.close()
    size = None if file.packed else status.st_size
    return Found(path, status.st_dev, status.st_ino, status.st_mtime_ns, head, size, live)


def seen(path: str, *, live: bool) -> Found | None:
    """Look at what the system tells of a file, without opening it; ``None`` when it is not there."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return Found(path, status.st_dev, status.st_ino, status.st_mtime_ns, b"", status.st_size, live)
