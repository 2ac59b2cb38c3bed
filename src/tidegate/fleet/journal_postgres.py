"""The journal in PostgreSQL, for several controllers: one holds a run's lock, and when it dies another may take over.

The lock is an advisory lock of the very session that the events are written through: a controller that has lost its
session cannot write, and what cannot write does not act.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tidegate.errors import FleetError
from tidegate.fleet.events import FORMAT, Ended, Event, Planned, decode, encode
from tidegate.fleet.journal import JournalLost, RunRow, busy_hosts, unknown_run, wrong_format

__all__ = ["PostgresJournal"]

_TABLES = """
CREATE TABLE IF NOT EXISTS tidegate_fleet_meta (format integer NOT NULL);
CREATE TABLE IF NOT EXISTS tidegate_fleet_runs (
    run text PRIMARY KEY, at double precision NOT NULL, plan text NOT NULL, ended text NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS tidegate_fleet_events (
    run text NOT NULL REFERENCES tidegate_fleet_runs, seq integer NOT NULL, body text NOT NULL, PRIMARY KEY (run, seq));
CREATE TABLE IF NOT EXISTS tidegate_fleet_claims (
    address text PRIMARY KEY, run text NOT NULL REFERENCES tidegate_fleet_runs);
"""
_SPACE = 0x7464_6674
"""The first number of every advisory lock of ours ("tdft")."""
_SESSION = {
    "connect_timeout": 10,
    "application_name": "tidegate fleet",
    # A controller whose machine is gone must not hold its lock for hours, and a server that is gone must be noticed.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "options": "-c statement_timeout=20s -c lock_timeout=10s -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=3",
}


class PostgresJournal:
    """A journal at a ``postgresql://`` URL without a password."""

    def __init__(self, url: str) -> None:
        self._url = url
        with self._lost():
            self._base = psycopg.connect(url, autocommit=True, **_SESSION)  # type: ignore[arg-type]
        self._check_format()

    @property
    def place(self) -> str:
        """The URL; it holds no password."""
        return urlsplit(self._url)._replace(query="").geturl()

    def plan(self, run: str, event: Planned) -> None:
        """Write the first event of a run and claim its hosts."""
        addresses = [host.address.lower() for host in event.hosts]
        with self._writing() as at:
            at.execute("LOCK TABLE tidegate_fleet_claims IN EXCLUSIVE MODE")
            if at.execute("SELECT 1 FROM tidegate_fleet_runs WHERE run = %s", (run,)).fetchone():
                raise FleetError(f"the run {run} exists already")
            query = "SELECT address, run FROM tidegate_fleet_claims WHERE address = ANY(%s)"
            if found := at.execute(query, (addresses,)).fetchall():
                raise busy_hosts(found, event.hosts)
            query = "INSERT INTO tidegate_fleet_runs (run, at, plan) VALUES (%s, %s, %s)"
            at.execute(query, (run, event.at, event.plan))
            at.execute("INSERT INTO tidegate_fleet_claims SELECT unnest(%s::text[]), %s", (addresses, run))
            at.execute("INSERT INTO tidegate_fleet_events VALUES (%s, 1, %s)", (run, encode(event)))

    def append(self, run: str, event: Event) -> int:
        """Write an event."""
        with self._writing() as at:
            # One writer after the other: numbers become visible in their order.
            if not at.execute("SELECT 1 FROM tidegate_fleet_runs WHERE run = %s FOR UPDATE", (run,)).fetchone():
                raise unknown_run(run)
            query = (
                "INSERT INTO tidegate_fleet_events SELECT %s, max(seq) + 1, %s FROM tidegate_fleet_events "
                "WHERE run = %s RETURNING seq"
            )
            row = at.execute(query, (run, encode(event), run)).fetchone()
            assert row is not None  # noqa: S101 (every run has its first event)
            if isinstance(event, Ended):
                at.execute("UPDATE tidegate_fleet_runs SET ended = %s WHERE run = %s", (event.how, run))
                at.execute("DELETE FROM tidegate_fleet_claims WHERE run = %s", (run,))
            return int(row[0])

    def events(self, run: str, after: int = 0) -> list[tuple[int, Event]]:
        """Return the events after number ``after``."""
        with self._lost():
            query = "SELECT seq, body FROM tidegate_fleet_events WHERE run = %s AND seq > %s ORDER BY seq"
            rows = self._base.execute(query, (run, after)).fetchall()
        if not rows and after == 0:
            raise unknown_run(run)
        return [(seq, decode(body)) for seq, body in rows]

    @contextmanager
    def lock(self, run: str) -> Iterator[None]:
        """Hold the run's advisory lock in this session."""
        if not self._try(run):
            raise FleetError(
                f"another controller is at work on the run {run}",
                hint="`tidegate fleet status` shows it; `tidegate fleet resume --stand-by` takes over when it dies",
                slug="run-taken",
            )
        try:
            yield
        finally:
            if not self._base.closed and not self._base.broken:
                self._base.execute("SELECT pg_advisory_unlock(%s, %s)", _numbers(run))

    def held(self, run: str) -> bool:
        """Return whether any session holds the lock."""
        with self._lost():
            space, number = _numbers(run)
            query = (
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                "AND classid = %s::bigint AND objid = (%s::bigint & 4294967295)"
            )
            return self._base.execute(query, (space, number)).fetchone() is not None

    def runs(self) -> list[RunRow]:
        """Return all runs."""
        with self._lost():
            query = "SELECT run, at, plan, ended FROM tidegate_fleet_runs ORDER BY at, run"
            return [RunRow(*row) for row in self._base.execute(query).fetchall()]

    def close(self) -> None:
        """End the session."""
        self._base.close()

    def _check_format(self) -> None:
        with self._writing() as at:
            # Two that come first at once: one makes the tables, the other finds them.
            at.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_SPACE,))
            at.execute("SET LOCAL client_min_messages = warning")
            at.execute(_TABLES)
            row = at.execute("SELECT format FROM tidegate_fleet_meta").fetchone()
            if row is None:
                at.execute("INSERT INTO tidegate_fleet_meta VALUES (%s)", (FORMAT,))
        if row is not None and row[0] != FORMAT:
            self.close()
            raise wrong_format(self.place, row[0])

    def _try(self, run: str) -> bool:
        with self._lost():
            # A session may take its own lock twice: that must be refused as well.
            if self.held(run):
                return False
            row = self._base.execute("SELECT pg_try_advisory_lock(%s, %s)", _numbers(run)).fetchone()
            return bool(row and row[0])

    @contextmanager
    def _writing(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """All of it, or nothing."""
        with self._lost(), self._base.transaction():
            yield self._base

    @contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            words = " ".join(str(error).split()) or type(error).__name__
            raise JournalLost(f"the journal {self.place} does not answer: {words}") from None


def _numbers(run: str) -> tuple[int, int]:
    """Return the two numbers of a run's advisory lock, each of 32 bits with a sign."""
    number = zlib.crc32(run.encode())
    return _SPACE, number - 2**32 if number >= 2**31 else number
