"""The store of a watch, on both databases: a step is kept whole or not at all, and what waits is told in its order."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from live_watches import NOON, SECOND, a_change, a_notice
from postgres import Server, postgres
from tidegate.errors import Exit, exit_code
from tidegate.watch.live import outbox
from tidegate.watch.live.model import Change, Gap
from tidegate.watch.live.store import Saved, Store, StoreLost, StoreRefused
from tidegate.watch.live.store_open import open_store
from tidegate.watch.live.store_postgres import PostgresStore
from tidegate.watch.live.store_sqlite import SqliteStore

Open = Callable[[], Store]
BOTH = ["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))]
SCHEMA = "tidegate_watch_main"
RECEIVERS = ("am", "hook")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(params=BOTH)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return what opens the same store again and again."""
    place = str(tmp_path / "state" / "watch.db")
    if request.param == "postgres":
        place = request.getfixturevalue("server").url
        with psycopg.connect(place, autocommit=True) as base:
            base.execute(f'DROP SCHEMA IF EXISTS "{SCHEMA}" CASCADE')
    stores: list[Store] = []

    def open_it() -> Store:
        stores.append(open_store(place, "main", RECEIVERS))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def keys(store: Store, receiver: str = "am", now: int = NOON, limit: int = 100) -> list[str]:
    return [row.notice.key for row in store.due(receiver, now, limit)]


def test_a_new_store_is_empty(opened: Open) -> None:
    store = opened()
    assert store.load() == Saved()
    assert store.due("am", NOON, 10) == []
    assert store.next_due("am") is None
    assert store.view()["outbox"] == {name: {"waiting": 0, "oldest": None} for name in RECEIVERS}


def test_a_step_is_there_after_it_was_opened_anew(opened: Open) -> None:
    store = opened()
    store.commit(a_change(offset=7), NOON)
    store.commit(a_change(a_notice(), offset=9), NOON + 1)
    store.close()
    store = opened()
    saved = store.load()
    assert saved.positions == {("files.esx", "1:2"): {"offset": 9}}
    assert saved.rows == [("episode", "k", {"open": True}), ("window", "a\0b\udc80", {"times": [9]})]
    assert saved.gaps == [Gap("files.esx", "truncated", "hostd.log", NOON, NOON + 1, 3)]
    assert saved.stopped == NOON + 1
    assert [row.notice for row in store.due("hook", NOON + 1, 10)] == [a_notice()]


def test_rows_go_and_a_step_twice_is_a_step_once(opened: Open) -> None:
    store = opened()
    change = a_change(a_notice(), a_notice("cleared"), offset=1)
    for _ in range(2):
        store.commit(change, NOON)
    assert store.view()["outbox"]["am"] == {"waiting": 2, "oldest": NOON}
    gone = Change(positions={("files.esx", "1:2"): None}, rows={("episode", "k"): None, ("window", "never"): None})
    for _ in range(2):
        store.commit(gone, NOON)
    saved = store.load()
    assert saved.positions == {}
    assert [row[:2] for row in saved.rows] == [("window", "a\0b\udc80")]
    assert len(saved.gaps) == 1


def test_a_step_that_fails_halfway_is_not_there(opened: Open) -> None:
    store = opened()
    store.commit(a_change(offset=1), NOON)
    broken = a_change(a_notice(), offset=2)
    broken.notices.append(a_notice("cleared", evidence=(object(),)))
    with pytest.raises(TypeError):
        store.commit(broken, NOON + 1)
    assert store.load().positions == {("files.esx", "1:2"): {"offset": 1}}
    assert store.load().stopped == NOON
    assert keys(store) == []


