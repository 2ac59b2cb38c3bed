"""Unix sockets at which a process is talked to: only for its user, and never in the way of who takes over."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Place", "listening"]


@dataclass(frozen=True)
class Place:
    """Where a socket is in the file system, and which one it is."""

    path: Path
    inode: int

    def leave(self) -> None:
        """Remove it, unless somebody else's socket is there by now."""
        with suppress(OSError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()


def listening(path: Path) -> tuple[socket.socket, Place]:
    """Return a listening socket at ``path``, mode 0600, in the place of whatever socket was there.

    Raises
    ------
    OSError
        When it cannot be made there, or something else than a socket is there: that stays as it is.
    """
    if path.exists() and not path.is_socket():
        raise FileExistsError(errno.EEXIST, "there is something that is no socket", str(path))
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(beside))
    finally:
        os.umask(before)
    made.listen(8)
    beside.replace(path)
    return made, Place(path, path.stat().st_ino)
