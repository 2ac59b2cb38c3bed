"""The store in PostgreSQL: a schema for each watch, and an advisory lock so that two of one name never both run.

The lock goes with the very session that everything is written through. A session that breaks is opened anew at the next
call; whoever has had the store meanwhile has left his mark in it, and then this watch stops: what it knows is old.
"""

from __future__ import annotations

import re
import secrets
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tidegate.watch.live.store import StoreFull, StoreLost, StoreRefused
from tidegate.watch.live.store_sql import SqlStore

__all__ = ["PostgresStore"]

_SPACE = 0x7464_7774
"""The first number of every advisory lock of ours ("tdwt")."""
_SESSION = {
    "connect_timeout": 10,
    "application_name": "tidegate watch",
    # A watch whose machine is gone must not hold its lock for hours, and a server that is gone must be noticed.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "options": "-c statement_timeout=20s -c lock_timeout=10s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=3 -c synchronous_commit=on",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


class PostgresStore(SqlStore):
    """A store at a ``postgresql://`` URL, in the schema ``tidegate_watch_NAME``, which is made when it is missing.

    Raises
    ------
    StoreRefused
        When another watch of that name is at work there, or the schema has another format.
    StoreLost
        When the server does not answer, or may not be used.
    """

    def __init__(self, url: str, name: str, receivers: Sequence[str]) -> None:
        super().__init__(receivers)
        if not _NAME.fullmatch(name):
            raise StoreRefused(f'"{name}" is no name for a watch', hint="letters, digits, - and _, at most 40 (name)")
        self._url, self._name = url, name
        self._one = threading.RLock()
        self._closed = False
        self._mark = secrets.token_hex(16)
        self._base: psycopg.Connection[tuple[Any, ...]] | None = None
        try:
            with self._said():
                self._base = self._connect()
                if not self._lock(self._base):
                    raise StoreRefused(
                        f"another watch {name} is at work with the store {self.place}",
                        hint="`tidegate watch status` shows it; a second watch needs a name of its own (name)",
                    )
                self._base.execute("SET client_min_messages = warning")
                # Who may not make schemas may use one that was made for him.
                if not self._rows("SELECT 1 FROM pg_namespace WHERE nspname = %s", (f"tidegate_watch_{name}",)):
                    self._rows(f'CREATE SCHEMA "tidegate_watch_{name}"')
            self._make_tables()
            with self._step():
                self._each(
                    "INSERT INTO meta VALUES ('holder', %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    [(self._mark,)],
                )
        except BaseException:
            self.close()
            raise

    @property
    def place(self) -> str:
        """The URL without user, password and options, and the name."""
        scheme, _, rest = self._url.partition("?")[0].partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]} ({self._name})"

    def close(self) -> None:
        """End the session, and with it the lock."""
        with self._one:
            self._closed = True
            self._drop()

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        assert self._base is not None  # noqa: S101 (within a step there is one)
        cursor = self._base.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []

    def _each(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        assert self._base is not None  # noqa: S101
        with self._base.cursor() as cursor:
            cursor.executemany(statement, values)

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._one, self._said():
            if self._closed:
                raise StoreLost(f"the store {self.place} is closed")
            if self._base is None:
                self._base = self._again()
            with self._base.transaction():
                yield

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        session = psycopg.connect(self._url, autocommit=True, **_SESSION)  # type: ignore[arg-type]
        session.execute(f'SET search_path = "tidegate_watch_{self._name}"')
        return session

    def _again(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a session in place of one that broke."""
        session = self._connect()
        try:
            if not self._lock(session):
                # It may be our own old session, which the server has not found dead yet.
                raise StoreLost(f"the store {self.place} is locked by another session")
            row = session.execute("SELECT value FROM meta WHERE name = 'holder'").fetchone()
            if row is None or row[0] != self._mark:
                raise StoreRefused(
                    f"another watch {self._name} has taken over the store {self.place}",
                    hint="it goes on from where this one was; end this one",
                )
        except BaseException:
            session.close()
            raise
        return session

    def _lock(self, session: psycopg.Connection[tuple[Any, ...]]) -> bool:
        """Take the lock for as long as the session lives; the server may need a moment to find a dead one dead."""
        number = zlib.crc32(self._name.encode())
        numbers = (_SPACE, number - 2**32 if number >= 2**31 else number)
        try:
            with session.transaction():
                session.execute("SET LOCAL lock_timeout = '3s'")
                session.execute("SELECT pg_advisory_lock(%s, %s)", numbers)
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def _drop(self) -> None:
        base, self._base = self._base, None
        if base is not None:
            with suppress(psycopg.Error):
                base.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say what goes wrong within, and let go of a session that broke."""
        try:
            yield
        except (psycopg.Error, UnicodeError) as error:  # what a URL or a server says may be no text
            if self._base is not None and (self._base.closed or self._base.broken):
                self._drop()
            words = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, psycopg.errors.DiskFull):
                raise StoreFull(
                    f"there is no room for the store {self.place}: {words}",
                    hint="make room at the server: nothing more is read, and nothing is lost, until then",
                ) from None
            raise StoreLost(f"the store {self.place} does not answer: {words}") from None
