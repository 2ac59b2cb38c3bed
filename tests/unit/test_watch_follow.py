"""A log is read through its rotations: nothing twice, nothing lost, and every record has one place for ever."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotated import SECOND, LogFile, Stored, Watcher, record
from tidegate.watch.live.files import Opened
from tidegate.watch.live.folders import Folders
from tidegate.watch.live.follow import Follower
from tidegate.watch.live.lines import LINE


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "vpxd.log")


@pytest.fixture
def watcher(log: LogFile) -> Watcher:
    return Watcher(log, Stored())


WRITES = st.tuples(st.just("write"), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 0, 300, 3_000]))
ROTATES = st.tuples(st.just("rotate"), st.booleans(), st.booleans(), st.booleans())
LATES = st.tuples(st.just("late"), st.integers(1, 3))
PACKS = st.tuples(st.just("pack"), st.integers(1, 3))
STEPS = st.tuples(st.just("step"), st.integers(1, 6))
COMMITS = st.tuples(st.just("commit"), st.integers(0, 3))
KILLS = st.tuples(st.just("kill"))
LIMITS = st.tuples(st.just("close"))


@settings(max_examples=300)
@given(st.lists(WRITES | ROTATES | LATES | PACKS | STEPS | STEPS | COMMITS | KILLS | LIMITS, max_size=40))
def test_any_rotation_any_crash(actions: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = LogFile(Path(folder) / "vpxd.log")
        log.records(1)
        watcher = Watcher(log, Stored())
        for action in actions:
            match action:
                case ("write", int(count), int(lines), int(width)):
                    log.records(count, lines=lines, width=width)
                case ("rotate", bool(copy), bool(pack), bool(create)):
                    log.rotate(copy=copy, pack=pack, create=create)
                case ("late", int(count)):
                    log.late(count)
                case ("pack", int(number)):
                    log.pack(number)
                case ("step", int(count)):
                    for _ in range(count):
                        watcher.step()
                case ("commit", int(count)):
                    watcher.commit(count)
                case ("kill",):
                    watcher.kill()
                case ("close",):
                    watcher.follower.close()
        watcher.finish()
        watcher.kill()
        watcher.finish()
        watcher.follower.close()
        assert watcher.stored.numbers == list(range(log.written))
        assert [gap for gap in watcher.stored.gaps if gap.kind == "truncated"] == []


def test_the_last_record_waits_a_second(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    assert watcher.step()
    steps = 1
    while len(watcher.waiting) == 1:
        watcher.step()
        steps += 1
    watcher.commit()
    assert watcher.stored.numbers == [0, 1]
    assert steps == 5  # steps are a quarter of a second apart


def test_a_batch_tells_whether_there_is_more_and_whether_it_is_live(log: LogFile, watcher: Watcher) -> None:
    log.records(40, width=60_000)
    watcher.finish()
    log.records(1)
    log.now += SECOND // 4  # a look at a log that has grown
    batch = watcher.follower.wake(log.now)
    assert batch is not None
    assert (batch.data, batch.idle) == (b"", False)
    assert watcher.follower.wake(log.now) is None
    watcher.waiting = []
    while not watcher.waiting:
        watcher.step()
    assert (watcher.waiting[0].live, watcher.waiting[0].idle) == (True, True)


def test_what_waited_for_a_watch_is_not_live(log: LogFile, watcher: Watcher) -> None:
    log.records(40, width=60_000)
    for _ in range(12):
        watcher.step()
    read = [batch for batch in watcher.waiting if batch.data]
    assert [(batch.live, batch.idle) for batch in read] == [(False, False)] * 3 + [(False, True)], "also the last one"
    log.records(1)
    for _ in range(6):
        watcher.step()
    assert [batch.live for batch in watcher.waiting if batch.data][4:] == [True]


def test_what_waited_behind_a_line_that_is_too_long_is_not_live(log: LogFile, watcher: Watcher) -> None:
    log.write("x" * (LINE * 2) + "\n")
    log.records(3)
    for _ in range(12):
        watcher.step()
    assert [batch.live for batch in watcher.waiting if b"number=" in batch.data] == [False, False]


def test_what_comes_while_the_last_record_waits_is_live_from_the_next_on(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    for _ in range(8):
        watcher.step()
        log.records(1)
    read = [batch.live for batch in watcher.waiting if batch.data]
    assert read == [False, False] + [True] * (len(read) - 2)


def test_a_log_is_read_from_its_begin_and_old_rotations_are_not(log: LogFile) -> None:
    log.records(3)
    log.rotate(pack=True)
    log.records(2)
    stored = Stored()
    watcher = Watcher(log, stored)
    watcher.follower = Follower("files.test", str(log.path), Folders(), since=log.now)
    watcher.finish()
    assert stored.numbers == [3, 4]


def test_a_truncation_without_a_copy_is_a_gap(log: LogFile, watcher: Watcher) -> None:
    log.records(3)
    watcher.finish()
    os.truncate(log.path, 0)
    log.records(2)
    watcher.finish()
    assert watcher.stored.numbers == list(range(5))
    assert [gap.kind for gap in watcher.stored.gaps] == ["truncated"]
    assert "truncated in place" in watcher.stored.gaps[0].detail
    assert watcher.follower.position is not None
    assert watcher.follower.position.generation == 1


def test_a_truncation_that_nobody_saw_is_a_gap(log: LogFile, watcher: Watcher) -> None:
    log.records(3)
    watcher.finish()
    os.truncate(log.path, 0)
    log.records(1)
    watcher.kill()
    watcher.finish()
    assert watcher.stored.numbers == list(range(4))
    assert [gap.kind for gap in watcher.stored.gaps] == ["truncated"]


def test_a_rotation_that_is_gone_is_a_gap_and_nothing_is_read_twice(log: LogFile, watcher: Watcher) -> None:
    log.records(3)
    log.rotate(pack=True)
    log.records(2)
    watcher.finish()
    log.records(1)
    log.rotate()
    Path(f"{log.path}.1").unlink()
    log.records(1)
    watcher.kill()
    watcher.finish()
    assert watcher.stored.numbers == [0, 1, 2, 3, 4, 6]
    assert [gap.kind for gap in watcher.stored.gaps] == ["truncated"]


def test_an_editor_changes_nothing(log: LogFile, watcher: Watcher) -> None:
    log.records(30)
    watcher.finish()
    other = log.path.with_name("other")
    other.write_bytes(log.path.read_bytes())
    other.rename(log.path)
    log.records(2)
    watcher.finish()
    assert watcher.stored.numbers == list(range(32))
    assert watcher.stored.gaps == []


def test_a_long_line_is_cut_counted_and_said(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    log.records(1, width=1_000_000)
    log.records(2)
    while not watcher.follower.cut_lines:
        watcher.step()
    watcher.commit()
    watcher.kill()
    watcher.finish()
    assert watcher.stored.numbers == list(range(5))
    assert [(gap.kind, gap.count) for gap in watcher.stored.gaps] == [("truncated", 1)]
    place = len(record(0) + record(1))
    assert f"the line at byte {place} has more than {LINE >> 10} KiB" in watcher.stored.gaps[0].detail
    text = log.path.read_text()
    assert {text.index(number): number for number in watcher.stored.places.values()} == {
        place: number for (_, place), number in watcher.stored.places.items()
    }


def test_a_rotation_that_cannot_be_read_is_passed_over(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    watcher.finish()
    log.rotate()
    log.records(2)
    log.rotate()
    Path(f"{log.path}.1").write_bytes(b"\xfd7zXZ\x00")
    Path(f"{log.path}.1").rename(f"{log.path}.1.xz")
    log.records(2)
    watcher.finish()
    assert watcher.stored.numbers == [0, 1, 4, 5]
    assert [gap.kind for gap in watcher.stored.gaps] == ["unreadable"]
    assert "is passed over: it is compressed with xz" in watcher.stored.gaps[0].detail


def test_a_damaged_rotation_is_read_up_to_the_damage(log: LogFile, watcher: Watcher) -> None:
    log.records(1)
    watcher.finish()
    log.records(3_000)
    log.rotate()
    first = Path(f"{log.path}.1")
    packed = gzip.compress(first.read_bytes())
    first.unlink()
    Path(f"{first}.gz").write_bytes(packed[: len(packed) // 2])
    log.records(1)
    watcher.kill()
    watcher.finish()
    numbers = watcher.stored.numbers
    assert numbers[0] == 0
    assert numbers[-1] == 3_001
    assert numbers[:-1] == list(range(len(numbers) - 1))
    assert 500 < len(numbers) < 2_900
    assert "it ends in the middle of its compressed text" in watcher.stored.gaps[0].detail


def test_a_log_that_is_missing_is_said_once_and_when_it_is_back(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    watcher.finish()
    watcher.kill()
    log.path.unlink()
    watcher.finish()
    assert [gap.detail for gap in watcher.stored.gaps] == [f"{log.path}: it is missing"]
    assert bool(watcher.follower.trouble)
    log.records(2)
    watcher.finish()
    assert not watcher.follower.trouble
    assert watcher.stored.numbers == list(range(4))
    assert watcher.stored.gaps[-1].detail == f"{log.path}: it is read again; until now it is missing"


def test_a_deleted_log_is_not_kept_from_its_disk(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    watcher.finish()
    log.path.unlink()
    assert watcher.follower.is_open
    log.now += 61 * SECOND
    watcher.step()
    assert not watcher.follower.is_open


def test_a_line_without_an_end_waits_for_it(log: LogFile, watcher: Watcher) -> None:
    log.write(record(0)[:40])
    watcher.finish()
    assert watcher.stored.text == ""
    log.write(record(0)[40:])
    log.write(record(1)[:-1])
    watcher.finish()
    assert watcher.stored.numbers == [0]
    log.rotate()
    log.write(record(2))
    watcher.finish()
    assert watcher.stored.numbers == [0, 1, 2]
    assert watcher.stored.text == record(0) + record(1) + record(2)


def test_the_view_tells_the_lag(log: LogFile, watcher: Watcher) -> None:
    log.records(40, width=60_000)
    watcher.step()
    view = watcher.follower.view()
    assert view["lag_bytes"] == log.path.stat().st_size - view["offset"]
    watcher.finish()
    assert watcher.follower.view()["lag_bytes"] == 0


def test_who_has_not_noticed_that_a_log_was_renamed_loses_nothing(log: LogFile, watcher: Watcher) -> None:
    log.records(2)
    watcher.finish()
    log.rotate()
    log.write(record(2))
    watcher.step()
    with Path(f"{log.path}.1").open("a") as file:
        file.write(record(3))
    watcher.finish()
    assert watcher.stored.numbers == [0, 1, 3, 2]


def test_a_truncation_while_it_is_read_is_seen(log: LogFile, watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    log.records(4)
    watcher.step()
    log.records(4)
    read = Opened.read

    def truncated_before(file: Opened, offset: int, size: int) -> bytes:
        if offset and log.written == 8:
            log.rotate(copy=True)
            log.records(20)
        return read(file, offset, size)

    monkeypatch.setattr(Opened, "read", truncated_before)
    watcher.finish()
    assert watcher.stored.numbers == list(range(28))
