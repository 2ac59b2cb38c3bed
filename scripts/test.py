"""`make test`: every check of the project, one after the other, with a table of what passed at the end.

A failed step does not stop the others. Steps that mostly wait run side by side; what the second one printed comes when
both are done. The last line names what was left out (a peer that is not installed, a test that was skipped); with
REQUIRE_ALL=1 in the environment anything left out is a failure. Needs nothing but Python itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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


def steps() -> list[tuple[Step, ...]]:
    """Return the checks in the order in which they run: quick ones first. Those in one tuple run side by side."""
    python, cargo = str(BIN / "python"), "cargo"
    crates = ["--workspace", "--all-targets", "--locked"]
    pytest = str(BIN / "pytest")
    alone = [
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
    ]
    # Storms use a fifth of a core, and wait for the rest of their time: they go first when they want something.
    beside = (
        Step("python", "pytest", ["nice", "-n", "5", pytest, "--ignore=tests/storm"]),
        Step("python", "pytest, storms", [pytest, "tests/storm"]),
    )
    fuzz = Step("fuzz", "fuzz, short", [str(ROOT / "scripts" / "fuzz"), FUZZ_SECONDS])
    return [*((step,) for step in alone), beside, (fuzz,)]


def run(step: Step, environment: dict[str, str], out: IO[bytes] | None = None) -> tuple[Step, bool, float]:
    """Run one step, its output on the terminal or in ``out``; return it, whether it passed, and its seconds."""
    began = time.monotonic()
    try:
        code = subprocess.run(
            step.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        ).returncode
    except FileNotFoundError as error:
        print(f"{step.name}: {error.filename} is missing", file=sys.stderr)
        code = 127
    return step, code == 0, time.monotonic() - began


def run_beside(together: Sequence[Step], environment: dict[str, str]) -> list[tuple[Step, bool, float]]:
    """Run steps side by side, the output of the first on the terminal; print what the others said when all are done."""
    first, *others = together
    print(f"\n==> {' beside '.join(step.name for step in together)}", flush=True)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=len(together)))
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in others]
        begun = [pool.submit(run, step, environment, file) for step, file in zip(others, files, strict=True)]
        results = [run(first, environment), *(each.result() for each in begun)]
        for step, file in zip(others, files, strict=True):
            print(f"\n==> {step.name}", flush=True)
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
    return results


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
    parser.add_argument(
        "--only",
        choices=sorted({step.group for together in steps() for step in together}),
        help="run one group of steps",
    )
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
        asked = [tuple(step for step in together if only in {None, step.group}) for together in steps()]
        results = [result for together in asked if together for result in run_beside(together, environment)]
        reasons = sorted(set(skipped.read_text().splitlines())) if skipped.exists() else []
    return report(results, [f"{program} (not installed)" for program in absent] + reasons, require_all)


if __name__ == "__main__":
    sys.exit(main())
