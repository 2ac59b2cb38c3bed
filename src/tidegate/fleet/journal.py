"""What a run's memory must do, wherever it is kept; and how to open one.

A journal holds the events of runs, in order. Only who holds a run's lock writes to it, but for wishes
(:data:`~tidegate.fleet.events.FOREIGN`), which anybody may. A host is in one unfinished run at the most.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from tidegate.errors import FleetError, HostUnreachable, UsageError
from tidegate.fleet.act import Host
from tidegate.fleet.events import Event, Planned

__all__ = [
    "Journal",
    "JournalLost",
    "RunRow",
    "busy_hosts",
    "default_place",
    "open_journal",
    "stand_by",
    "unknown_run",
    "wrong_format",
]


class JournalLost(HostUnreachable):
    """The journal cannot be read or written any more."""

    slug = "journal-lost"


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of a journal."""

    run: str
    at: float
    plan: str
    ended: str
    """How, or empty."""


class Journal(Protocol):
    """Every method is short and blocks; the runner calls them in a thread, one at a time.

    All raise :class:`JournalLost` when the database does not answer, and :class:`~tidegate.errors.FleetError` when
    there is no such run.
    """

    @property
    def place(self) -> str:
        """Where it is kept, without secrets."""

    def plan(self, run: str, event: Planned) -> None:
        """Write the first event of a run, and with it claim its hosts; or refuse, and write nothing.

        Raises
        ------
        FleetError
            When a host is in another unfinished run, or the run exists.
        """

    def append(self, run: str, event: Event) -> int:
        """Write an event so that it outlives a crash; return its number, which only grows."""

    def events(self, run: str, after: int = 0) -> list[tuple[int, Event]]:
        """Return the events after number ``after``, in order."""

    def lock(self, run: str) -> AbstractContextManager[None]:
        """Hold the run's lock; it ends with the process that holds it.

        Raises
        ------
        FleetError
            When another controller holds it (``slug`` is ``run-taken``).
        """

    def held(self, run: str) -> bool:
        """Return whether a controller holds the run's lock."""

    def runs(self) -> list[RunRow]:
        """Return all runs, the oldest first."""

    def close(self) -> None:
        """Let go of it."""


def default_place() -> Path:
    """Return the file that holds runs when nobody says another: under ``$XDG_STATE_HOME``, as root under /var/lib."""
    if os.geteuid() == 0 and not os.environ.get("XDG_STATE_HOME"):
        return Path("/var/lib/tidegate/fleet.db")
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "tidegate" / "fleet.db"


def open_journal(place: str | None) -> Journal:
    """Open the journal at a file's path or a ``postgresql://`` URL; a new one is made.

    Raises
    ------
    FleetError
        When it is of another format.
    JournalLost
        When it cannot be opened.
    UsageError
        When a URL holds a password: it would be seen in the list of processes.
    """
    if place is None or "://" not in place:
        from tidegate.fleet.journal_sqlite import SqliteJournal

        return SqliteJournal(default_place() if place is None else Path(place))
    url = urlsplit(place)
    if url.scheme not in {"postgresql", "postgres"}:
        raise UsageError(f"a journal is a file or a postgresql:// URL, not {url.scheme}://")
    if url.password is not None:
        raise UsageError(
            "the URL of the journal holds a password, which everybody on this machine could see",
            hint="put it into ~/.pgpass (mode 0600) or PGPASSWORD",
        )
    from tidegate.fleet.journal_postgres import PostgresJournal

    return PostgresJournal(place)


@contextmanager
def stand_by(journal: Journal, run: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the run's lock as soon as nobody else does."""
    while True:
        with ExitStack() as stack:
            try:
                stack.enter_context(journal.lock(run))
            except FleetError as error:
                if error.slug != "run-taken":
                    raise
            else:
                yield
                return
        sleep(2.0)


def unknown_run(run: str) -> FleetError:
    """Return the error of a run that no journal entry names."""
    return FleetError(f'there is no run "{run}"', hint="`tidegate fleet status` lists them", slug="no-such-run")


def wrong_format(place: str, found: object) -> FleetError:
    """Return the refusal of a journal of another version."""
    return FleetError(
        f"the journal {place} has format {found}, and this version of tidegate knows format 1 only",
        hint="go on with the version that wrote it, or name another journal with --state",
        slug="journal-format",
    )


def busy_hosts(found: Iterable[tuple[str, str]], hosts: Iterable[Host]) -> FleetError:
    """Return the refusal of a run whose hosts are in other ones.

    Parameters
    ----------
    found
        Address and run of each host that is taken.
    hosts
        The hosts of the new run.
    """
    names = {host.address.lower(): host.name for host in hosts}
    taken = sorted((names.get(address, address), run) for address, run in found)
    host, run = taken[0]
    more = f", and {len(taken) - 1} more" if len(taken) > 1 else ""
    return FleetError(
        f"the host {host} is in the unfinished run {run}{more}",
        hint=f"`tidegate fleet resume {run}` or `tidegate fleet abort {run}` first",
        slug="host-busy",
    )
