"""Plays a watch that is killed again and again while a hundred hosts write, and judges what it told.

The watch is the command itself, a process with its own state; writer and receivers outlive it. It is killed by SIGKILL
at moments that follow from the seed, also while it begins, and the next one starts at once. Writing begins when the
first watch is ready.
"""

from __future__ import annotations

import select
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tidegate.errors import LabError
from tidegate.lab.watch_expected import Expected, Filling, expected_alerts, filling
from tidegate.lab.watch_files import LogWriter
from tidegate.lab.watch_rules import SPEED, small_rules
from tidegate.lab.watch_script import Script, WatchDemo, write_script
from tidegate.lab.watch_sink import HOOK, Sink
from tidegate.lab.watch_texts import TEXTS
from tidegate.lab.watch_verdict import Verdict, judge, told_by
from tidegate.lab.world import Child, World
from tidegate.watch.load import load_rules

__all__ = ["WatchMoment", "WatchResult", "config_text", "play_watch"]

_LOOK_S = 0.25
_READY_WITHIN_S = 15.0
"""How long the first watch may take to begin; nothing is written before, as what was rotated away then is not its."""
_TOLD_WITHIN_S = 14.0
"""How long after the last record the last alert may come."""
_MORE_S = 1.5
"""How long is waited for alerts that nobody expects, when all have come."""


@dataclass(slots=True)
class WatchMoment:
    """How things stand, for who watches; ``t`` in seconds since the beginning."""

    t: float = 0.0
    lines: int = 0
    kills: int = 0
    alerts: int = 0
    cleared: int = 0
    repeats: int = 0


@dataclass(slots=True)
class WatchResult:
    """What one run came to; seconds since the beginning."""

    numbers: dict[str, Any]
    verdict: Verdict
    expected: list[Expected]
    began: int
    """When that was, in nanoseconds since 1970."""
    kills: list[float] = field(default_factory=list)
    samples: list[WatchMoment] = field(default_factory=list)
    storm: tuple[str, Filling] | None = None
    """The provider at which most storms were, and how its window filled up."""


def play_watch(
    demo: WatchDemo, watch: Callable[[WatchMoment], None], *, state: str | None = None, keep: bool = False
) -> WatchResult:
    """Play it once.

    Parameters
    ----------
    watch
        Called a few times a second with how things stand.
    state
        Where the watch keeps its state: a file of its own, or a PostgreSQL URL.
    keep
        Leave the folder.

    Raises
    ------
    LabError
        When the watch ends by itself.
    """
    with World(keep=keep) as world, Sink(demo.seed) as sink:
        return _Play(demo, watch, world.folder, sink, state).result()