def test_a_chain_is_told_in_order_and_others_do_not_wait(opened: Open) -> None:
    store = opened()
    first, then, other = a_notice(), a_notice("cleared"), a_notice(number=2, scope="vc2")
    store.commit(a_change(first, then, other), NOON)
    row, beside = store.due("am", NOON, 10)
    assert [row.notice, beside.notice] == [first, other]
    store.failed(row, NOON)
    assert keys(store) == [other.key]
    store.sent([beside])
    assert keys(store) == []
    due = store.next_due("am")
    assert due is not None
    assert NOON + SECOND // 2 <= due <= NOON + SECOND
    (again,) = store.due("am", due, 10)
    assert (again.notice, again.tries) == (first, 1)
    store.sent([again])
    assert keys(store, now=due) == [then.key]
    assert keys(store, "hook") == [first.key, other.key]


def test_a_receiver_that_was_down_for_an_hour_is_told_everything(opened: Open) -> None:
    store, now = opened(), NOON
    for number in range(120):  # a storm each 30 s
        now += 30 * SECOND
        store.commit(a_change(a_notice(number=number, scope=f"vc{number}", at=now)), now)
        for row in store.due("am", now, 1):
            store.failed(row, now)
    told: list[str] = []
    while (due := store.next_due("am")) is not None:
        now = max(now, due)
        rows = store.due("am", now, 16)
        told += [row.notice.key for row in rows]
        store.sent(rows)
    assert sorted(told) == sorted(f"{number:032x}/opened" for number in range(120))
    assert now <= NOON + (3600 + 60) * SECOND
    assert store.view()["outbox"]["hook"]["waiting"] == 120


def test_a_full_outbox_is_a_gap(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_ROWS_MAX", 6)
    store = opened()
    store.commit(a_change(*(a_notice(number=number, scope=str(number)) for number in range(2))), NOON)
    store.sent(store.due("hook", NOON, 10))
    gaps = store.commit(a_change(*(a_notice(number=number, scope=str(number)) for number in range(2, 5))), NOON + 1)
    assert [(gap.source, gap.kind, gap.count) for gap in gaps] == [("outbox.am", "queue_full", 2)]
    assert store.load().gaps == gaps
    assert len(keys(store, now=NOON + 1)) == len(keys(store, "hook", now=NOON + 1)) == 3
    store.sent(store.due("hook", NOON + 1, 10))
    (grown,) = store.commit(a_change(a_notice(number=9, scope="9")), NOON + 2)
    assert (grown.since, grown.until, grown.count) == (NOON + 1, NOON + 2, 3)
    assert store.load().gaps == [grown]


def test_a_clock_that_is_set_back_keeps_nothing_waiting(opened: Open) -> None:
    store = opened()
    store.commit(a_change(a_notice()), NOON)
    (row,) = store.due("am", NOON - 3600 * SECOND, 10)
    store.failed(row, NOON)
    assert keys(store, now=NOON - 3600 * SECOND) == [a_notice().key]
    assert keys(store, now=NOON) == []


def test_only_the_newest_gaps_are_kept(opened: Open) -> None:
    store = opened()
    gaps = [Gap("syslog.main", "kernel_drops", "", NOON + number, NOON + number) for number in range(1100)]
    for at in range(0, 1100, 100):
        store.commit(Change(gaps=gaps[at : at + 100]), NOON)
    assert store.load().gaps == gaps[-1000:]


def test_one_watch_at_a_time(opened: Open) -> None:
    store = opened()
    with pytest.raises(StoreRefused, match=r"another watch .*is at work with the store") as caught:
        opened()
    assert exit_code(caught.value) == Exit.USAGE
    store.close()
    with pytest.raises(StoreLost, match="is closed"):
        store.load()
    opened().load()


def test_another_format_is_refused(opened: Open) -> None:
    store = opened()
    with store._step():  # type: ignore[attr-defined]
        store._rows("UPDATE meta SET value = '2' WHERE name = 'format'")  # type: ignore[attr-defined]
    store.close()
    with pytest.raises(StoreRefused, match="has format 2; this tidegate knows 1 only"):
        opened()


def test_a_killed_watch_leaves_whole_steps(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from live_watches import *\n"
        "from tidegate.watch.live.store_open import open_store\n"
        "store = open_store(sys.argv[1], 'main', ['am'])\n"
        "store.commit(a_change(a_notice(), offset=1), NOON)\n"
        "with store._step():\n"
        "    store._keep('positions', {('files.esx', '1:2'): {'offset': 2}})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    file = tmp_path / "watch.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code, str(file)], env=environment, check=False, timeout=50)
    assert run.returncode == -9
    store = SqliteStore(file, ["am"])
    assert store.load().positions == {("files.esx", "1:2"): {"offset": 1}}
    assert keys(store) == [a_notice().key]
    store.close()


