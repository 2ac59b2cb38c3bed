"""The programs that search logs, and how each is asked for the same thing: how many hits a file has.

What a program does not read itself, it is given as an administrator would: unpacked to disk, or through a pipe.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benches import peers as gate_peers
from benches.process import BenchError, install_missing, need
from benches.record import ROOT
from benches.scan_corpus import BEGINS, Truth

HERE = Path(__file__).parent
# program -> Debian package (bookworm's names)
PACKAGES = {"rg": "ripgrep", "lnav": "lnav", "/usr/include/hs/hs.h": "libvectorscan-dev"}


@dataclass(frozen=True)
class Search:
    """One thing to do: a file, the patterns as a list and as a file with one a line, and what is to be found."""

    corpus: Path
    literals: list[str]
    listed: Path
    truth: Truth
    tools: Path
    """The folder with the programs that `prepare` compiled."""
    scratch: Path
    """An empty folder for what a program unpacks."""

    @property
    def packed(self) -> bool:
        """Whether the file is one compressed text."""
        return self.corpus.name.endswith(".log.gz")

    @property
    def bundle(self) -> bool:
        """Whether the file is an archive."""
        return self.corpus.suffix == ".tgz"


@dataclass(frozen=True)
class Peer:
    """How a program is started, and whether what it printed is the truth."""

    command: Callable[[Search], list[str]]
    exact: Callable[[Search, str], bool]
    waits: bool = False
    """It sleeps by itself or waits for a disk: more wall time than CPU time does not mean that it was disturbed."""


def _sum_is_exact(search: Search, said: str) -> bool:
    return sum(map(int, said.split())) == search.truth.of(search.literals)


def _shell(script: str, *words: Path) -> list[str]:
    return ["sh", "-euc", script, "sh", *map(str, words)]


def _ripgrep(search: Search) -> list[str]:
    rg = ["rg", "--no-config", "--count", "--fixed-strings", "--file", str(search.listed)]
    if search.bundle:
        unpack = 'tar -xzf "$1" -C "$3"; exec rg --no-config -uu -z --count --no-filename -F -f "$2" "$3"'
        return _shell(unpack, search.corpus, search.listed, search.scratch)
    return [*rg, *(["--search-zip"] if search.packed else []), str(search.corpus)]


def _grep(search: Search) -> list[str]:
    if search.bundle:
        unpack = 'tar -xzf "$1" -C "$3"; gzip -dr "$3"; exec grep -rhcF -f "$2" "$3"'
        return _shell(unpack, search.corpus, search.listed, search.scratch)
    if search.packed:
        return _shell('gzip -dc "$1" | grep -cF -f "$2"', search.corpus, search.listed)
    return ["grep", "-cF", "-f", str(search.listed), str(search.corpus)]


def _lnav(search: Search) -> list[str]:
    # All in one expression: many filters would be tried one after the other.
    wanted = "|".join(re.escape(literal) for literal in search.literals)
    return ["env", f"TMPDIR={search.scratch}", f"HOME={search.tools}", "lnav", "-n", "-c", f":filter-in {wanted}",
            str(search.corpus)]  # fmt: skip


def _lnav_is_exact(search: Search, said: str) -> bool:
    """Count the lines with a hit: it prints records whole."""
    found = sum(any(literal in line for literal in search.literals) for line in said.splitlines())
    return found == search.truth.of(search.literals)


def plan(literals: list[str]) -> str:
    """Return the plan for tidegate's engine: a signature for each pattern, named by the pattern's place in the list."""
    signatures = [
        {"id": f"bench/{place}", "literals": [literal], "fold": False, "all": [], "not": [], "programs": []}
        for place, literal in enumerate(literals)
    ]
    limits = {"hits": 50_000, "evidence": 50, "keys": 2000}
    now = int(BEGINS.timestamp()) * 10**9
    parts = {"signatures": signatures, "tallies": [], "marks": [], "dumps": []}
    return json.dumps({"format": 1, "now": now, **parts, "limits": limits})


def _tidegate(search: Search) -> list[str]:
    path = search.tools / f"plan-{len(search.literals)}.json"
    path.write_text(plan(search.literals))
    return [sys.executable, str(HERE / "ours.py"), str(path), str(search.corpus)]


def _tidegate_is_exact(search: Search, said: str) -> bool:
    """Compare each signature by itself, which is more than is asked of the others."""
    told = json.loads(said)
    wanted = {
        f"bench/{place}": search.truth.hits[literal]
        for place, literal in enumerate(search.literals)
        if search.truth.hits[literal]
    }
    return bool(told["hits"] == wanted and not any(told["cut"].values()))


def _bytes_are_exact(search: Search, said: str) -> bool:
    return int(said) == search.truth.size


PEERS = {
    "tidegate": Peer(_tidegate, _tidegate_is_exact),
    "ripgrep": Peer(_ripgrep, _sum_is_exact),
    "grep": Peer(_grep, _sum_is_exact),
    "lnav": Peer(_lnav, _lnav_is_exact, waits=True),
    "vectorscan": Peer(lambda s: [str(s.tools / "vectorscan"), str(s.listed), str(s.corpus)], _sum_is_exact),
    "zlib": Peer(lambda s: [sys.executable, "-IS", str(HERE / "inflate.py"), str(s.corpus)], _bytes_are_exact),
    "zlib-rs": Peer(lambda s: [str(s.tools / "inflate"), str(s.corpus)], _bytes_are_exact),
}


def install() -> None:
    """Install what is missing, as root on Debian; anywhere else it is left out."""
    install_missing(PACKAGES)


def _built(command: list[str], what: str) -> None:
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BenchError(f"{what} cannot be built: {answer.stderr.strip().splitlines()[-1]}")


def compile_run(tools: Path) -> None:
    """Compile what starts and measures every program.

    Raises
    ------
    BenchError
        There is no C compiler, or it refuses.
    """
    cc = need("cc", "install a C compiler")
    _built([cc, "-O2", "-o", str(tools / "run"), str(HERE / "run.c")], "run.c")


def _compile_vectorscan(tools: Path) -> str:
    _built(["cc", "-O2", "-o", str(tools / "vectorscan"), str(HERE / "vectorscan.c"), "-lhs"], "its harness")
    return subprocess.run([tools / "vectorscan"], capture_output=True, text=True, check=True).stdout.strip()


def _compile_inflate(tools: Path) -> str:
    build = ["cargo", "build", "--quiet", "--release", "--locked", "--package", "tidegate-scan", "--example", "inflate"]
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    _built(build, "its example")
    shutil.copy2(target / "release" / "examples" / "inflate", tools / "inflate")
    found = re.search(r'name = "zlib-rs"\nversion = "(.+)"', (ROOT / "Cargo.lock").read_text())
    return found.group(1) if found else "unknown"


def _said(program: str, pattern: str) -> str:
    """Return a program's version and the day on which its file was made."""
    path = need(program, f"apt-get install {PACKAGES.get(program, program)}")
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(pattern, answer)
    made = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
    return f"{found.group(1) if found else 'unknown'} ({made:%Y-%m-%d})"


_VERSIONS: dict[str, Callable[[Path], str]] = {
    "tidegate": lambda _: gate_peers.versions("tidegate")["tidegate"],
    "ripgrep": lambda _: _said("rg", r"ripgrep (\S+)"),
    "grep": lambda _: _said("grep", r"(\d+\.\d+)"),
    "lnav": lambda _: _said("lnav", r"lnav (\S+)"),
    "vectorscan": _compile_vectorscan,
    "zlib": lambda _: zlib.ZLIB_RUNTIME_VERSION,
    "zlib-rs": _compile_inflate,
}


def prepare(chosen: list[str], tools: Path, left_out: Callable[[str], None]) -> dict[str, str]:
    """Compile what has to be, and return the versions of the peers that can take part; the rest is told."""
    versions = {}
    for peer in chosen:
        try:
            versions[peer] = _VERSIONS[peer](tools)
        except BenchError as error:
            left_out(f"left out: {peer}: {error}")
    return versions
