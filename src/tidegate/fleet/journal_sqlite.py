"""The journal in one SQLite file (mode 0600), for one machine: write-ahead log, every commit synced, flock per run.

A run's lock file is there while somebody holds it (or was killed with it): whoever lets go removes it, and whoever has
locked one looks whether it is still the one at that place.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import FleetError
from tidegate.fleet.events import FORMAT, Ended, Event, Planned, decode, encode
from tidegate.fleet.journal import JournalLost, RunRow, busy_hosts, unknown_run, wrong_format

__all__ = ["SqliteJournal"]

_TABLES = """
CREATE TABLE meta (format INTEGER NOT NULL);
CREATE TABLE runs (run TEXT PRIMARY KEY, at REAL NOT NULL, plan TEXT NOT NULL, ended TEXT NOT NULL DEFAULT '');
CREATE TABLE events (run TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run, seq));
CREATE TABLE claims (address TEXT PRIMARY KEY, run TEXT NOT NULL);
"""
_BUSY_S = 10.0
"""How long another process may hold the file."""


class SqliteJournal:
    """A journal in ``file``; its folder and the file are made when they are missing."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is: tuple[int, int] | None = None
        with self._lost():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            # Calls come from the threads that the runner uses, one at a time.
            self._base = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._is = _identity(file.stat())
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
        self._check_format()

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def plan(self, run: str, event: Planned) -> None:
        """Write the first event of a run and claim its hosts."""
        with self._writing():
            if self._base.execute("SELECT 1 FROM runs WHERE run = ?", (run,)).fetchone():
                raise FleetError(f"the run {run} exists already")
            claims = dict(self._base.execute("SELECT address, run FROM claims"))
            addresses = [host.address.lower() for host in event.hosts]
            if found := [(address, claims[address]) for address in addresses if address in claims]:
                raise busy_hosts(found, event.hosts)
            self._base.execute("INSERT INTO runs (run, at, plan) VALUES (?, ?, ?)", (run, event.at, event.plan))
            self._base.executemany("INSERT INTO claims VALUES (?, ?)", [(address, run) for address in addresses])
            self._base.execute("INSERT INTO events VALUES (?, 1, ?)", (run, encode(event)))

    def append(self, run: str, event: Event) -> int:
        """Write an event."""
        with self._writing():
            (last,) = self._base.execute("SELECT max(seq) FROM events WHERE run = ?", (run,)).fetchone()
            if last is None:
                raise unknown_run(run)
            self._base.execute("INSERT INTO events VALUES (?, ?, ?)", (run, last + 1, encode(event)))
            if isinstance(event, Ended):
                self._base.execute("UPDATE runs SET ended = ? WHERE run = ?", (event.how, run))
                self._base.execute("DELETE FROM claims WHERE run = ?", (run,))
            return int(last) + 1

    def events(self, run: str, after: int = 0) -> list[tuple[int, Event]]:
        """Return the events after number ``after``."""
        with self._lost():
            query = "SELECT seq, body FROM events WHERE run = ? AND seq > ? ORDER BY seq"
            rows = self._base.execute(query, (run, after)).fetchall()
        if not rows and after == 0:
            raise unknown_run(run)
        return [(seq, decode(body)) for seq, body in rows]

    @contextmanager
    def lock(self, run: str) -> Iterator[None]:
        """Hold the run's lock file."""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", run):
            raise unknown_run(run)
        place = self._file.with_name(f"{self._file.name}.{run}.lock")
        with self._lost():
            descriptor = _locked(place)
        if descriptor is None:
            raise FleetError(
                f"another controller is at work on the run {run}",
                hint="`tidegate fleet status` shows it; `tidegate fleet abort` and Ctrl-C reach it",
                slug="run-taken",
            )
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if _is_at(place, descriptor):
                    place.unlink()
            os.close(descriptor)

    def held(self, run: str) -> bool:
        """Return whether the lock file is held."""
        try:
            with self.lock(run):
                return False
        except FleetError as error:
            if error.slug == "run-taken":
                return True
            raise

    def runs(self) -> list[RunRow]:
        """Return all runs."""
        with self._lost():
            rows = self._base.execute("SELECT run, at, plan, ended FROM runs ORDER BY at, run").fetchall()
        return [RunRow(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _check_format(self) -> None:
        with self._lost():
            tables = {name for (name,) in self._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            with self._writing():
                # another process may have made them meanwhile
                if not self._base.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                    for statement in _TABLES.strip().split(";"):
                        self._base.execute(statement)
                    self._base.execute("INSERT INTO meta VALUES (?)", (FORMAT,))
            return
        if "meta" not in tables:
            raise FleetError(f"{self._file} is a database, but not a journal of runs", hint="name another with --state")
        with self._lost():
            row = self._base.execute("SELECT format FROM meta").fetchone()
        if row is None or row[0] != FORMAT:
            raise wrong_format(self.place, row and row[0])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """All of it, or nothing."""
        with self._lost():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:  # what ran out of space is rolled back already
                    self._base.execute("ROLLBACK")
                raise

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            self._look_for_it()
            yield
        except (sqlite3.Error, OSError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise JournalLost(f"the journal {self._file} cannot be used: {words}") from None

    def _look_for_it(self) -> None:
        """Refuse to write to a file that nobody will find."""
        if self._is is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if _identity(self._file.stat()) == self._is:
                return
        raise JournalLost(
            f"the journal {self._file} is gone: its file was removed or replaced while it was in use",
            hint="put it back before `tidegate fleet resume`; without it nobody knows what was done to whom",
        )


def _identity(of: os.stat_result) -> tuple[int, int]:
    return of.st_dev, of.st_ino


def _is_at(place: Path, descriptor: int) -> bool:
    """Return whether the open file is the one at this place."""
    try:
        return _identity(place.stat()) == _identity(os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _locked(place: Path) -> int | None:
    """Return the lock file, locked; ``None`` when somebody holds it."""
    while True:
        descriptor = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_at(place, descriptor):
            return descriptor
        os.close(descriptor)  # whoever held it has just removed it
