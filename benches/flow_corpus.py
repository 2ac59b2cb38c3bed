"""The captures of `bench-flow`: made by an example of tidegate-scan, or put together from recorded ones. Each is kept.

A file is made once: its name says how it was made. Those of other settings are removed.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benches.process import BenchError
from benches.record import ROOT, digest
from benches.timed import own_folder

RECORDED = ROOT / "tests" / "data" / "captures"
FLOWS = 50_000
"""Connections at a time in a capture that is made."""
NOTHING = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
"""The head of a capture of Ethernet, little endian, in microseconds: a whole file without a packet."""
MADE_BY = ("crates/tidegate-scan/examples/synthetic.rs", "benches/flow_corpus.py", "tests/data/captures")
_PAUSE_S = 60
"""Between a recorded capture and the next one."""
_SPAN_S = 3600
"""Of a recorded capture that is taken, at most."""


@dataclass(frozen=True)
class Made:
    """A capture: how many packets, and how many bytes of each were kept (0: recorded ones, as they are)."""

    packets: int
    snap: int


@dataclass(frozen=True)
class Corpora:
    """The captures, in a folder that is kept."""

    folder: Path

    def path(self, made: Made) -> Path:
        """Return where a capture lies; it is there after `make`."""
        return self.folder / (f"made-{made.packets}-{made.snap}.pcap" if made.snap else f"recorded-{made.packets}.pcap")

    def connections(self, made: Made) -> int:
        """Return how many connections are in a capture that is made."""
        return int(self.path(made).with_suffix(".connections").read_text())

    def nothing(self) -> Path:
        """Return a capture without a packet: what reading it takes is start and end of a program."""
        path = self.folder / "nothing.pcap"
        path.write_bytes(NOTHING)
        return path

    def make(self, wanted: list[Made], say: Callable[[str], None]) -> None:
        """Make what is not there yet, and read it once: it is in the page cache after that."""
        for made in wanted:
            path = self.path(made)
            if not path.exists():
                say(f"making {path.name}")
                part = path.with_suffix(".part")
                with part.open("wb") as target:
                    if made.snap:
                        numbers = map(str, (made.packets, FLOWS, made.snap))
                        ran = subprocess.run([synthetic(), *numbers], stdout=target, stderr=subprocess.PIPE, check=True)
                        path.with_suffix(".connections").write_bytes(ran.stderr)
                    else:
                        target.writelines(recorded(made.packets))
                part.replace(path)
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def corpora() -> Corpora:
    """Return the folder of the captures.

    Raises
    ------
    BenchError
        Somebody else has a folder of that name.
    """
    base = own_folder("bench-flow")
    folder = base / digest(MADE_BY)
    for old in base.iterdir():
        if old != folder:
            shutil.rmtree(old)
    folder.mkdir(exist_ok=True)
    return Corpora(folder)


def synthetic() -> str:
    """Build what makes captures; return its path.

    Raises
    ------
    BenchError
        It cannot be built.
    """
    build = "cargo build --quiet --release --locked --package tidegate-scan --example synthetic"
    ran = subprocess.run(build.split(), cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"synthetic.rs cannot be built: {' '.join(ran.stderr.split())[-200:]}")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release" / "examples" / "synthetic")


def recorded(packets: int) -> Iterator[bytes]:
    """Yield one capture of all recorded ones, one after the other, again and again until there are so many packets.

    Time goes on by a minute from each to the next. Left out are other formats and links than Ethernet in pcap.
    """
    yield NOTHING
    files = [(span(file), file) for file in map(records, sorted(RECORDED.rglob("*.pcap"))) if file]
    # Where the clock jumps by more, the next captures would lie years later.
    usable = [((first, last), file) for (first, last), file in files if last - first < _SPAN_S]
    clock = 1_764_000_000
    while packets > 0 and usable:
        for (first, last), file in usable:
            for second, micro, length, data in file[:packets]:
                yield struct.pack("<IIII", clock + second - first, micro, len(data), length) + data
            packets -= len(file[:packets])
            clock += last - first + _PAUSE_S


Kept = tuple[int, int, int, bytes]
"""A record: second, microsecond, bytes on the wire, bytes that were kept."""


def span(file: list[Kept]) -> tuple[int, int]:
    """Return the first and the last second of a capture."""
    return min(second for second, *_ in file), max(second for second, *_ in file)


def records(path: Path) -> list[Kept]:
    """Return the records of a capture; none of one that is not of Ethernet, in microseconds."""
    data = path.read_bytes()
    orders = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}
    order = orders.get(data[:4])
    if order is None or struct.unpack_from(f"{order}I", data, 20)[0] != 1:
        return []
    place, found = len(NOTHING), []
    while place + 16 <= len(data):
        second, micro, kept, length = struct.unpack_from(f"{order}IIII", data, place)
        place += 16 + kept
        if place <= len(data) and kept <= 262_144:
            found.append((second, micro, length, data[place - kept : place]))
    return found
