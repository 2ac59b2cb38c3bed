"""Opens the store that a configuration names: a file, or a PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidegate.watch.live.store import Store

__all__ = ["open_store"]


def open_store(place: str, name: str, receivers: Sequence[str]) -> Store:
    """Return the store of the watch ``name``: at a ``postgresql://`` URL, or in the file ``place``.

    Raises
    ------
    StoreRefused
        When it cannot be used as it is.
    StoreLost
        When it does not answer.
    """
    if place.startswith(("postgresql://", "postgres://")):
        from tidegate.watch.live.store_postgres import PostgresStore

        return PostgresStore(place, name, receivers)
    from tidegate.watch.live.store_sqlite import SqliteStore

    return SqliteStore(Path(place).expanduser(), receivers)
