"""`make bench-scan`: how fast known failures are found in logs, into results/scan.json.

Tests: `plain-48` and `plain-1000` (so many patterns in a log of a gigabyte), `gz` (the same log, compressed), `bundle`
(a support bundle as it comes from a host) and `adversarial` (a log that is made to be slow). Each run is a fresh
process on one core that reads a file from the page cache and says how many hits are in it; a run whose count is wrong
has no speed. Peers take turns, forth and back. README.md beside this file has the method.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benches.peers import scan as peers
from benches.process import BenchError
from benches.record import Record, Row, digest
from benches.scan_corpus import MIB, Corpora, Sizes
from benches.scan_patterns import FEW, MANY
from benches.timed import Timed, own_folder, timed
from benches.trust import refuse_debug_build, tell, tried, wait_for_quiet

RESULTS = Path(__file__).parent / "results"
RUNS = 5
QUICK_SIZES = Sizes(plain=128 * MIB, head=16 * MIB, bundle=64 * MIB, adversarial=24 * MIB)
# lnav takes a minute for what the others do in seconds: it is given the beginning of the log.
HEAD_ONLY = "lnav"
# A program that had its core to itself is busy all the time; a tenth and 50 ms may go to starting it.
MOST_WAITING, START_S = 1.1, 0.05
# What the corpora depend on, and the sizes.
MADE_BY = tuple(f"benches/scan_{name}" for name in ("corpus.py", "patterns.py", "records.txt", "templates.py"))


@dataclass(frozen=True)
class Test:
    """One test: the file, how many patterns, and who takes part."""

    corpus: str
    patterns: int
    peers: tuple[str, ...]


TESTS = {
    "plain-48": Test("plain.log", FEW, ("tidegate", "ripgrep", "grep", "lnav", "vectorscan")),
    "plain-1000": Test("plain.log", MANY, ("tidegate", "ripgrep", "grep", "vectorscan")),
    "gz": Test("plain.log.gz", FEW, ("tidegate", "ripgrep", "grep", "zlib", "zlib-rs")),
    "bundle": Test("bundle.tgz", FEW, ("tidegate", "ripgrep", "grep", "lnav")),
    "adversarial": Test("adversarial.log", FEW, ("tidegate", "ripgrep", "grep", "vectorscan")),
}


def cells(runs: int, chosen: list[str]) -> Iterator[tuple[str, str, int]]:
    """Yield (test, peer, run): runs forth and back through the peers, one test after the other."""
    for name, test in TESTS.items():
        taking_part = [peer for peer in test.peers if peer in chosen]
        for run in range(1, runs + 1):
            for peer in taking_part if run % 2 else reversed(taking_part):
                yield name, peer, run


def _folder(kind: str, corpus: str) -> Path:
    """Return the folder of the corpora; those of other versions are removed.

    Raises
    ------
    BenchError
        Somebody else has a folder of that name.
    """
    base = own_folder("bench-scan")
    for old in base.glob(f"{kind}-*"):
        if old.name != f"{kind}-{corpus}":
            shutil.rmtree(old)
    folder = base / f"{kind}-{corpus}"
    folder.mkdir(exist_ok=True)
    return folder


@dataclass(frozen=True)
class Bench:
    """The corpora, the folder of the compiled programs, and whether the machine is to be trusted."""

    corpora: Corpora
    tools: Path
    careful: bool

    def measure(self, name: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one test of one peer, once.

        Raises
        ------
        BenchError
            The program failed, or it had to share its core.
        """
        with tempfile.TemporaryDirectory(dir=self.tools, prefix="scratch-") as scratch:
            search = self.search(name, peer, Path(scratch))
            took = self._run(peer, peers.PEERS[peer].command(search))
        waited = took.seconds > MOST_WAITING * took.cpu_seconds + START_S
        if self.careful and waited and not (peers.PEERS[peer].waits or search.bundle):
            raise BenchError(f"{took.seconds:.2f} s for {took.cpu_seconds:.2f} s of work: it had to share its core")
        exact = peers.PEERS[peer].exact(search, took.said)
        speed = round(search.truth.size / 1e6 / took.seconds, 1) if exact else None
        memory = round(took.rss_kib * 1024 / 1e6, 1)
        figures = (("mb_per_s", speed, "MB/s"), ("rss_mb", memory, "MB"), ("exact", float(exact), "0/1"))
        return [Row(name, peer, metric, value, unit, run) for metric, value, unit in figures]

    def search(self, name: str, peer: str, scratch: Path) -> peers.Search:
        """Return what is asked of a peer."""
        test = TESTS[name]
        corpus = "head.log" if (test.corpus, peer) == ("plain.log", HEAD_ONLY) else test.corpus
        literals, listed = self.corpora.patterns(test.patterns), self.corpora.path(f"{test.patterns}.txt")
        return peers.Search(
            self.corpora.path(corpus), literals, listed, self.corpora.truth(corpus), self.tools, scratch
        )

    def _run(self, peer: str, command: list[str]) -> Timed:
        """Run a command on one CPU."""
        # Python's own cache of compiled modules is part of how tidegate is installed.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        cpus = {max(os.sched_getaffinity(0))}
        took = timed(command, cpus, self.tools, name=peer, environment=environment | {"LC_ALL": "C"})
        # 1: nothing was found, which is then not exact.
        if took.code > 1 or (took.code == 1 and took.complaint):
            raise BenchError(f"{peer} ended with {took.code}: {took.last_words}")
        return took


