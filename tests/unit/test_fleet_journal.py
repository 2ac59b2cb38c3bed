"""The journal, on both databases: what is written stays, one controller at a time, no host in two runs."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fleets import ROLLING, FakeWork, hosts_named, planned
from mortals import begun, event, hold_lock
from postgres import Server, postgres
from tidegate.errors import FleetError, UsageError, exit_code
from tidegate.fleet import events as e
from tidegate.fleet.journal import Journal, JournalLost, default_place, open_journal
from tidegate.fleet.journal_postgres import PostgresJournal
from tidegate.fleet.journal_sqlite import SqliteJournal
from tidegate.fleet.state import fold

Open = Callable[[], Journal]
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))]
EVENTS: list[e.Event] = [
    e.Approved(at=1.0, phase=0, by="me"),
    e.Taken(at=1.5, by="host:1"),
    e.Opened(at=2.0, phase=0, hosts=("esx01", "esx02")),
    e.Looked(at=2.5, phase=0, host="esx01", evidence={"pid": 7, "state": "running", "x": None}),
    e.Acting(at=3.0, phase=0, host="esx01"),
    e.Acted(at=3.5, phase=0, host="esx01", evidence={"pid": 8}),
    e.Verified(at=4.0, phase=0, host="esx01", says="fine"),
    e.Failed(at=4.5, phase=0, host="esx02", why="hangs"),
    e.Closed(at=5.0, phase=0),
    e.Tripped(at=6.0, guard="slow", why="3 s", halve=True),
    e.Sampled(at=6.5, name="slow", value=3.0),
    e.PauseAsked(at=7.0, by="me"),
    e.AbortAsked(at=7.5, by="me"),
    e.Skipped(at=8.0, phase=0, host="esx03", why="in transition"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(params=BOTH)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the same journal again and again."""
    if request.param == "postgres":
        place = request.getfixturevalue("server").url
        with psycopg.connect(place, autocommit=True) as base:
            base.execute("DROP TABLE IF EXISTS tidegate_fleet_meta, tidegate_fleet_claims, tidegate_fleet_events")
            base.execute("DROP TABLE IF EXISTS tidegate_fleet_runs")
    else:
        place = str(tmp_path / "state" / "fleet.db")
    journals: list[Journal] = []

    def once() -> Journal:
        journals.append(open_journal(place))
        return journals[-1]

    yield once
    for journal in journals:
        journal.close()


def first(count: int = 3) -> e.Planned:
    return planned(FakeWork(ROLLING), hosts_named(count), notes=["a note"])


def test_what_is_written_is_read_by_another_in_order(opened: Open) -> None:
    one, two = opened(), opened()
    one.plan("r1", first())
    numbers = [one.append("r1", event) for event in EVENTS]
    assert numbers == sorted(set(numbers))
    assert [event for _, event in two.events("r1")] == [first(), *EVENTS]
    assert [event for _, event in two.events("r1", after=numbers[-2])] == EVENTS[-1:]
    assert two.events("r1", after=numbers[-1]) == []
    assert fold(event for _, event in two.events("r1")).aborting


def test_a_host_is_in_one_unfinished_run_only(opened: Open) -> None:
    one, two = opened(), opened()
    one.plan("r1", first())
    with pytest.raises(FleetError, match="the host esx01 is in the unfinished run r1, and 2 more") as caught:
        two.plan("r2", first(5))
    assert exit_code(caught.value) == 2
    assert "tidegate fleet resume r1" in caught.value.hint
    assert [row.run for row in two.runs()] == ["r1"]
    one.append("r1", e.Ended(at=9.0, how="finished"))
    two.plan("r2", first(5))
    assert [(row.run, row.ended) for row in one.runs()] == [("r1", "finished"), ("r2", "")]
    with pytest.raises(FleetError, match="exists already"):
        two.plan("r1", first())


def test_one_controller_at_a_time(opened: Open) -> None:
    one, two = opened(), opened()
    one.plan("r1", first())
    assert not two.held("r1")
    with one.lock("r1"):
        assert two.held("r1")
        with pytest.raises(FleetError, match="another controller is at work on the run r1"), two.lock("r1"):
            pass
        with pytest.raises(FleetError, match="another controller"), one.lock("r1"):
            pass
        two.append("r1", e.AbortAsked(at=2.0, by="me"))
    with two.lock("r1"):
        assert one.held("r1")
    assert not one.held("r1")


def test_the_lock_ends_with_the_process_that_holds_it(opened: Open) -> None:
    two = opened()
    two.plan("r1", first())
    ready = event()
    holder = begun(hold_lock, where(two), "r1", ready)
    ready.wait()
    assert two.held("r1")
    holder.kill()
    holder.join()
    for _ in range(1000):  # a server sees that a session is gone when it looks
        if not two.held("r1"):
            break
        signal.sigtimedwait([], 0.01)
    with two.lock("r1"):
        pass


def where(journal: Journal) -> str:
    """Return what opens the journal again."""
    return journal._url if isinstance(journal, PostgresJournal) else journal.place


def test_a_run_that_is_not_there(opened: Open) -> None:
    journal = opened()
    for ask in (lambda: journal.events("r9"), lambda: journal.append("r9", EVENTS[0])):
        with pytest.raises(FleetError, match='there is no run "r9"'):
            ask()
    assert journal.runs() == []


def test_an_event_of_another_version_is_refused() -> None:
    for text in (
        "{}",
        "no",
        '{"kind": "sung", "at": 1}',
        '{"kind": "closed", "at": 1, "phase": 0, "loud": true}',
        "[]",
    ):
        with pytest.raises(FleetError, match="does not know"):
            e.decode(text)


