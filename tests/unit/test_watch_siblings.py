"""Files of a log are opened as they were found; what cannot be read is passed over and said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotated import LogFile
from tidegate.watch.live.files import Unreadable
from tidegate.watch.live.folders import Folders
from tidegate.watch.live.rotation import Found
from tidegate.watch.live.saying import Saying
from tidegate.watch.live.siblings import Siblings


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    log = LogFile(tmp_path / "a.log")
    log.records(1)
    log.rotate()
    log.records(1)
    return log


def siblings(log: LogFile) -> tuple[Siblings, Saying, list[Found]]:
    saying = Saying("files.a", str(log.path), "s")
    made = Siblings(str(log.path), Folders(), saying)
    return made, saying, made.files(None) or []


def test_a_file_is_opened_with_its_head(log: LogFile) -> None:
    made, _, files = siblings(log)
    assert [Path(file.path).name for file in files] == ["a.log.1", "a.log"]
    file, head = made.opened(files[0], 0)
    assert file is not None
    assert head.startswith(b"2026-11-25T")
    file.close()


def test_a_file_that_was_renamed_meanwhile_is_another_one(log: LogFile) -> None:
    made, _, files = siblings(log)
    log.rotate()
    log.records(1)
    assert made.opened(files[0], 0) == (None, b"")
    assert made.opened(files[1], 0) == (None, b"")
    Path(f"{log.path}.1").unlink()
    assert made.opened(files[0], 0) == (None, b"")
    assert len(made.files(None) or []) == 2


def test_an_empty_rotation_is_passed_over(log: LogFile) -> None:
    Path(f"{log.path}.1").write_text("")
    made, saying, files = siblings(log)
    assert made.opened(files[0], 0) == (None, b"")
    assert [file.live for file in made.files(None) or []] == [True]
    assert saying.rest(None, 0, idle=True) is None
    made.restart()
    assert len(made.files(None) or []) == 2


def test_a_log_that_cannot_be_read_is_no_rotation(log: LogFile) -> None:
    for path in (log.path, Path(f"{log.path}.1")):
        path.write_bytes(b"BZh91AY")
    made, saying, files = siblings(log)
    assert made.opened(files[0], 3) == (None, b"")
    with pytest.raises(Unreadable, match="bzip2"):
        made.opened(files[1], 3)
    batch = saying.rest(None, 9, idle=True)
    assert batch is not None
    assert [(gap.kind, gap.since) for gap in batch.gaps] == [("unreadable", 3)]


def test_a_log_that_was_truncated_meanwhile_is_another_one(log: LogFile) -> None:
    made, _, files = siblings(log)
    log.rotate(copy=True)
    log.records(1)
    assert made.opened(files[1], 0) == (None, b"")
