"""A watch as a process, for tests: its file, its logs as events, its state, and records that rules find."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.lab.watch_texts import stamp, text_of
from tidegate.watch.live.admin import WatchClient
from tidegate.watch.load import load_rules

__all__ = ["PATIENCE_S", "RunningWatch", "failures", "until", "watch_file", "watch_process"]

PATIENCE_S = 30.0
"""How long a test waits for something that must come."""


@dataclass
class RunningWatch:
    """A process that has said that it is ready."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    """Its log lines so far."""

    @property
    def client(self) -> WatchClient:
        """What talks to it."""
        return WatchClient(Path(self.ready["admin"]))

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of an event."""
        return [one for one in self.events if one["event"] == event]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def watch_file(folder: Path, more: str = "", *, state: str = "watch.db", in_watch: str = "") -> Path:
    """Write a file that watches ``logs/*.log`` beside it; ``more`` stands below, ``in_watch`` in ``[watch]``."""
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "vpxd.log").touch()
    file = folder / "watch.toml"
    file.write_text(
        f'[watch]\nstate = "{state}"\nadmin = "unix:{folder}/watch.sock"\n{in_watch}\n'
        f'[files.logs]\npaths = "logs/*.log"\n{more}'
    )
    return file


@contextmanager
def watch_process(file: Path) -> Iterator[RunningWatch]:
    """Run ``tidegate watch FILE`` until it is ready, and kill it at the end."""
    command = [sys.executable, "-m", "tidegate", "watch", str(file), "--output", "jsonl", "--until-eof"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        running = RunningWatch(process, {})
        stderr = process.stderr

        def read() -> None:
            for line in stderr:
                running.events.append(json.loads(line) if line.startswith("{") else {"event": line})

        reader = threading.Thread(target=read)
        reader.start()
        try:
            line = process.stdout.readline()
            assert line, running.events
            running.ready = json.loads(line)
            yield running
        finally:
            process.kill()
            process.wait()
            reader.join()


def until(true: Callable[[], object], what: str = "") -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what or "it did not come to be"
        time.sleep(0.02)


def failures(count: int, *, name: str = "backup", every_s: float = 0.1) -> str:
    """Return records of one kind (:data:`tidegate.lab.watch_texts.TEXTS`), the last of them now."""
    text, now = text_of(load_rules(), name), time.time_ns()
    return "".join(f"{stamp(text, now - round((count - n) * every_s * 1e9))}\n" for n in range(count))
