"""How long it takes from a record in a file to the alert at a web hook, through a running `tidegate watch`.

Two hundred hosts write a thousand ordinary records per second into as many files; meanwhile each host writes three
records that are an alert by themselves. The watch is the command as it is shipped, with its state in SQLite, written
through to disk; it has one CPU, writer and receiver have the other.
"""

from __future__ import annotations

import random
import select
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benches.load import percentile
from benches.peers import PROXY_CPU
from benches.process import BenchError
from tidegate.lab.watch_expected import expected_alerts
from tidegate.lab.watch_files import LogWriter
from tidegate.lab.watch_play import config_text
from tidegate.lab.watch_rules import small_rules
from tidegate.lab.watch_script import File, Record, Script
from tidegate.lab.watch_sink import Sink
from tidegate.lab.watch_texts import noise, text_of
from tidegate.lab.watch_verdict import judge
from tidegate.lab.world import Child
from tidegate.watch.load import load_rules
from tidegate.watch.rule import RuleSet

__all__ = ["Latency", "measure"]

_ALERTS = ("heap", "connections", "buffers")
_READY_S, _MORE_S = 30.0, 15.0


@dataclass(frozen=True)
class Latency:
    """How large the test is."""

    hosts: int = 200
    seconds: float = 30.0
    noise_per_s: float = 5.0
    """Of each host."""


def script_of(settings: Latency, rules: RuleSet, seed: int) -> Script:
    """Return what is written: nothing late, nothing rotated, nobody killed."""
    rng, quiet = random.Random(seed), noise()  # noqa: S311 (which host writes when, no secret)
    names = [f"esx-{number + 1:03d}" for number in range(settings.hosts)]
    files = tuple(File(name, f"{name}/var/log/messages.log", "compressed") for name in names)
    records = []
    for file in range(settings.hosts):
        records += [(rng.uniform(1, settings.seconds), file, text_of(rules, name)) for name in _ALERTS]
        at = rng.expovariate(settings.noise_per_s)
        while at < settings.seconds:
            records.append((at, file, rng.choice(quiet)))
            at += rng.expovariate(settings.noise_per_s)
    written = (Record(round(at, 3), round(at, 3), file, text) for at, file, text in sorted(records))
    return Script(files, tuple(written), (), ())


def measure(settings: Latency, seed: int) -> tuple[float, float, int]:
    """Return p50 and p99 in milliseconds, and of how many alerts.

    Raises
    ------
    BenchError
        An alert did not come, or one that nobody expected.
    """
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name, Sink(bad=False) as sink:
        folder = Path(name)
        rules = load_rules([small_rules(folder / "rules")], shipped=False)
        writer = LogWriter(script_of(settings, rules, seed), folder / "hosts")
        config = folder / "watch.toml"
        config.write_text(config_text(folder, sink.url, str(folder / "watch.db")))
        words = ("-m", "tidegate", "watch", str(config), "--until-eof", "--output", "jsonl")
        child = Child("watch", ["taskset", "--cpu-list", str(PROXY_CPU), sys.executable, *words], folder)
        try:
            _ready(child)
            writer.begin()
            _until(lambda: writer.done, child, settings.seconds + _MORE_S)
            expected = expected_alerts(rules, writer.files)
            _until(lambda: not judge(expected, sink.posts()).lost, child, _MORE_S)
        finally:
            writer.end()
            child.end()
        verdict = judge(expected, sink.posts())
    if verdict.lost or verdict.spurious:
        raise BenchError(f"{len(verdict.lost)} alerts were lost, {len(verdict.spurious)} were not expected")
    times = [round(1000 * ms) for ms in verdict.times_to_alert_ms]
    return percentile(times, 0.5) / 1000, percentile(times, 0.99) / 1000, len(times)


def _ready(child: Child) -> None:
    if not select.select([child.output], [], [], _READY_S)[0] or not child.hear()[0]:
        raise BenchError(f"the watch was not ready within {_READY_S:g} s: {child.why()}")


def _until(so: Callable[[], bool], child: Child, within_s: float) -> None:
    give_up = time.monotonic() + within_s
    while not so() and time.monotonic() < give_up:
        if select.select([child.output], [], [], 0.1)[0] and child.hear()[1]:
            raise BenchError(f"the watch ended by itself: {child.why()}")
