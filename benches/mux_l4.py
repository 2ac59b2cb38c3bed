"""T10: bytes through a proxy that looks at none of them, at a fixed rate of connections, one answer on each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benches.load import one_shots
from benches.mux_world import TARGET, Stage
from benches.record import Row

SIZES = {"T10/1kB": 1000, "T10/64kB": 64_000, "T10/1MB": 1_000_000}


@dataclass(frozen=True)
class Transfers:
    """Connections per second of each size, and for how many seconds."""

    rates: tuple[int, ...] = (800, 500, 100)
    seconds: float = 3.0


QUICK = Transfers(seconds=1.0)


def write_files(folder: Path) -> None:
    """Write what the origin serves."""
    for size in SIZES.values():
        (folder / f"{size}.bin").write_bytes(b"x" * size)


def transfers(test: str, peer: str, run: int, how: Transfers, fast: Path) -> Iterator[Row]:
    """Transfer answers of one size through a TCP proxy."""
    size = SIZES[test]
    rate = how.rates[list(SIZES).index(test)]
    with Stage() as stage, tempfile.TemporaryDirectory(prefix="tidegate-mux-") as name:
        proxy = stage.proxy(peer, [stage.fast_origin(fast)], mode="tcp")
        folder, path = Path(name), f"/{size}.bin"
        one_shots(TARGET[1], rate, 1.0, folder, path)
        before = proxy.cpu_us()
        sent = one_shots(TARGET[1], rate, how.seconds, folder, path)
        spent = proxy.cpu_us() - before
    yield Row(test, peer, "cpu_ms_per_gb", round(spent / 1000 / (sent * size / 1e9), 1), "ms", run)
    yield Row(test, peer, "cpu_us_per_connection", round(spent / sent, 1), "us", run)