def _warm(path: Path) -> None:
    """Read a file once, so that it is in the page cache."""
    buffer = bytearray(MIB)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _holds(corpora: Corpora) -> dict[str, dict[str, int]]:
    """Return what the files hold, for the record."""
    told = {}
    for name in {test.corpus: None for test in TESTS.values()} | {"head.log": None}:
        truth = corpora.truth(name)
        hits = {f"hits_{count}": truth.of(corpora.patterns(count)) for count in (FEW, MANY)}
        told[name] = {"bytes": truth.size, "lines": truth.lines, "packed": corpora.path(name).stat().st_size, **hits}
    return told


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet."""
    chosen = arguments.peers.split(",") if arguments.peers else list(peers.PEERS)
    if "tidegate" in chosen:
        refuse_debug_build()
    sizes, runs = (QUICK_SIZES, 1) if arguments.quick else (Sizes(), RUNS)
    path = RESULTS / ("scan-quick.json" if arguments.quick else "scan.json")
    # The patterns are messages of this Python.
    made_by = f"{digest(MADE_BY)}-{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    corpora = Corpora(_folder("quick" if arguments.quick else "full", made_by), sizes)
    corpora.make(tell)
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        tools = Path(name)
        peers.install()
        peers.compile_run(tools)
        versions = peers.prepare(chosen, tools, tell)
        tell(", ".join(f"{peer} {version}" for peer, version in versions.items()))
        settings = {"runs": runs, "sizes": asdict(sizes), "made_by": made_by, "corpora": _holds(corpora)}
        settings["peers"] = digest(("benches/peers/scan",))
        others = {"fresh": arguments.fresh or arguments.quick, "any_commit": lambda row: row.peer != "tidegate"}
        record = Record(path, versions, settings, **others)
        if not arguments.quick:
            wait_for_quiet()
        bench, warm = Bench(corpora, tools, careful=not arguments.quick), set()
        for test, peer, number in cells(runs, list(versions)):
            if record.has(test, peer, number):
                continue
            if test not in warm:
                _warm(corpora.path(TESTS[test].corpus))
                _warm(corpora.path("head.log"))
                warm.add(test)
            cell = f"{test:<11} {peer:<10} run {number}"
            rows = tried(cell, partial(bench.measure, test, peer, number))
            record.add(rows)
            shown = "  ".join(f"{row.metric} {'null' if row.value is None else f'{row.value:g}'}" for row in rows)
            tell(f"{cell}: {shown}")
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}")


def main() -> int:
    """Run from the command line: 0 fine, 3 stopped because the figures could not be trusted."""
    parser = argparse.ArgumentParser(prog="python -m benches.scan", description="Measure how fast logs are searched.")
    parser.add_argument("--quick", action="store_true", help="small files, one run of each, into scan-quick.json")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on where it stopped")
    parser.add_argument("--peers", help="only these, separated by commas")
    try:
        run(parser.parse_args())
    except BenchError as error:
        print(f"bench-scan: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
