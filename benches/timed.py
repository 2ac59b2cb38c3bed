"""One command on some CPUs: what it printed, and what it took; and a folder for what is measured with."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benches.process import BenchError

__all__ = ["Timed", "own_folder", "timed"]

LIMIT_S = 300
"""No command may take longer."""


@dataclass(frozen=True)
class Timed:
    """What one run took, start and end of the process among it."""

    said: str
    complaint: str
    """What it wrote to standard error."""
    code: int
    seconds: float
    cpu_seconds: float
    """User and kernel."""
    rss_kib: int
    """The largest resident set."""

    @property
    def last_words(self) -> str:
        """The end of its complaint, on one line."""
        return _end(self.complaint)


def _end(complaint: str) -> str:
    return " ".join(complaint.split())[-200:]


def timed(
    command: Sequence[str], cpus: set[int], tools: Path, *, name: str, environment: Mapping[str, str] | None = None
) -> Timed:
    """Run a command on some CPUs.

    Parameters
    ----------
    tools
        A folder with the compiled ``run``, which measures, and to write into.
    name
        What the command is called in an error.

    Raises
    ------
    BenchError
        It could not be started, or is not done after five minutes.
    """
    took, listed = tools / "took", ",".join(map(str, sorted(cpus)))
    took.unlink(missing_ok=True)
    with (tools / "said").open("w+b") as output, (tools / "errors").open("w+b") as errors:
        popen = subprocess.Popen(
            ["taskset", "--cpu-list", listed, str(tools / "run"), str(took), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=environment,
            process_group=0,
        )
        try:
            popen.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{name} is not done after {LIMIT_S} s") from None
        finally:
            if popen.poll() is None:
                os.killpg(popen.pid, signal.SIGKILL)
                popen.wait()
        output.seek(0)
        errors.seek(0)
        said, complaint = output.read().decode(errors="replace"), errors.read().decode(errors="replace")
    if popen.returncode or not took.exists():
        raise BenchError(f"{name} could not be started: {_end(complaint)}")
    seconds, cpu_seconds, rss_kib, code = took.read_text().split()
    return Timed(said, complaint, int(code), float(seconds), float(cpu_seconds), int(rss_kib))


def own_folder(name: str) -> Path:
    """Return a folder of this user's alone that outlives a run.

    Raises
    ------
    BenchError
        Somebody else has a folder of that name.
    """
    base = Path(tempfile.gettempdir()) / f"tidegate-{name}-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        raise BenchError(f"{base} belongs to somebody else")
    return base
