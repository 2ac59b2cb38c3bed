"""What is written while a watch is killed again and again: which record, into which file, when, and what time it says.

All of it is derived from one seed before the first byte is written, in seconds since the beginning. The shipped rules
are played with their windows divided by :data:`~tidegate.lab.watch_rules.SPEED`. Storms, half storms that stay one
event below their rule, lines that come late, noise and near misses are mixed; what must be alerted is not decided here,
but by :mod:`tidegate.lab.watch_expected` from what was written.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tidegate.lab.watch_rules import SPEED
from tidegate.lab.watch_texts import TEXTS, article, near_misses, noise, text_of
from tidegate.watch.rule import RuleSet

__all__ = ["File", "Record", "Rotation", "Script", "WatchDemo", "write_script"]

_MINUTE = 60.0 / SPEED
_PROVIDERS = 12
_LATE_SHARE = 0.15
_LATE_MOST_S = 1.5
"""How late a record is written at the most; far less than the shortest window, which is its lateness."""
_CALM_S = _MINUTE + 2.0
"""So long before the end the last storm is over: an episode that may be the old one still is opened when it is not."""
_MANNERS = ("compressed", "compressed-later", "copytruncate")
_VCENTERS = 4
_PASTED = 25


@dataclass(frozen=True, slots=True)
class WatchDemo:
    """What is played.

    Parameters
    ----------
    hosts
        How many ESXi hosts write, ≥ 20.
    seconds
        How long they write.
    kills
        How often the watch is killed meanwhile.
    noise_per_s
        Ordinary records of each host per second.
    """

    hosts: int = 120
    seconds: float = 36.0
    kills: int = 5
    seed: int = 1
    noise_per_s: float = 8.0


@dataclass(frozen=True, slots=True)
class File:
    """A log that grows: the host whose it is, its path below the folder, and how it is rotated."""

    host: str
    path: str
    manner: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record: when it is written, and which time it says (both in seconds), where, and its text."""

    at: float
    time: float
    file: int
    text: str

    @property
    def late(self) -> bool:
        """Whether it is written later than it says."""
        return self.at > self.time


@dataclass(frozen=True, slots=True)
class Rotation:
    """A file is rotated at this second."""

    at: float
    file: int


@dataclass(frozen=True, slots=True)
class Script:
    """Everything that happens, in order of time."""

    files: tuple[File, ...]
    records: tuple[Record, ...]
    rotations: tuple[Rotation, ...]
    kills: tuple[float, ...]


@dataclass(slots=True)
class _Writer:
    """Puts records down, some of them late."""

    rng: random.Random
    seconds: float
    records: list[Record] = field(default_factory=list)

    def put(self, time: float, file: int, text: str) -> None:
        """Let ``text`` be written at ``time``, or somewhat later."""
        if not 0 <= time < self.seconds:
            return
        late = self.rng.uniform(0.1, _LATE_MOST_S) if self.rng.random() < _LATE_SHARE else 0.0
        self.records.append(Record(time + late, time, file, text))


def write_script(demo: WatchDemo, rules: RuleSet) -> Script:
    """Return what happens in ``demo``; ``rules`` are the ones whose samples are written."""
    rng = random.Random(demo.seed)  # noqa: S311 (a storm, no secret)
    files = _files(demo, rng)
    hosts = [number for number, file in enumerate(files) if file.host.startswith("esx-")]
    vcenters = [number for number, file in enumerate(files) if file.host.startswith("vc-")]
    writer = _Writer(rng, demo.seconds - _CALM_S)
    for number in range(_PROVIDERS):
        _waves(writer, rules, f"vasa-{number + 1}", hosts)
    _single_hosts(writer, rules, hosts)
    _vcenters(writer, rules, vcenters)
    _hits(writer, rules, hosts, vcenters)
    quiet = [*noise(), *near_misses(rules)]
    ordinary = _Writer(rng, demo.seconds, writer.records)
    for file in range(len(files) - 1):
        _noise(ordinary, quiet, file, demo.noise_per_s)
    pasted = Record(demo.seconds / 3, demo.seconds / 3, len(files) - 1, article(rules, _PASTED))
    records = sorted([*writer.records, pasted], key=lambda record: record.at)
    return Script(tuple(files), tuple(records), tuple(_rotations(demo, rng, files)), tuple(_kills(demo, rng)))


