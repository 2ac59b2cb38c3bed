"""`make test`: every check of the project, one after the other, with a table of what passed at the end.

A failed step does not stop the others. The last line names what was left out (a peer that is not installed, a test that
was skipped); with REQUIRE_ALL=1 in the environment anything left out is a failure. Needs nothing but Python itself.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
FUZZ_SECONDS = "10"


@dataclass(frozen=True)
class Step:
    """One check: its group, its name, and the command that fails if the check fails."""

    group: str
    name: str
    command: list[str]


def steps() -> list[Step]:
    """Return the checks in the order in which they run: quick ones first."""
    python, cargo = str(BIN / "python"), "cargo"
    crates = ["--workspace", "--all-targets", "--locked"]
    return [
        Step("setup", "python packages", ["make", "--no-print-directory", "setup"]),
        Step("lint", "rustfmt", [cargo, "fmt", "--all", "--check"]),
        Step("lint", "ruff check", [str(BIN / "ruff"), "check"]),
        Step("lint", "ruff format", [str(BIN / "ruff"), "format", "--check"]),
        # In a fresh clone the package is not built yet; its sources are all that this check reads.
        Step("lint", "import-linter", ["env", f"PYTHONPATH={ROOT / 'src'}", str(BIN / "lint-imports"), "--no-cache"]),
        Step("lint", "clippy", [cargo, "clippy", *crates, "--", "-D", "warnings"]),
        # tidegate-py links against Python only as an extension module: pytest tests it.
        Step("rust", "rust tests", [cargo, "test", "--workspace", "--locked", "--exclude", "tidegate-py"]),
        Step("build", "release build", ["make", "--no-print-directory", "build"]),
        Step("lint", "mypy", [str(BIN / "mypy")]),
        Step("python", "stubtest", [python, "-m", "mypy.stubtest", "tidegate._core"]),
        Step("python", "pytest", [str(BIN / "pytest")]),
        Step("fuzz", "fuzz, short", [str(ROOT / "scripts" / "fuzz"), FUZZ_SECONDS]),
    ]


def run(step: Step, environment: dict[str, str]) -> tuple[bool, float]:
    """Run one step with its output on the terminal; return whether it passed and its wall time in seconds."""
    print(f"\n==> {step.name}", flush=True)
    began = time.monotonic()
    try:
        code = subprocess.run(step.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    except FileNotFoundError as error:
        print(f"{step.name}: {error.filename} is missing", file=sys.stderr)
        code = 127
    return code == 0, time.monotonic() - began


def report(results: list[tuple[Step, bool, float]], left_out: list[str], require_all: bool) -> int:
    """Print the table, the count and what was left out; return the exit code."""
    print()
    for step, passed, seconds in results:
        print(f"  {'passed' if passed else 'FAILED'}  {step.name:<16} {seconds:7.1f} s")
    failed = sum(not passed for _, passed, _ in results)
    if require_all and left_out:
        failed += 1
        print(f"  FAILED  nothing left out (REQUIRE_ALL=1): {len(left_out)} left out")
    print(f"\n{len(results) - sum(not passed for _, passed, _ in results)} passed, {failed} failed")
    print(f"left out: {'; '.join(left_out) or 'nothing'}")
    return 1 if failed else 0


def main() -> int:
    """Run the steps that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted({step.group for step in steps()}), help="run one group of steps")
    only = parser.parse_args().only
    require_all = os.environ.get("REQUIRE_ALL") == "1"
    absent = [] if only else peers.install()
    with tempfile.TemporaryDirectory() as folder:
        skipped = Path(folder) / "left-out.txt"
        environment = {
            **os.environ,
            "TIDEGATE_LEFT_OUT": str(skipped),
            "PATH": f"{os.environ['PATH']}:{peers.PLACES}",
            "CARGO_TERM_COLOR": os.environ.get("CARGO_TERM_COLOR", "auto"),
        }
        results = [(step, *run(step, environment)) for step in steps() if only in {None, step.group}]
        reasons = sorted(set(skipped.read_text().splitlines())) if skipped.exists() else []
    return report(results, [f"{program} (not installed)" for program in absent] + reasons, require_all)


if __name__ == "__main__":
    sys.exit(main())
