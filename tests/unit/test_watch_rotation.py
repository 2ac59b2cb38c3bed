"""Which files are one log, in which order, and where reading goes on among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.watch.live.identity import HEAD, Identity, Position
from tidegate.watch.live.rotation import Found, Log, after, continues, logs_in, where

TEXT = b"the first line\n" + b"x" * 2_000
OTHER = b"another first line\n" + b"x" * 2_000


@pytest.mark.parametrize(
    ("live", "rotations"),
    [
        ("hostd.log", ["hostd.10.gz", "hostd.9.gz", "hostd.1.gz", "hostd.0.gz"]),
        ("hostd.log", ["hostd.log.10.gz", "hostd.log.2.gz", "hostd.log.1"]),
        ("vpxd.log", ["vpxd-9.log.gz", "vpxd-10.log.gz", "vpxd-11.log"]),
        ("messages", ["messages-20251124.gz", "messages-20251125"]),
        ("hostd.log", ["hostd.log-20251124-1763942400.gz", "hostd.log-20251124-1763946000"]),
        ("hostd.log", ["hostd-2025-11-24.log", "hostd-2025-11-25.log"]),
        ("esx-01.log", ["esx-01.log.2.gz", "esx-01.log.1"]),
        ("out.txt", ["out.2.txt", "out.1.txt"]),
    ],
)
def test_rotations_are_in_the_order_of_their_time(live: str, rotations: list[str]) -> None:
    names = [*reversed(rotations), live]
    assert logs_in(names) == [Log(live, rotations)]
    assert logs_in(rotations, known=[live]) == [Log(live, rotations)]


def test_numbers_alone_are_no_rotations() -> None:
    assert [log.live for log in logs_in(["esx-01.log", "esx-03.log"])] == ["esx-01.log", "esx-03.log"]
    assert logs_in(["hostd.log.1", "hostd.0.gz", "vpxd-12.log.gz"]) == []


def test_a_compressed_file_beside_its_plain_self_is_not_whole_yet() -> None:
    names = ["hostd.log", "hostd.log.1", "hostd.log.1.gz", "hostd.log.2.gz"]
    assert logs_in(names) == [Log("hostd.log", ["hostd.log.2.gz", "hostd.log.1"])]


def test_other_files_are_logs_of_their_own() -> None:
    names = ["hostd.log", "hostd-probe.log", "hostd.log.1", "hostd-probe.1.gz", "hostd.log.swp"]
    assert [(log.live, log.rotations) for log in logs_in(names)] == [
        ("hostd-probe.log", ["hostd-probe.1.gz"]),
        ("hostd.log", ["hostd.log.1"]),
        ("hostd.log.swp", []),
    ]


def position(text: bytes = TEXT, offset: int = 1_000, modified: int = 50) -> Position:
    return Position("log", 0, Identity.of(1, 10, text), 0, offset, modified)


def file(path: str, inode: int, modified: int, text: bytes = TEXT, size: int | None = -1) -> Found:
    return Found(path, 1, inode, modified, text[:HEAD], len(text) if size == -1 else size, path == "log")


def test_a_log_that_nothing_has_happened_to() -> None:
    assert where(position(), [file("log.1", 9, 40, OTHER), file("log", 10, 60)]) == 1


def test_a_log_that_was_renamed() -> None:
    assert where(position(), [file("log.2", 9, 40, OTHER), file("log.1", 10, 60), file("log", 11, 70, OTHER)]) == 1


def test_a_log_that_was_compressed() -> None:
    assert where(position(), [file("log.2.gz", 13, 60, size=None), file("log.1", 12, 65, OTHER)]) == 0


def test_a_log_that_was_copied_and_truncated() -> None:
    files = [file("log.1", 12, 60), file("log", 10, 70, TEXT[:500])]
    assert where(position(), files) == 0
    # It has grown past the offset since, and begins as it did before.
    assert where(position(TEXT[:15], offset=15), [file("log.1", 12, 60), file("log", 10, 70, TEXT[:900])]) == 0


def test_an_old_rotation_that_begins_alike_is_another_file() -> None:
    assert where(position(), [file("log.1", 9, 40), file("log", 10, 60)]) == 1
    assert where(position(), [file("log.1", 9, 40)]) is None


def test_an_inode_that_is_used_again_is_another_file() -> None:
    assert where(position(), [file("log", 10, 60, OTHER)]) is None


def test_a_log_that_an_editor_wrote() -> None:
    files = [file("log", 77, 60, TEXT + b"more\n")]
    assert where(position(), files) == 0
    assert continues(position(), files[0])
    assert where(position(TEXT[:15], offset=15), files) is None
    assert where(position(offset=9_000), files) is None


def test_a_short_file_is_known_by_what_it_has() -> None:
    short = position(TEXT[:20], offset=20)
    assert short.identity.length == 20
    assert where(short, [file("log.1.gz", 12, 60, TEXT[:70], size=None)]) == 0
    assert where(short, [file("log.1.gz", 12, 60, TEXT[:19], size=None)]) is None


def test_what_is_lost_is_followed_by_what_was_changed_since() -> None:
    files = [file("log.2", 1, 40), file("log.1", 2, 60), file("log", 3, 70)]
    assert after(50, files) == 1
    assert after(65, files) == 2
    assert after(99, files) == 2
    assert after(99, files[:2]) is None


def test_a_position_is_stored_and_read_again() -> None:
    one = replace(position(), generation=3, base=5_000_000_000, cut=True)
    assert Position.from_json(one.as_json()) == one
