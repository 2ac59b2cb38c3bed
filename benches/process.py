"""A process under measurement: started on one CPU, read through /proc (CPU time, memory), ended with its children."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TICK = os.sysconf("SC_CLK_TCK")
START_S = 20.0


class BenchError(Exception):
    """The benchmark cannot be run or its figures cannot be trusted; the text is one sentence."""


@dataclass
class Process:
    """A started program and its children, in a process group of their own."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def pids(self) -> list[int]:
        """Return the ids of the program and everything that it started and that still runs."""
        found, queue = [], [self.popen.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                queue.extend(int(child) for child in children.read_text().split())
        return found

    def cpu_us(self) -> float:
        """Return the CPU time so far, user and kernel, of all its threads and children, in microseconds.

        The kernel keeps the sum in nanoseconds and shows it in ticks (10 ms): over a run of some seconds of CPU time
        the rounding stays under 1 %.
        """
        total = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])  # utime, stime: fields 14 and 15 of proc(5)
        return total * 1e6 / TICK

    def private_bytes(self) -> int:
        """Return the memory that nobody shares with it (Private_Dirty), in bytes, over all its processes."""
        total = 0
        for pid in self.pids():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.findall(r"^Private_Dirty:\s+(\d+) kB", rollup, re.MULTILINE)
            total += sum(int(kilobytes) * 1024 for kilobytes in found)
        return total

    def kill(self) -> None:
        """End it as a crash does, with its children."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> None:
        """End it: SIGTERM to its group, SIGKILL after 3 s."""
        for signum in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.popen.pid, signum)
                self.popen.wait(3)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.popen.wait()

    def wait_for(self, port: int) -> None:
        """Wait until the program listens at a port of 127.0.0.1.

        Raises
        ------
        BenchError
            It ended, or does not listen within 20 s.
        """
        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up:
            if self.popen.poll() is not None:
                raise BenchError(
                    f"{self.name} ended at its start: {self.log.read_text(errors='replace')[-400:].strip()}"
                )
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise BenchError(f"{self.name} does not listen on port {port} after {START_S:.0f} s")


def start(name: str, command: list[str], cpu: int, folder: Path, stdin: int | IO[bytes] | None = None) -> Process:
    """Start a program on one CPU; what it says goes to `folder/NAME.log`."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            ["taskset", "--cpu-list", str(cpu), *command],
            cwd=folder,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    return Process(name, popen, log)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def need(program: str, hint: str) -> str:
    """Return the path of a program.

    Raises
    ------
    BenchError
        It is not installed.
    """
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise BenchError(f"{program} is missing; {hint}")
    return path


def chosen_from(words: str | None, all_of_them: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return what an option names, separated by commas; all of them where it is left out.

    Raises
    ------
    BenchError
        It names something else.
    """
    chosen = tuple(words.split(",")) if words else all_of_them
    if unknown := [word for word in chosen if word not in all_of_them]:
        raise BenchError(f"there is no {what} {unknown[0]}: {', '.join(all_of_them)}")
    return chosen


def install_missing(packages: dict[str, str]) -> None:
    """Install the Debian packages of programs (or files) that are missing, as root on Debian; elsewhere do nothing."""
    missing = sorted({package for name, package in packages.items() if not (shutil.which(name) or Path(name).exists())})
    if missing and os.geteuid() == 0 and Path("/etc/debian_version").exists():
        print(f"==> installing peers: {' '.join(missing)}", file=sys.stderr, flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # A failed update is not the end: the lists that are there may do.
        for words in (["update"], ["-y", "--no-install-recommends", "install", *missing]):
            command = ["apt-get", "-qq", *words]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
