"""Logs that Debian's logrotate rotates while they are followed, and while nobody follows them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rotated import LogFile, Stored
from tidegate.watch.live.model import Batch
from tidegate.watch.live.tail import Tail

pytestmark = pytest.mark.peer("logrotate")

WAYS = {
    "create": "create",
    "nocreate": "nocreate",
    "compress": "create\n compress",
    "delaycompress": "create\n compress\n delaycompress",
    "copytruncate": "copytruncate",
    "copytruncate-compress": "copytruncate\n compress",
    "copytruncate-delaycompress": "copytruncate\n compress\n delaycompress",
    "dates": "create\n compress\n dateext\n dateformat -%Y%m%d-%s",
    "extension": "create\n compress\n extension .log",
}


class Logrotate:
    """Rotates one log when told."""

    def __init__(self, log: Path, way: str) -> None:
        self._config, self._state = log.parent / "logrotate.conf", log.parent / "logrotate.state"
        self._config.write_text(f"{log} {{\n rotate 100\n missingok\n notifempty\n {WAYS[way]}\n}}\n")
        self._config.chmod(0o644)

    def rotate(self) -> None:
        """Rotate, whatever its state says; names that are dates are good once a second."""
        command = ["logrotate", "--force", "--state", str(self._state), str(self._config)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/bin"}
        for _ in range(500):
            done = subprocess.run(command, check=False, capture_output=True, timeout=20, env=environment)
            if not done.returncode:
                return
            assert b"already exists" in done.stderr
        raise AssertionError("it was not rotated")


class Watching:
    """A source that runs, and may be killed."""

    def __init__(self, log: Path) -> None:
        self._log, self.stored = log, Stored()
        self._came = asyncio.Event()

    async def _put(self, batch: Batch) -> None:
        self.stored.see(batch)
        self.stored.take(batch)
        self._came.set()

    async def until(self, done: Callable[[], bool]) -> None:
        """Follow the log until something holds, then die."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Tail("files.test", [self._log]).run(self._put, dict(self.stored.positions)))
            async with asyncio.timeout(20):
                while not done():
                    self._came.clear()
                    await self._came.wait()
            task.cancel()


@pytest.mark.parametrize("way", WAYS)
def test_it_is_followed_while_it_is_rotated(tmp_path: Path, way: str) -> None:
    log = LogFile(tmp_path / "hostd.log")
    logrotate = Logrotate(log.path, way)

    async def play() -> list[int]:
        log.records(5, lines=2)
        watching = Watching(log.path)
        rounds = 0

        def read() -> bool:
            # What was written is read but for the record that is held: then the next things happen.
            nonlocal rounds
            if len(watching.stored.numbers) < log.written - 1:
                return False
            if rounds < 4:
                rounds += 1
                logrotate.rotate()
                log.records(7, lines=2)
            return len(watching.stored.numbers) == log.written

        await watching.until(read)
        assert rounds == 4
        assert not [gap for gap in watching.stored.gaps if gap.kind == "truncated"]
        return watching.stored.numbers

    assert asyncio.run(play()) == list(range(log.written))


@pytest.mark.parametrize("way", WAYS)
def test_it_is_rotated_while_nobody_follows(tmp_path: Path, way: str) -> None:
    log = LogFile(tmp_path / "hostd.log")
    logrotate = Logrotate(log.path, way)

    async def play() -> list[int]:
        log.records(4)
        watching = Watching(log.path)
        # It dies in the middle of the log: the last record is held for a second, and not stored.
        await watching.until(lambda: len(watching.stored.numbers) >= 3)
        for rotations in (1, 3):
            log.records(2)
            for _ in range(rotations):
                logrotate.rotate()
                log.records(3)
            await watching.until(lambda: len(watching.stored.numbers) >= log.written - 1)
        await watching.until(lambda: len(watching.stored.numbers) == log.written)
        assert not [gap for gap in watching.stored.gaps if gap.kind == "truncated"]
        return watching.stored.numbers

    assert asyncio.run(play()) == list(range(log.written))