def test_files_are_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "watch.db"
    store = SqliteStore(file, ["am"])
    store.commit(a_change(a_notice()), NOON)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["watch.db", "watch.db-shm", "watch.db-wal", "watch.db.lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    store.close()
    file.chmod(0o640)
    with pytest.raises(StoreRefused, match="others can read the store"):
        SqliteStore(file, ["am"])


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("x" * 5000)
    text.chmod(0o600)
    with pytest.raises(StoreRefused, match="is no database"):
        SqliteStore(text, [])
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE songs (title TEXT)")
    base.close()
    other.chmod(0o600)
    with pytest.raises(StoreRefused, match="is a database, but not a watch's"):
        SqliteStore(other, [])
    with pytest.raises(StoreLost, match="cannot be used: Is a directory"):
        SqliteStore(tmp_path, [])


def test_a_file_that_is_gone_is_not_written_to(tmp_path: Path) -> None:
    file = tmp_path / "watch.db"
    store = SqliteStore(file, ["am"])
    file.unlink()
    with pytest.raises(StoreRefused, match="is gone"):
        store.commit(a_change(), NOON)
    store.close()


def test_a_url_that_nobody_can_decode_is_said() -> None:
    with pytest.raises(StoreLost, match="does not answer"):
        PostgresStore("postgresql://127.0.0.1:1/d%ec", "watch", [])


@pytest.mark.peer("postgres")
def test_a_server_that_starts_anew_is_found_again(server: Server) -> None:
    store = PostgresStore(server.url, "anew", ["am"])
    store.commit(a_change(a_notice(), offset=1), NOON)
    server.stop()
    change = a_change(a_notice("cleared"), offset=2)
    with pytest.raises(StoreLost, match="does not answer") as caught:
        store.commit(change, NOON + 1)
    assert exit_code(caught.value) == Exit.UNREACHABLE
    with pytest.raises(StoreLost):
        store.due("am", NOON, 10)
    server.start()
    store.commit(change, NOON + 1)
    assert store.load().positions == {("files.esx", "1:2"): {"offset": 2}}
    assert store.view()["outbox"]["am"]["waiting"] == 2
    store.close()


@pytest.mark.peer("postgres")
def test_a_watch_whose_store_was_taken_over_stops(server: Server) -> None:
    store = PostgresStore(server.url, "taken", ["am"])
    with psycopg.connect(server.url, autocommit=True) as base:
        base.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    with pytest.raises(StoreLost):
        store.load()
    other = PostgresStore(server.url, "taken", ["am"])
    with pytest.raises(StoreLost, match="is locked by another session"):
        store.load()
    other.close()
    with pytest.raises(StoreRefused, match="has taken over the store"):
        store.load()
    store.close()


@pytest.mark.peer("postgres")
def test_watches_of_two_names_share_a_server(server: Server) -> None:
    one, two = PostgresStore(server.url, "one", ["am"]), PostgresStore(server.url, "Two-2", ["am"])
    one.commit(a_change(a_notice(), offset=1), NOON)
    assert two.load() == Saved()
    one.close()
    two.close()


def test_a_place_holds_no_password() -> None:
    with pytest.raises(StoreLost) as caught:
        open_store("postgresql://me:hush@127.0.0.1:1/base", "main", [])
    assert "hush" not in caught.value.message
    assert "postgresql://127.0.0.1:1/base (main)" in caught.value.message
    with pytest.raises(StoreRefused, match="is no name for a watch"):
        open_store("postgresql://127.0.0.1:1/base", 'a"b', [])
