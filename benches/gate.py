"""`make bench-gate`: what the gate costs beside HAProxy, nginx and Envoy, into results/gate.json.

Tests: `http-keepalive` and `tls` (CPU time per request and latency at a fixed offered rate), `idle` and `tls` (memory
per client that keeps its connection and says nothing). Peers take turns (A B C D E, E D C B A, ...), so that a slow
minute of the machine falls on all of them. A run that was interrupted goes on where it stopped; `--fresh` begins anew.
`--quick` looks once and briefly, and writes results/gate-quick.json only. README.md beside this file has the method.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benches import peers
from benches.certificate import write_certificate
from benches.load import CONNECTIONS, IdleClients, Latencies, offer, pin_to_client_cpu
from benches.process import BenchError, Process
from benches.record import Record, Row
from benches.trust import refuse_debug_build, tell, tried, wait_for_quiet

RESULTS = Path(__file__).parent / "results"
# The origin shares its CPU with the client: past this share the figures would be about them.
BUSIEST = 0.85
# A fixed rate that takes longer than this was not held: the proxy, or the client, could not.
SLOWEST = 1.05


@dataclass(frozen=True)
class Settings:
    """How long and how often: seconds, requests per second, clients, runs per peer."""

    rate: int = 4000
    warm_up_s: float = 2.0
    measure_s: float = 8.0
    idle_clients: int = 3000
    idle_warm_up: int = 100
    runs: int = 5


QUICK = Settings(warm_up_s=1.0, measure_s=2.0, idle_clients=500, runs=1)


@dataclass(frozen=True)
class Bench:
    """One benchmark: its settings, its folder, the origin, and the folder of the certificate."""

    settings: Settings
    folder: Path
    origin: Process
    origin_port: int
    certificate: Path

    def measure(self, test: str, peer: str, run: int) -> list[Row]:
        """Measure one cell: one test of one peer, once."""
        if test == "idle":
            return [self._idle(test, peer, run, tls=False)]
        tls = test == "tls"
        rows = list(self._rate(test, peer, run, tls=tls))
        if tls and peer != "direct":
            rows.append(self._idle(test, peer, run, tls=True))
        return rows

    def _setting(self, *, tls: bool) -> peers.Setting:
        return peers.Setting(self.folder, self.origin_port, self.certificate if tls else None)

    def _rate(self, test: str, peer: str, run: int, *, tls: bool) -> Iterator[Row]:
        """CPU time per request and latency at the fixed rate; `direct` is the client at the origin, without a proxy."""
        if peer == "direct":
            seen, _ = self._offer(None, self.origin_port, tls=False)
        else:
            process, port = peers.launch(peer, self._setting(tls=tls))
            try:
                seen, spent_us = self._offer(process, port, tls=tls)
            finally:
                process.stop()
            yield Row(test, peer, "cpu_us_per_request", round(spent_us / seen.requests, 2), "us", run)
        yield Row(test, peer, "p50_ms", seen.p50_ms, "ms", run)
        yield Row(test, peer, "p99_ms", seen.p99_ms, "ms", run)

    def _offer(self, process: Process | None, port: int, *, tls: bool) -> tuple[Latencies, float]:
        """Warm up, then measure; return what the client saw and the CPU time of the process, in microseconds."""
        settings = self.settings
        offer(port, settings.rate, settings.warm_up_s, self.folder, tls=tls)
        origin_before, began = self.origin.cpu_us(), time.monotonic()
        before = process.cpu_us() if process else 0.0
        seen = offer(port, settings.rate, settings.measure_s, self.folder, tls=tls)
        spent = (process.cpu_us() if process else 0.0) - before
        busy = (self.origin.cpu_us() - origin_before) / ((time.monotonic() - began) * 1e6)
        if seen.took_s > SLOWEST * settings.measure_s + 0.2:
            raise BenchError(f"the rate was not held: {settings.measure_s:g} s of requests took {seen.took_s:.1f} s")
        if busy > BUSIEST:
            raise BenchError(f"the origin was {busy:.0%} busy: lower the rate")
        return seen, spent

    def _idle(self, test: str, peer: str, run: int, *, tls: bool) -> Row:
        """Memory per idle client: Private_Dirty after minus before, over the clients that came in between."""
        process, port = peers.launch(peer, self._setting(tls=tls))
        clients = IdleClients(port, tls=tls)
        try:
            clients.add(self.settings.idle_warm_up)
            before = process.private_bytes()
            clients.add(self.settings.idle_clients)
            time.sleep(1)  # buffers that are given back a moment later
            grown = process.private_bytes() - before
        finally:
            clients.close()
            process.stop()
        return Row(test, peer, "bytes_per_idle_client", round(grown / self.settings.idle_clients), "B", run)


def cells(runs: int, chosen: list[str]) -> Iterator[tuple[str, str, int]]:
    """Yield (test, peer, run): runs forth and back through the peers, one test after the other."""
    for test in ("http-keepalive", "tls", "idle"):
        for run in range(1, runs + 1):
            names = [peer for peer in (*peers.PROXIES, "direct") if peer in chosen]
            for peer in names if run % 2 else reversed(names):
                if not (test == "idle" and peer == "direct"):
                    yield test, peer, run


def run(arguments: argparse.Namespace) -> None:
    """Measure every cell that the results file does not have yet."""
    settings = QUICK if arguments.quick else Settings()
    chosen = arguments.peers.split(",") if arguments.peers else [*peers.PROXIES, "direct"]
    if "tidegate" in chosen:
        refuse_debug_build()
    path = RESULTS / ("gate-quick.json" if arguments.quick else "gate.json")
    fixed = {**vars(settings), "connections": CONNECTIONS, "limit": peers.LIMIT}
    versions = peers.versions(*peers.PROXIES, "h2load")
    versions["origin"] = f"nginx {versions['nginx']}"
    record = Record(path, versions, fixed, fresh=arguments.fresh or arguments.quick)
    pin_to_client_cpu()
    if not arguments.quick:
        wait_for_quiet()  # only here: later the benchmark's own load would be what it sees
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = Path(name)
        certificate = write_certificate(folder)
        origin, port = peers.origin(folder)
        try:
            bench = Bench(settings, folder, origin, port, certificate)
            for test, peer, number in cells(settings.runs, chosen):
                if record.has(test, peer, number):
                    continue
                cell = f"{test:<15} {peer:<9} run {number}"
                rows = tried(cell, partial(bench.measure, test, peer, number))
                record.add(rows)
                tell(f"{cell}: " + "  ".join(f"{row.metric} {row.value:g}" for row in rows))
        finally:
            origin.stop()
    tell(f"written: {path.relative_to(RESULTS.parent.parent)}")


def main() -> int:
    """Run from the command line: 0 fine, 2 cannot run here, 3 stopped because the figures could not be trusted."""
    parser = argparse.ArgumentParser(prog="python -m benches.gate", description="Measure the gate beside its peers.")
    parser.add_argument("--quick", action="store_true", help="one short run of each, into gate-quick.json")
    parser.add_argument("--fresh", action="store_true", help="begin anew instead of going on where it stopped")
    parser.add_argument("--peers", help="only these, separated by commas")
    try:
        run(parser.parse_args())
    except BenchError as error:
        print(f"bench-gate: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
