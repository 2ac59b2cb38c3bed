"""The store in one SQLite file (mode 0600), for one machine: write-ahead log, every commit synced, one watch at a time.

A full disk loses nothing: the step that finds no room is undone as a whole, and may be kept again when there is room.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidegate.watch.live.store import StoreFull, StoreLost, StoreRefused
from tidegate.watch.live.store_sql import SqlStore

__all__ = ["SqliteStore"]

_BUSY_S = 10.0
"""How long another process (a backup, somebody who looks) may hold the file."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WRITES = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_FSYNC})
"""How SQLite calls a full disk, a quota and a limit on files where it does not say SQLITE_FULL."""


class SqliteStore(SqlStore):
    """A store in ``file``; its folder, the file and the lock beside it are made when they are missing.

    Raises
    ------
    StoreRefused
        When another watch has it, others can read it, or it is something else.
    StoreLost
        When it cannot be opened, :class:`StoreFull` when there is no room for it.
    """

    def __init__(self, file: Path, receivers: Sequence[str]) -> None:
        super().__init__(receivers)
        self._file = file
        self._one = threading.RLock()
        self._base: sqlite3.Connection | None = None
        with self._said():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock: int | None = _opened(file.with_name(f"{file.name}.lock"))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def close(self) -> None:
        """Close the file, and let go of the lock."""
        with self._one:
            if self._base is not None:
                self._base.close()
                self._base = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _open(self) -> None:
        with self._said():
            try:
                fcntl.flock(self._lock or 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreRefused(
                    f"another watch is at work with the store {self._file}",
                    hint="`tidegate watch status` shows it; a second watch needs a store of its own (state)",
                ) from None
            descriptor = _opened(self._file)
            self._is = _identity(os.fstat(descriptor))
            os.close(descriptor)
            # Calls come from the threads of the desk and of the sender, one at a time.
            self._base = sqlite3.connect(self._file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            tables = {name for (name,) in self._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not {"meta", "outbox"} <= tables:
            raise StoreRefused(f"{self._file} is a database, but not a watch's", hint="name another file (state)")
        self._make_tables()

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self._connection().execute(query.replace("%s", "?"), values).fetchall()

    def _each(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        self._connection().executemany(statement.replace("%s", "?"), values)

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._one, self._said():
            base = self._connection()
            self._look_for_it()
            base.execute("BEGIN IMMEDIATE")
            try:
                yield
                base.execute("COMMIT")
            except BaseException:
                if base.in_transaction:  # what ran out of space is rolled back already
                    base.execute("ROLLBACK")
                raise

    def _connection(self) -> sqlite3.Connection:
        if self._base is None:
            raise StoreLost(f"the store {self._file} is closed")
        return self._base

    def _look_for_it(self) -> None:
        """Refuse to write to a file that nobody will find."""
        with contextlib.suppress(FileNotFoundError):
            if _identity(self._file.stat()) == self._is:
                return
        raise StoreRefused(
            f"the store {self._file} is gone: its file was removed or replaced while it was in use",
            hint="put it back and start the watch again; without it what waits to be sent is not known",
        )

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say what goes wrong within."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if _code(error) == sqlite3.SQLITE_NOTADB:
                raise StoreRefused(f"{self._file} is no database", hint="name another file (state)") from None
            if self._is_full(error):
                raise StoreFull(
                    f"there is no room for the store {self._file}: {words}",
                    hint="make room there: nothing more is read, and nothing is lost, until then",
                ) from None
            raise StoreLost(f"the store {self._file} cannot be used: {words}") from None

    def _is_full(self, error: sqlite3.Error | OSError) -> bool:
        if isinstance(error, OSError):
            return error.errno in _NO_ROOM
        return _code(error) == sqlite3.SQLITE_FULL or (_code(error) in _WRITES and _has_no_room(self._file.parent))


def _code(error: BaseException) -> int | None:
    """Return SQLite's own number of an error; ``None`` where it is not SQLite's."""
    return getattr(error, "sqlite_errorcode", None)


def _has_no_room(folder: Path) -> bool:
    """Return whether a few pages can not be written there: what the file system counts as free may be a quota's."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        return error.errno in _NO_ROOM
    try:
        os.posix_fallocate(descriptor, 0, 1 << 16)
    except OSError as error:
        return error.errno in _NO_ROOM
    finally:
        os.close(descriptor)
    return False


def _opened(file: Path) -> int:
    """Open a file that only we can read; it is made when it is missing."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
        os.close(descriptor)
        raise StoreRefused(f"others can read the store {file}", hint=f"chmod 600 {file}")
    return descriptor


def _identity(of: os.stat_result) -> tuple[int, int]:
    return of.st_dev, of.st_ino
