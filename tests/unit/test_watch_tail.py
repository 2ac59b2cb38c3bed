"""Logs are found, followed and told of: many at a time, in turn, and never more open files than said."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rotated import SECOND, LogFile, Stored, record
from tidegate.watch.live import follow
from tidegate.watch.live import tail as module
from tidegate.watch.live.model import Batch
from tidegate.watch.live.tail import Tail


def followed(tail: Tail, stored: Stored, until: Callable[[], bool]) -> list[Batch]:
    """Run a source and store all that it hands on, until something holds."""
    batches: list[Batch] = []

    async def run() -> None:
        done = asyncio.Event()

        async def put(batch: Batch) -> None:
            batches.append(batch)
            stored.take(batch)
            if until():
                done.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(tail.run(put, dict(stored.positions)))
            await asyncio.wait_for(done.wait(), 30)
            task.cancel()

    asyncio.run(run())
    return batches


def test_all_logs_are_read_and_rotations_are_none(tmp_path: Path) -> None:
    for host in ("esx1", "esx2"):
        (tmp_path / host).mkdir()
        log = LogFile(tmp_path / host / "hostd.log")
        log.records(3)
        log.rotate(pack=True)
        log.records(2)
    stored = Stored()
    tail = Tail("files.esx", [tmp_path / "*" / "hostd*"])
    followed(tail, stored, lambda: len(stored.numbers) == 4)
    assert sorted(stored.numbers) == [3, 3, 4, 4]
    view = tail.view()
    assert view["logs"] == 2
    assert view["lag_bytes"] == 0
    assert view["troubles"] == []


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    log, stored = LogFile(tmp_path / "hostd.log"), Stored()
    log.records(3)
    followed(Tail("files.esx", [log.path]), stored, lambda: len(stored.numbers) == 3)
    log.records(2)
    log.rotate(pack=True)
    log.records(1)
    followed(Tail("files.esx", [log.path]), stored, lambda: len(stored.numbers) == 6)
    assert stored.numbers == list(range(6))


def test_what_was_rotated_before_its_position_was_kept_is_read(tmp_path: Path) -> None:
    stored = Stored()
    killed = followed(Tail("files.esx", [tmp_path / "*.log"]), stored, lambda: True)
    assert [batch.data for batch in killed] == [b""]  # when it began is kept before anything is read
    log, other = LogFile(tmp_path / "hostd.log"), LogFile(tmp_path / "other.log")
    log.now = time.time_ns()
    log.records(3)
    log.rotate(pack=True)
    other.now = log.now + 10 * SECOND
    other.records(1)
    followed(Tail("files.esx", [other.path]), stored, lambda: stored.numbers == [0])  # only its position is kept
    log.records(2)
    later = Stored(positions=stored.positions)
    followed(Tail("files.esx", [tmp_path / "*.log"]), later, lambda: len(later.numbers) == 5)
    assert later.numbers == list(range(5))


def test_more_logs_than_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN", 3)
    logs = [LogFile(tmp_path / f"{letter}.log") for letter in "abcdefgh"]
    for log in logs:
        log.records(2)
    stored, tail = Stored(), Tail("files.esx", [tmp_path / "*.log"])
    most = 0

    def until() -> bool:
        nonlocal most
        most = max(most, tail.view()["open_files"])
        if len(stored.numbers) == 16:
            for log in logs:
                if log.written == 2:
                    log.rotate()
                    log.records(2)
        return len(stored.numbers) == 32

    followed(tail, stored, until)
    assert most <= 3
    assert sorted(stored.numbers) == sorted([0, 1, 2, 3] * 8)


def test_what_is_gone_for_long_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGS", 2)
    monkeypatch.setattr(module, "MATCH", 0.0)
    monkeypatch.setattr(follow, "FORGOTTEN", 0)
    monkeypatch.setattr(follow, "_DELETED", -1)
    stored, tail = Stored(), Tail("files.esx", [tmp_path / "*.log"])
    old, other, new = (LogFile(tmp_path / f"day-{number}.log") for number in (1, 2, 3))
    old.records(1)
    other.records(1)

    def until() -> bool:
        if len(stored.numbers) == 2 and not new.written:
            old.path.unlink()
            new.records(3)
        return len(stored.numbers) == 5

    followed(tail, stored, until)
    assert tail.view()["logs"] == 2
    assert not any("day-1" in stream for stream in stored.positions)
    assert any("day-3" in stream for stream in stored.positions)


def test_what_is_unread_is_said_before_anything_is_read(tmp_path: Path) -> None:
    logs = [LogFile(tmp_path / f"{letter}.log") for letter in "abc"]
    stored, tail = Stored(), Tail("files.esx", [tmp_path / "*.log"])
    for log in logs:
        log.records(1)
    batches = followed(tail, stored, lambda: len(stored.numbers) == 3)
    assert [(batch.data, batch.idle) for batch in batches[1:4]] == [(b"", False)] * 3
    for log in logs:
        log.records(40, width=100_000)
    batches = followed(Tail("files.esx", [tmp_path / "*.log"]), stored, lambda: len(stored.numbers) == 123)
    assert [(batch.data, batch.idle) for batch in batches[1:4]] == [(b"", False)] * 3
    assert [batch.idle for batch in batches if batch.data].count(True) == 3


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    stored, tail = Stored(), Tail("files.esx", [tmp_path / "*.log"])
    followed(tail, stored, lambda: bool(stored.gaps))
    assert [gap.kind for gap in stored.gaps] == ["unreadable"]
    assert tail.view()["troubles"] == [f"{tmp_path}/*.log: no file matches"]


@pytest.mark.parametrize(("names", "is_trouble"), [(["*.log"], False), (["a.log", "b.log"], True)])
def test_a_log_that_is_deleted_is_no_trouble_unless_it_was_named(
    tmp_path: Path, names: list[str], *, is_trouble: bool
) -> None:
    stored, logs = Stored(), [LogFile(tmp_path / name) for name in ("a.log", "b.log")]
    for log in logs:
        log.records(1)
    paths = [tmp_path / name for name in names]
    followed(Tail("files.esx", paths), stored, lambda: len(stored.numbers) == 2)
    logs[0].path.unlink()
    tail, words = Tail("files.esx", paths), f"{tmp_path}/a.log: it is missing"
    followed(tail, stored, lambda: words in [gap.detail for gap in stored.gaps])
    assert (words in tail.view()["troubles"]) is is_trouble
    assert is_trouble or not tail.view()["troubles"]


def test_logs_that_are_too_many_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGS", 2)
    for name in ("a.log", "b.log", "c.log"):
        LogFile(tmp_path / name).records(1)
    stored, tail = Stored(), Tail("files.esx", [tmp_path / "*.log"])
    followed(tail, stored, lambda: len(stored.numbers) == 2)
    assert tail.view()["troubles"] == ["1 logs are not read: 2 at the most are followed"]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.log")
    stored, tail = Stored(), Tail("files.esx", [tmp_path / "pipe.log"])
    followed(tail, stored, lambda: bool(stored.gaps))
    assert stored.gaps[0].detail.endswith("pipe.log: it is no regular file")


def test_a_backlog_of_rotations_is_read_in_order(tmp_path: Path) -> None:
    log, stored = LogFile(tmp_path / "hostd.log"), Stored()
    log.write(record(0))
    log.written = 1
    followed(Tail("files.esx", [log.path]), stored, lambda: len(stored.numbers) == 1)
    for _ in range(12):
        log.records(3)
        log.rotate(pack=True)
    log.records(1)
    followed(Tail("files.esx", [log.path]), stored, lambda: len(stored.numbers) == log.written)
    assert stored.numbers == list(range(log.written))
