"""Files as they are: compressed ones read alike, damage told, nothing opened that is no file."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.live.files import Unreadable, found, opened, seen
from tidegate.watch.live.folders import Folders

TEXT = b"".join(b"line %d of a log\n" % number for number in range(50_000))


@given(st.lists(st.tuples(st.integers(0, len(TEXT) + 10), st.integers(0, 300_000)), max_size=8))
def test_a_compressed_file_reads_as_a_plain_one(
    tmp_path_factory: pytest.TempPathFactory, reads: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("files") / "a.gz"
    # Two members and zeros behind them, as tools leave them.
    path.write_bytes(gzip.compress(TEXT[:300_000]) + gzip.compress(TEXT[300_000:]) + b"\0" * 512)
    file = opened(str(path))
    try:
        for offset, size in reads:
            assert file.read(offset, size) == TEXT[offset : offset + size]
        assert not file.broken
    finally:
        file.close()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(TEXT))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2 : len(packed) // 2 + 20_000] = b"\xff" * 20_000
    path = tmp_path / "a.gz"
    path.write_bytes(packed)
    file = opened(str(path))
    text = file.read(0, len(TEXT) + 1)
    assert text
    assert TEXT.startswith(text[:1_000])
    assert file.broken.startswith("it ends" if damage == "cut" else "its compressed text is damaged")
    file.close()


def test_a_bomb_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"\0" * (64 << 20)))
    file = opened(str(path))
    assert file.read(60 << 20, 1 << 20) == b"\0" * (1 << 20)
    assert len(file._text) <= 2 << 20  # type: ignore[attr-defined]
    file.close()


def test_other_kinds_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.xz").write_bytes(b"\xfd7zXZ\x00 and so on")
    with pytest.raises(Unreadable, match="compressed with xz; of compressed rotations only gzip's are read"):
        opened(str(tmp_path / "a.xz"))
    with pytest.raises(Unreadable, match="no regular file"):
        opened(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable, match="no regular file"):
        opened(str(tmp_path / "pipe"))
    with pytest.raises(FileNotFoundError):
        opened(str(tmp_path / "none"))


def test_what_is_found_is_what_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    file = found(str(path), live=True)
    assert (file.head, file.size, file.live) == (TEXT[:1024], len(TEXT), True)
    assert seen(str(path), live=True) is not None
    assert seen(str(tmp_path / "none"), live=True) is None


def test_a_folder_knows_its_logs(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "b.log.1", ".a.log.swp"):
        (tmp_path / name).write_text("text\n")
    folders = Folders()
    assert folders.logs(str(tmp_path / "*")) == [str(tmp_path / "a.log")]
    folders.know(str(tmp_path / "b.log"))
    assert [file.path for file in folders.files(str(tmp_path / "b.log")) or []] == [str(tmp_path / "b.log.1")]
    with pytest.raises(Unreadable, match="its folder cannot be read"):
        folders.files(str(tmp_path / "none" / "b.log"))
