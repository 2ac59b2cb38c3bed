"""The logs that are searched: made from a seed, faithful in format, with hits planted and counted as they are written.

Beside each file stands its truth, `NAME.json`: bytes and lines of text, and how often each pattern was planted. A file
is made once and kept in the benchmark's folder; `make` makes what is not there yet.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import IO

from benches.scan_patterns import FEW, MANY, patterns
from benches.scan_templates import LOCAL, LOCAL_HOURS, PROGRAMS, noise, planted

SEED = 412434
MIB = 1 << 20
FEW_SHARE = 0.2
"""Of the planted hits, the share of the 48 patterns; the rest are of the others."""
BEGINS = datetime(2025, 8, 8, 12, tzinfo=UTC)
MILLIS = tuple(f".{ms:03d}" for ms in range(1000))
LONG_LINE = 64 << 10


@dataclass
class Truth:
    """What a corpus holds: bytes (decompressed) and lines of text, and the planted hits of each pattern."""

    size: int = 0
    lines: int = 0
    hits: Counter[str] = field(default_factory=Counter)

    def of(self, chosen: list[str]) -> int:
        """Return how many hits these patterns have."""
        return sum(self.hits[literal] for literal in chosen)

    def add(self, text: bytes) -> bytes:
        """Count a piece of the text and return it."""
        self.size += len(text)
        self.lines += text.count(b"\n")
        return text


@dataclass(frozen=True)
class Sizes:
    """Bytes of text in each corpus, and how it is made."""

    plain: int = 1024 * MIB
    head: int = 128 * MIB
    bundle: int = 384 * MIB
    adversarial: int = 384 * MIB
    pool: int = 40_000
    """Records of noise that are drawn from: 8 MB, so that nothing repeats within the 32 KiB that gzip looks back."""
    gap: int = 4_000
    """One planted hit in so many records, on average."""


class Source:
    """Patterns and noise that fit each other: no pattern stands in the noise."""

    def __init__(self, sizes: Sizes) -> None:
        chance, pool = Random(SEED), sizes.pool  # noqa: S311
        self.gap = sizes.gap
        self.noise = noise(chance, pool)
        self.programs = {program: noise(chance, pool // 8, program) for program in PROGRAMS}
        # Every template comes up in a few thousand records; what differs between two of one are numbers and names.
        sample = [*self.noise[:: max(1, pool // 4000)], *(text for one in self.programs.values() for text in one[:100])]
        self.patterns = patterns(MANY, "\n".join(sample))
        self.few = self.patterns[:FEW]

    def plants(self, chance: Random) -> Iterator[str]:
        """Yield patterns to plant, for ever: each comes up as often as the others of its set."""
        few, rest = self.few[:], self.patterns[FEW:]
        chance.shuffle(few)
        chance.shuffle(rest)
        turns = [0, 0]
        while True:
            which = 0 if chance.random() < FEW_SHARE else 1
            chosen = (few, rest)[which]
            yield chosen[turns[which] % len(chosen)]
            turns[which] += 1

    def log(self, size: int, truth: Truth, seed: int, program: str | None = None) -> Iterator[bytes]:
        """Yield about `size` bytes of a log, one event every 0 to 4 ms; its truth is counted while it is read."""
        chance = Random(seed)  # noqa: S311
        pool = self.programs[program] if program else self.noise
        plants, steps = self.plants(chance), range(5)
        end, second, ms, stamps = truth.size + size, 0, 0, _stamps(0)
        while truth.size < end:
            records = chance.choices(pool, k=chance.randint(1, 2 * self.gap - 1))
            literal = next(plants)
            truth.hits[literal] += 1
            records.append(planted(chance, literal))
            lines = []
            for record, step in zip(records, chance.choices(steps, k=len(records)), strict=True):
                ms += step
                if ms >= 1000:
                    ms -= 1000
                    second += 1
                    stamps = _stamps(second)
                lines.append(f"{stamps[record[0] == LOCAL[0]]}{MILLIS[ms]}{record}")
            yield truth.add("".join(lines).encode())

    def adversarial(self, size: int, truth: Truth) -> Iterator[bytes]:
        """Yield three thirds that are made to be slow: almost-hits everywhere, lines of 64 KiB, one record for ever."""
        chance = Random(SEED + 1)  # noqa: S311
        plants = self.plants(chance)
        for third in (self._almost, self._long, self._same):
            end = truth.size + size // 3
            while truth.size < end:
                literal = next(plants)
                truth.hits[literal] += 1
                yield truth.add((third(chance) + f"{_stamps(0)[0]}.000{planted(chance, literal)}").encode())

    def _almost(self, chance: Random) -> str:
        """Return a thousand records, each with all of one of the 48 patterns but its last byte."""
        lines = []
        for turn, record in enumerate(chance.choices(self.noise, k=1000)):
            almost = chance.choice(self.few)[:-1]
            first, rest = record.split("\n", 1)
            lines.append(f"{_stamps(turn // 300)[record[0] == LOCAL[0]]}.{turn % 1000:03d}{first} {almost}\n{rest}")
        return "".join(lines)

    def _long(self, chance: Random) -> str:
        """Return a line of almost 64 KiB, made of records without their ends."""
        room = LONG_LINE - chance.randint(200, 4000)
        text = " ".join(chance.choices(self.noise, k=LONG_LINE // 100)).replace("\n", " ")
        return f"{_stamps(1)[0]}.000Z In(182) vmkernel: cpu0:2097001){text[:room]}\n"

    def _same(self, chance: Random) -> str:
        """Return one record, two thousand times."""
        record = chance.choice(self.noise)
        return f"{_stamps(2)[record[0] == LOCAL[0]]}.000{record}" * 2000


def _stamps(second: int) -> tuple[str, str]:
    """Return the time without its milliseconds, in UTC and as the vCenter writes it."""
    now = BEGINS + timedelta(seconds=second)
    return f"{now:%Y-%m-%dT%H:%M:%S}", f"{now + timedelta(hours=LOCAL_HOURS):%Y-%m-%dT%H:%M:%S}"


def gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a gzip stream at gzip's own level, 6, without a name or a time in its header."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def bundle(source: Source, size: int, truth: Truth, target: IO[bytes]) -> None:
    """Write a .tgz as vm-support makes it, with about `size` bytes of text: rotated logs are .gz members in it."""
    top = "esx-esx07.example-2025-08-08--12.40-2100345"
    with (
        gzip.GzipFile("", "wb", 6, target, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):

        def member(name: str, data: bytes) -> None:
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mtime, info.mode = len(data), int(BEGINS.timestamp()), 0o644
            archive.addfile(info, io.BytesIO(data))

        manifest = truth.add(b"copy etc/vmware/esx.conf\ncopy var/run/log\n")
        member("etc/vmware/vm-support/logs.mfx", manifest)
        listing = "".join(
            f"vmnic{n}  ixgben  Up  10000  Full  00:25:b5:00:00:{n:02x}  1500\n" for n in range(8)
        ).encode()
        member("commands/localcli_network-nic-list.txt", truth.add(listing))
        for number, program in enumerate(source.programs):
            live = b"".join(source.log(size // 50, truth, SEED + 100 * number, program))
            member(f"var/run/log/{program}.log", live)
            # 0 is the newest of the rotated ones; 18 % of the text lies in each program's four, 2 % in its live log.
            for turn in range(4):
                seed = SEED + 100 * number + turn + 1
                rotated = b"".join(gzipped(source.log(size * 18 // 400, truth, seed, program)))
                member(f"var/run/log/{program}.{turn}.gz", rotated)


MAKERS: dict[str, Callable[[Source, Sizes, Truth, IO[bytes]], None]] = {
    "plain.log": lambda source, sizes, truth, to: to.writelines(source.log(sizes.plain, truth, SEED)),
    "plain.log.gz": lambda source, sizes, truth, to: to.writelines(gzipped(source.log(sizes.plain, truth, SEED))),
    "head.log": lambda source, sizes, truth, to: to.writelines(source.log(sizes.head, truth, SEED)),
    "bundle.tgz": lambda source, sizes, truth, to: bundle(source, sizes.bundle, truth, to),
    "adversarial.log": lambda source, sizes, truth, to: to.writelines(source.adversarial(sizes.adversarial, truth)),
}


@dataclass(frozen=True)
class Corpora:
    """The files of one set of sizes, in a folder that is kept."""

    folder: Path
    sizes: Sizes

    def path(self, name: str) -> Path:
        """Return where a file lies; it is there after `make`."""
        return self.folder / name

    def truth(self, name: str) -> Truth:
        """Return what a corpus holds."""
        told = json.loads(self.path(f"{name}.json").read_text())
        return Truth(told["size"], told["lines"], Counter(told["hits"]))

    def patterns(self, count: int) -> list[str]:
        """Return the patterns to search for: 48, or all of them."""
        return self.path(f"{MANY}.txt").read_text().splitlines()[:count]

    def make(self, say: Callable[[str], None]) -> None:
        """Make what is not there yet, and the patterns, one a line: `48.txt` and `1000.txt`."""
        # The truth comes last: a file without one was not finished.
        missing = [name for name in MAKERS if not self.path(f"{name}.json").exists()]
        if not missing:
            return
        source = Source(self.sizes)
        for count in (FEW, MANY):
            self.path(f"{count}.txt").write_text("".join(f"{literal}\n" for literal in source.patterns[:count]))
        for name in missing:
            say(f"making {name}")
            truth = Truth()
            with self.path(name).open("wb") as target:
                MAKERS[name](source, self.sizes, truth, target)
            self.path(f"{name}.json").write_text(json.dumps(vars(truth)))