class _Play:
    def __init__(
        self, demo: WatchDemo, watch: Callable[[WatchMoment], None], folder: Path, sink: Sink, state: str | None
    ) -> None:
        self._demo, self._watch, self._folder, self._sink = demo, watch, folder, sink
        self._rules = load_rules([small_rules(folder / "rules")], shipped=False)
        self._script: Script = write_script(demo, self._rules)
        self._config = folder / "watch.toml"
        self._config.write_text(config_text(folder, sink.url, state or str(folder / "watch.db")))
        self._writer = LogWriter(self._script, folder / "hosts")
        self._lives, self._ready = 0, False
        self._now, self._keys, self._read = WatchMoment(), set[str](), 0
        self._kills: list[float] = []
        self._samples: list[WatchMoment] = []

    def result(self) -> WatchResult:
        """Play to the end, and judge."""
        began = time.monotonic()
        child = self._start()
        try:
            self._go_on(child, lambda: self._ready or time.monotonic() - began > _READY_WITHIN_S)
            self._writer.begin()
            for at in self._script.kills:
                self._go_on(child, partial(self._past, at))
                child.process.kill()
                child.process.wait()
                self._kills.append(self._seconds())
                self._now.kills += 1
                child.end()
                child = self._start()
            self._go_on(child, lambda: self._writer.done)
            expected = expected_alerts(self._rules, self._writer.files)
            written = self._seconds()
            self._go_on(child, lambda: self._seconds() - written > _TOLD_WITHIN_S or self._all_told(expected))
            told = self._seconds()
            self._go_on(child, lambda: self._seconds() - told > _MORE_S)
        finally:
            self._writer.end()
            child.end()
        verdict = judge(expected, self._sink.posts())
        numbers = self._numbers(expected, verdict, time.monotonic() - began)
        storm = self._storm(expected)
        return WatchResult(numbers, verdict, expected, self._writer.began, self._kills, self._samples, storm)

    def _start(self) -> Child:
        self._lives += 1
        words = ("-m", "tidegate", "watch", self._config, "--until-eof", "--output", "jsonl")
        return Child(f"watch-{self._lives}", [sys.executable, *words], self._folder)

    def _seconds(self) -> float:
        return (time.time_ns() - self._writer.began) / 1e9

    def _past(self, second: float) -> bool:
        return self._seconds() >= second

    def _go_on(self, child: Child, until: Callable[[], bool]) -> None:
        """Let things go on until something is so; a watch that ends by itself is an error."""
        looked = 0.0
        while not until():
            readable, _, _ = select.select([child.output], [], [], 0.02)
            messages, ended = child.hear() if readable else ([], False)
            self._ready = self._ready or bool(messages)
            if ended:
                child.process.wait()
                raise LabError(f"the watch ended by itself: {child.why()}", hint="--keep leaves its log to look at")
            if self._writer.began and time.monotonic() - looked >= _LOOK_S:
                looked = time.monotonic()
                self._look()

    def _look(self) -> None:
        now, posts = self._now, self._sink.posts(self._read)
        self._read += len(posts)
        for told in (told for post in posts if post.key for told in told_by(post)):
            if told.key in self._keys:
                now.repeats += 1
                continue
            self._keys.add(told.key)
            now.alerts += told.what == "opened"
            now.cleared += told.what == "cleared"
        now.t, now.lines = self._seconds(), self._writer.lines
        self._samples.append(replace(now))
        self._watch(now)

    def _all_told(self, expected: list[Expected]) -> bool:
        return self._now.alerts >= len(expected) and not judge(expected, self._sink.posts()).lost

    def _storm(self, expected: list[Expected]) -> tuple[str, Filling] | None:
        rule = TEXTS["transport"].rule
        storms = Counter(one.scope for one in expected if one.rule == rule and len(one.scope) == 1)
        if not storms:
            return None
        (scope, _), *_ = storms.most_common(1)
        return scope[0][1], filling(self._rules, self._writer.files, rule, scope)

    def _numbers(self, expected: list[Expected], verdict: Verdict, seconds: float) -> dict[str, Any]:
        times = verdict.times_to_alert_ms
        return {
            "format": 1,
            "events": self._writer.lines,
            "hosts": len({file.host for file in self._script.files}),
            "kills": len(self._kills),
            "alerts_expected": len(expected),
            "alerts": verdict.alerts,
            "lost": len(verdict.lost),
            "spurious": len(verdict.spurious),
            "late_events": self._writer.late,
            "time_to_alert_ms_p95": round(times[min(len(times) - 1, int(0.95 * len(times)))], 1) if times else None,
            "time_to_alert_ms_p50": round(times[len(times) // 2], 1) if times else None,
            "cleared": verdict.cleared,
            "wrong": len(verdict.wrong),
            "repeats": verdict.repeats,
            "rotations": len(self._script.rotations),
            "refused_posts": self._sink.refused,
            "unanswered_posts": self._sink.unanswered,
            "speed": SPEED,
            "seed": self._demo.seed,
            "seconds": round(seconds, 1),
        }


def config_text(folder: Path, sink: str, state: str) -> str:
    """Return the file of a watch that reads ``folder/hosts`` with ``folder/rules`` and tells ``sink``."""
    return f"""
[watch]
state = "{state}"
rules = ["{folder / "rules"}"]
shipped_rules = false
admin = "unix:{folder / "watch.sock"}"

[files.hosts]
paths = ["{folder / "hosts"}/*/var/log/*.log"]

[webhook.sink]
url = "{sink}{HOOK}"

[alertmanager.sink]
url = "{sink}"
"""
