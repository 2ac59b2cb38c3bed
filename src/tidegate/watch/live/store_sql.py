"""What the two stores share: the tables and what is done to them, in words of SQL that SQLite and PostgreSQL both know.

Keys of sources and machines are texts of any length with anything in them, so that rows are found by a digest and the
key stands in the row. Numbers in the outbox are given by the one watch that has the store.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from tidegate.watch.live.model import Change, Gap, Json, Notice
from tidegate.watch.live.outbox import WAIT_MAX, chain_of, notice_of, overflow, share, text_of, wait
from tidegate.watch.live.store import FORMAT, Row, Saved, StoreRefused

__all__ = ["SqlStore"]

_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS positions (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS state (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS gaps (id TEXT PRIMARY KEY, until BIGINT NOT NULL, body TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, number BIGINT NOT NULL, receiver TEXT NOT NULL,
    chain TEXT NOT NULL, made BIGINT NOT NULL, tries BIGINT NOT NULL, due BIGINT NOT NULL, body TEXT NOT NULL)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS outbox_number ON outbox (number)",
    "CREATE INDEX IF NOT EXISTS outbox_chain ON outbox (receiver, chain, number)",
    "CREATE INDEX IF NOT EXISTS outbox_due ON outbox (receiver, due, number)",
)
_KEEP = "INSERT INTO {} (id, body) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_META = "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_GAP = (
    "INSERT INTO gaps VALUES (%s, %s, %s) ON CONFLICT (id) DO UPDATE SET until = excluded.until, body = excluded.body"
)
_OLD_GAPS = "DELETE FROM gaps WHERE id NOT IN (SELECT id FROM gaps ORDER BY until DESC, id LIMIT %s)"
_NOTICE = "INSERT INTO outbox VALUES (%s, %s, %s, %s, %s, 0, %s, %s) ON CONFLICT (id) DO NOTHING"
_FIRST = (
    "NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.receiver = waits.receiver"
    " AND earlier.chain = waits.chain AND earlier.number < waits.number)"
)
_DUE = (
    f"SELECT body, tries FROM outbox AS waits WHERE receiver = %s AND (due <= %s OR due > %s) AND {_FIRST}"  # noqa: S608
    " ORDER BY due, number LIMIT %s"
)
_NEXT = f"SELECT min(due) FROM outbox AS waits WHERE receiver = %s AND {_FIRST}"  # noqa: S608
_GAPS_MAX = 1000


class SqlStore(ABC):
    """A store in tables; how statements are run is for its heirs to say.

    Parameters
    ----------
    receivers
        The names of those who are told of every notice.
    """

    def __init__(self, receivers: Sequence[str]) -> None:
        self._receivers = tuple(receivers)
        self._full: dict[str, Gap] = {}
        """Receivers for whose notices there was no room lately, and since when."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people; it holds no password."""

    @abstractmethod
    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows; only within :meth:`_step`."""

    @abstractmethod
    def _each(self, statement: str, values: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each of ``values``; only within :meth:`_step`."""

    @abstractmethod
    def _step(self) -> AbstractContextManager[None]:
        """Do all that is done within, or nothing; raise the errors of the store."""

    def load(self) -> Saved:
        """Return everything but the notices."""
        with self._step():
            positions = [json.loads(body) for (body,) in self._rows("SELECT body FROM positions")]
            state = [json.loads(body) for (body,) in self._rows("SELECT body FROM state")]
            gaps = self._rows("SELECT body FROM gaps ORDER BY until, id")
            last = self._rows("SELECT value FROM meta WHERE name = 'last'")
        return Saved(
            positions={(source, stream): value for source, stream, value in positions},
            rows=sorted(((kind, key, value) for kind, key, value in state), key=lambda row: row[:2]),
            gaps=[Gap(**json.loads(body)) for (body,) in gaps],
            stopped=int(last[0][0]) if last else None,
        )

    def commit(self, change: Change, now: int) -> list[Gap]:
        """Keep one step."""
        with self._step():
            self._keep("positions", change.positions)
            self._keep("state", change.rows)
            full = self._enqueue(change.notices, now) if change.notices else {}
            self._keep_gaps([*change.gaps, *full.values()])
            self._each(_META, [("last", str(now))])
        if change.notices:
            self._full = full
        return list(full.values())

    def due(self, receiver: str, now: int, limit: int) -> list[Row]:
        """Return notices whose turn it is."""
        with self._step():
            rows = self._rows(_DUE, (receiver, now, now + WAIT_MAX, limit))
        return [Row(receiver, notice_of(body), tries) for body, tries in rows]

    def next_due(self, receiver: str) -> int | None:
        """Return when the next notice is due."""
        with self._step():
            ((due,),) = self._rows(_NEXT, (receiver,))
        return None if due is None else int(due)

    def sent(self, rows: Sequence[Row]) -> None:
        """Note that these were taken."""
        with self._step():
            self._each("DELETE FROM outbox WHERE id = %s", [(_digest(row.receiver, row.notice.key),) for row in rows])

    def failed(self, row: Row, now: int) -> None:
        """Note that this one was not."""
        due = now + wait(row.tries + 1, row.notice.key)
        statement = "UPDATE outbox SET tries = tries + 1, due = %s WHERE id = %s"
        with self._step():
            self._each(statement, [(due, _digest(row.receiver, row.notice.key))])

    def view(self) -> Json:
        """Return the place and what waits."""
        with self._step():
            rows = self._rows("SELECT receiver, count(*), min(made) FROM outbox GROUP BY receiver ORDER BY receiver")
        outbox = dict.fromkeys(self._receivers, (0, None)) | {name: (count, oldest) for name, count, oldest in rows}
        return {
            "place": self.place,
            "outbox": {name: {"waiting": count, "oldest": oldest} for name, (count, oldest) in outbox.items()},
        }

    def _make_tables(self) -> None:
        """Make what is missing, and refuse another format."""
        with self._step():
            for statement in _TABLES:
                self._rows(statement)
            found = self._rows("SELECT value FROM meta WHERE name = 'format'")
            if not found:
                self._each(_META, [("format", str(FORMAT))])
        if found and found[0][0] != str(FORMAT):
            raise StoreRefused(
                f"the store {self.place} has format {found[0][0]}; this tidegate knows {FORMAT} only",
                hint="use the tidegate that wrote it, or name another store (state)",
            )

    def _keep(self, table: str, values: dict[tuple[str, str], Json | None]) -> None:
        kept, gone = [], []
        for (one, other), value in values.items():
            digest = _digest(one, other)
            if value is None:
                gone.append((digest,))
            else:
                kept.append((digest, json.dumps([one, other, value], separators=(",", ":"))))
        if kept:
            self._each(_KEEP.format(table), kept)
        if gone:
            self._each(f"DELETE FROM {table} WHERE id = %s", gone)  # noqa: S608 (one of ours)

    def _keep_gaps(self, gaps: Sequence[Gap]) -> None:
        if gaps:
            rows = [
                (_digest(gap.source, gap.kind, str(gap.since), gap.detail), gap.until, json.dumps(asdict(gap)))
                for gap in gaps
            ]
            self._each(_GAP, rows)
            self._rows(_OLD_GAPS, (_GAPS_MAX,))

    def _enqueue(self, notices: Sequence[Notice], now: int) -> dict[str, Gap]:
        """Put each notice into the outbox once for every receiver; return for whom there was no room."""
        ((last,),) = self._rows("SELECT coalesce(max(number), 0) FROM outbox")
        room = share(len(self._receivers))
        full = {}
        for receiver in self._receivers:
            ((waiting,),) = self._rows("SELECT count(*) FROM outbox WHERE receiver = %s", (receiver,))
            fitting = notices[: max(0, room - waiting)]
            self._each(
                _NOTICE, [_row(receiver, notice, last + number, now) for number, notice in enumerate(fitting, 1)]
            )
            last += len(fitting)
            if len(fitting) < len(notices):
                full[receiver] = overflow(receiver, len(notices) - len(fitting), now, self._full.get(receiver))
        return full


def _row(receiver: str, notice: Notice, number: int, now: int) -> tuple[object, ...]:
    digest = _digest(receiver, notice.key)
    return digest, number, receiver, chain_of(notice), notice.made, now, text_of(notice)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