def test_the_file_is_private_and_of_one_format(tmp_path: Path) -> None:
    file = tmp_path / "new" / "fleet.db"
    SqliteJournal(file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sqlite3.connect(file) as base:
        base.execute("UPDATE meta SET format = 2")
    base.close()
    with pytest.raises(FleetError, match="has format 2, and this version of tidegate knows format 1 only") as caught:
        SqliteJournal(file)
    assert exit_code(caught.value) == 2


def test_files_that_are_no_journal(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("not a database at all, but long enough to be looked at" * 10)
    with pytest.raises(JournalLost, match="cannot be used: file is not a database") as caught:
        SqliteJournal(text)
    assert exit_code(caught.value) == 4
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE mine (x)")
    base.close()
    with pytest.raises(FleetError, match="not a journal of runs"):
        SqliteJournal(other)
    with pytest.raises(JournalLost, match="cannot be used"):
        SqliteJournal(text / "fleet.db")


def replace(_: SqliteJournal, file: Path) -> None:
    file.unlink()
    SqliteJournal(file).close()


LOSSES: dict[str, tuple[Callable[[SqliteJournal, Path], object], str]] = {
    "removed": (lambda _, file: file.rename(file.with_suffix(".old")), "is gone: its file was removed or replaced"),
    "replaced": (replace, "is gone: its file was removed or replaced"),
    "read-only": (lambda one, _: one._base.execute("PRAGMA query_only = 1"), "attempt to write a readonly database"),
    "full": (lambda one, _: one._base.execute("PRAGMA max_page_count = 1"), "database or disk is full"),
}
"""What becomes of the file of a journal that is in use, and what is said of it."""


@pytest.mark.parametrize("loss", LOSSES)
def test_a_file_that_cannot_be_written_any_more_is_a_lost_journal(tmp_path: Path, loss: str) -> None:
    lose, says = LOSSES[loss]
    file = tmp_path / "fleet.db"
    journal = SqliteJournal(file)
    journal.plan("r1", first())
    lose(journal, file)
    large = e.Sampled(at=1.0, name="slow" * 50_000, value=3.0)
    for _ in range(2):  # and it stays so: what was begun is rolled back
        with pytest.raises(JournalLost, match=says) as caught:
            journal.append("r1", large)
        assert exit_code(caught.value) == 4
        assert str(file) in caught.value.message
        assert bool(caught.value.hint) == (loss in {"removed", "replaced"})
    journal.close()


def test_a_lock_file_goes_when_nobody_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "fleet.db"
    one, two = SqliteJournal(file), SqliteJournal(file)
    one.plan("r1", first())
    assert not one.held("r1")
    place = tmp_path / "fleet.db.r1.lock"
    with one.lock("r1"):
        assert place.exists()
        assert two.held("r1")
    assert not place.exists()
    with one.lock("r1"):
        # Somebody tidied up, and another controller came: what it holds is not ours to remove.
        place.unlink()
        with two.lock("r1"):
            assert place.exists()
        assert not place.exists()
    place.touch()  # as one is left by a controller that was killed
    assert not two.held("r1")
    assert list(tmp_path.glob("*.lock")) == []
    one.close()
    two.close()


def test_who_waits_for_a_lock_file_never_has_one_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between open and flock the holder lets go: what was opened is no longer the lock."""
    file = tmp_path / "fleet.db"
    one, two = SqliteJournal(file), SqliteJournal(file)
    one.plan("r1", first())
    held, opens = one.lock("r1"), os.open
    held.__enter__()

    def opened_too_early(*arguments: Any) -> int:
        descriptor = opens(*arguments)
        monkeypatch.undo()
        held.__exit__(None, None, None)
        return descriptor

    monkeypatch.setattr(os, "open", opened_too_early)
    with two.lock("r1"):
        assert one.held("r1")
    assert list(tmp_path.glob("*.lock")) == []
    one.close()
    two.close()


def test_where_journals_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_place() == tmp_path / "tidegate" / "fleet.db"
    open_journal(None).close()
    assert default_place().exists()
    with pytest.raises(UsageError, match="holds a password"):
        open_journal("postgresql://me:secret@db/fleet")
    with pytest.raises(UsageError, match="not mysql://"):
        open_journal("mysql://db/fleet")


@pytest.mark.peer("postgres")
def test_postgres_of_another_format(server: Server) -> None:
    journal = PostgresJournal(server.url)
    assert "host=" not in journal.place
    journal.close()
    with psycopg.connect(server.url, autocommit=True) as base:
        base.execute("UPDATE tidegate_fleet_meta SET format = 7")
        with pytest.raises(FleetError, match="has format 7"):
            PostgresJournal(server.url)
        base.execute("UPDATE tidegate_fleet_meta SET format = 1")


@pytest.mark.peer("postgres")
def test_a_controller_that_has_lost_its_database_cannot_write(server: Server) -> None:
    journal = PostgresJournal(server.url)
    with psycopg.connect(server.url, autocommit=True) as base:
        journal.plan("lost", planned(FakeWork(ROLLING), hosts_named(9)[8:]))
        with journal.lock("lost"):
            base.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
            with pytest.raises(JournalLost, match="does not answer") as caught:
                journal.append("lost", EVENTS[0])
    assert exit_code(caught.value) == 4
    other = PostgresJournal(server.url)
    with other.lock("lost"):
        assert len(other.events("lost")) == 1
    other.close()
    with pytest.raises(JournalLost):
        PostgresJournal("postgresql://tidegate@/postgres?host=/nonexistent")
