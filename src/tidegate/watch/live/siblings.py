"""The files of one log, as they are opened; what cannot be read is passed over, and said."""

from __future__ import annotations

from tidegate.watch.live.files import Opened, Unreadable, opened
from tidegate.watch.live.folders import Folders
from tidegate.watch.live.identity import HEAD, Position
from tidegate.watch.live.rotation import Found
from tidegate.watch.live.saying import Saying

__all__ = ["Siblings"]


class Siblings:
    """Finds and opens the files of a log.

    Parameters
    ----------
    path
        The log.
    saying
        Is told what is passed over.
    """

    def __init__(self, path: str, folders: Folders, saying: Saying) -> None:
        self._path, self._folders, self._saying = path, folders, saying
        self._passed: set[tuple[int, int, int]] = set()
        folders.know(path)

    def files(self, position: Position | None) -> list[Found] | None:
        """Return the files, the oldest first, but for those that are passed over; ``None`` while they are renamed.

        Raises
        ------
        Unreadable
            When the folder cannot be read.
        """
        files = self._folders.files(self._path, position)
        return None if files is None else [file for file in files if _version(file) not in self._passed]

    def opened(self, found: Found, since: int) -> tuple[Opened | None, bytes]:
        """Open a file that was found, and return its head; no file where it is empty, or another one meanwhile.

        A rotation that cannot be read, or is empty, will never be otherwise: it is passed over from now on.

        Parameters
        ----------
        since
            From when on it may have records that nobody has read (ns since 1970).

        Raises
        ------
        Unreadable
            When the log itself cannot be read.
        """
        try:
            file = opened(found.path)
        except FileNotFoundError:
            return None, b""
        except Unreadable as error:
            if found.live:
                raise
            self._passed.add(_version(found))
            self._saying.gap("unreadable", f"{found.path} is passed over: {error}", since, found.modified)
            return None, b""
        status, head = file.status(), file.read(0, HEAD)
        same = (status.st_dev, status.st_ino) == (found.device, found.inode) and head.startswith(found.head)
        if same and head:
            return file, head
        file.close()
        if same and not found.live:
            self._passed.add(_version(found))
        return None, b""

    def restart(self) -> None:
        """Forget what was passed over: it lies behind what is read now."""
        self._passed.clear()


def _version(file: Found) -> tuple[int, int, int]:
    """Return what tells a file from what it may be later, or from another one with its inode."""
    return file.device, file.inode, file.modified
