"""A log is read through its rotations: nothing twice, nothing lost, and every record has one place for ever."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotated import LogFile, Stored, Watcher


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "vpxd.log")


@pytest.fixture
def watcher(log: LogFile) -> Watcher:
    return Watcher(log, Stored())


WRITES = st.tuples(st.just("write"), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 0, 300, 3_000]))
ROTATES = st.tuples(st.just("rotate"), st.booleans(), st.booleans(), st.booleans())
PACKS = st.tuples(st.just("pack"), st.integers(1, 3))
STEPS = st.tuples(st.just("step"), st.integers(1, 6))
COMMITS = st.tuples(st.just("commit"), st.integers(0, 3))
KILLS = st.tuples(st.just("kill"))
LIMITS = st.tuples(st.just("close"))


@settings(max_examples=300)
@given(st.lists(WRITES | ROTATES | PACKS | STEPS | STEPS | COMMITS | KILLS | LIMITS, max_size=40))
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