def _files(demo: WatchDemo, rng: random.Random) -> list[File]:
    names = [f"esx-{number + 1:03d}" for number in range(demo.hosts)] + [f"vc-{n + 1}" for n in range(_VCENTERS)]
    files = [File(name, f"{name}/var/log/messages.log", rng.choice(_MANNERS)) for name in names]
    return [*files, File("jump-1", "jump-1/var/log/notes.log", _MANNERS[0])]


def _waves(writer: _Writer, rules: RuleSet, provider: str, hosts: list[int]) -> None:
    """Let hosts fail at one provider: enough of them within a minute, one too few, or exactly a minute apart."""
    rng, at = writer.rng, writer.rng.uniform(1.0, 2 * _MINUTE)
    text = text_of(rules, rng.choice(("transport", "storage")), provider)
    while at < writer.seconds:
        kind = rng.choice(("storm", "storm", "few", "edge"))
        who = rng.sample(hosts, rng.randint(6, 14) if kind == "storm" else 5 if kind == "edge" else 4)
        times = [round(at + rng.uniform(0, _MINUTE / 2), 3) for _ in who]
        if kind == "edge":
            times[0], times[-1] = (round(at + part, 3) for part in (0, _MINUTE))
        for host, time in zip(who, times, strict=True):
            writer.put(time, host, text)
        at += _MINUTE * rng.choice((1.2, 2.2, 2.6, 3.5))


def _single_hosts(writer: _Writer, rules: RuleSet, hosts: list[int]) -> None:
    """Let some hosts fail five times or more in ten minutes, and some four times; at a provider of their own."""
    rng = writer.rng
    for number, host in enumerate(rng.sample(hosts, 16)):
        text = text_of(rules, "transport", f"lonely-{number + 1}")
        at = rng.uniform(1, writer.seconds / 3)
        for _ in range(rng.choice((4, 5, 8, 12))):
            writer.put(round(at, 3), host, text)
            at += rng.uniform(0.5, _MINUTE / 2)


def _vcenters(writer: _Writer, rules: RuleSet, vcenters: list[int]) -> None:
    """Let backups, handshakes and registrations fail: two of them more often than is allowed, one just as often."""
    rng = writer.rng
    more = rng.sample((0, 1, 5), 3)
    for (name, allowed), extra in zip((("backup", 10), ("handshake", 5), ("certificate", 10)), more, strict=True):
        text, at = text_of(rules, name), rng.uniform(1, writer.seconds / 2)
        for _ in range(allowed + extra):
            writer.put(round(at + rng.uniform(0, 3 * _MINUTE), 3), rng.choice(vcenters), text)


def _hits(writer: _Writer, rules: RuleSet, hosts: list[int], vcenters: list[int]) -> None:
    """Let something happen of which one record is enough."""
    rng = writer.rng
    for name in ("connections", "buffers", "heap", "sessions"):
        text, here = text_of(rules, name), hosts if TEXTS[name].by == "esx" else vcenters
        for host in rng.sample(here, max(2, len(here) // 5)):
            for _ in range(rng.randint(1, 5)):
                writer.put(round(rng.uniform(0.5, writer.seconds), 3), host, text)


def _noise(writer: _Writer, texts: list[str], file: int, per_s: float) -> None:
    rng = writer.rng
    at = rng.expovariate(per_s)
    while at < writer.seconds:
        writer.put(round(at, 3), file, rng.choice(texts))
        at += rng.expovariate(per_s)


def _rotations(demo: WatchDemo, rng: random.Random, files: list[File]) -> Iterator[Rotation]:
    found = [
        Rotation(rng.uniform(1, demo.seconds), number) for number in range(len(files)) for _ in range(rng.randint(1, 3))
    ]
    yield from sorted(found, key=lambda rotation: rotation.at)


def _kills(demo: WatchDemo, rng: random.Random) -> list[float]:
    """Return the seconds at which the watch is killed: one in each equal part of the time, anywhere in it."""
    first, part = 2.0, (demo.seconds - 4.0) / max(1, demo.kills)
    return [first + part * number + rng.uniform(0.1, 0.9) * part for number in range(demo.kills)]
