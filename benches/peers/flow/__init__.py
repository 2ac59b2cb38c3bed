"""The peers of `bench-flow`: each reads a capture on one CPU and says what it makes of its flows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benches import peers
from benches.process import BenchError, install_missing, need
from benches.record import ROOT
from benches.timed import Timed, timed

HERE = Path(__file__).parent
# program or file -> Debian package (bookworm's names); of argus only the libraries: its package starts a service
PACKAGES = {"tshark": "tshark", "/usr/share/doc/libtirpc3": "libtirpc3", "/usr/share/doc/libwrap0": "libwrap0"}
_ARGUS = ROOT / "target" / "bench-flow"


@dataclass(frozen=True)
class Peer:
    """How a program is started, and how many packets it says that it has seen (None: it does not say)."""

    command: Callable[[Path], list[str]]
    packets: Callable[[str], int | None]


def _tidegate_packets(said: str) -> int:
    return sum(int(file["packets"]) for file in json.loads(said)["files"])


def _tshark_packets(said: str) -> int:
    """Add up the third pair of columns: frames there and back."""
    found = re.findall(r"<->.+?(\d+) +\d+ \w+ +(\d+) +\d+ \w+ +(\d+) +\d+ \w+", said)
    return sum(int(total) for *_, total in found)


PEERS = {
    "tidegate": Peer(
        lambda path: [str(peers.BIN / "tidegate"), "flow", "stats", str(path), "--output", "json"], _tidegate_packets
    ),
    "tshark": Peer(
        lambda path: [need("tshark", "apt-get install tshark"), "-n", "-q", "-z", "conv,tcp", "-r", str(path)],
        _tshark_packets,
    ),
    "argus": Peer(
        lambda path: ["sh", "-c", 'exec "$0" -F /dev/null -r "$1" -w - >/dev/null', _argus(), str(path)], lambda _: None
    ),
}


def shards(path: Path, count: int) -> list[str]:
    """Return the command that analyses one capture by so many threads of tidegate."""
    return [sys.executable, str(HERE / "ours.py"), str(path), str(count)]


def _argus() -> str:
    return str(_ARGUS / "usr" / "sbin" / "argus")


def install() -> None:
    """Bring what is missing, on Debian. argus is only unpacked, into target/: installed, it would begin to capture.

    Raises
    ------
    BenchError
        argus cannot be had.
    """
    install_missing(PACKAGES)
    if Path(_argus()).exists():
        return
    _ARGUS.mkdir(parents=True, exist_ok=True)
    script = "apt-get -qq download argus-server && dpkg-deb -x argus-server_*.deb . && rm argus-server_*.deb"
    ran = subprocess.run(["sh", "-euc", script], cwd=_ARGUS, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BenchError(f"argus cannot be had: {' '.join(ran.stderr.split())[-200:]}")


def versions() -> dict[str, str]:
    """Return the versions of what takes part."""

    def said(command: list[str], pattern: str) -> str:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(pattern, ran.stdout + ran.stderr)
        return found.group(1) if found else "unknown"

    return {
        **peers.versions("tidegate"),
        "tshark": said([need("tshark", "apt-get install tshark"), "--version"], r"(\d+\.\d+\.\d+)"),
        "argus": said([_argus(), "-h"], r"Version (\S+)"),
    }


def take(command: list[str], cpus: set[int], tools: Path) -> Timed:
    """Run a command on some CPUs.

    Raises
    ------
    BenchError
        It failed, or is not done after five minutes.
    """
    name = Path(command[0]).name
    took = timed(command, cpus, tools, name=name)
    if took.code:
        raise BenchError(f"{name} ended with {took.code}: {took.last_words}")
    return took
