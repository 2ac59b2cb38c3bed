"""The file that a benchmark writes: one row per measured value and run, resumable, with the machine and the commit."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """One measured value."""

    test: str
    peer: str
    metric: str
    value: float | None
    unit: str
    run: int


def commit() -> str:
    """Return the commit that is measured; `+dirty` when the code differs from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "crates", "src", "Cargo.lock", "benches/*.py", "benches/peers")
    return git("rev-parse", "HEAD") + ("+dirty" if changed else "")


def digest(paths: Sequence[str]) -> str:
    """Return twelve hexadecimal digits that change with any of these files and folders."""
    files = [path for name in paths for path in sorted([ROOT / name, *(ROOT / name).rglob("*")]) if path.is_file()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files if path.suffix != ".pyc")).hexdigest()[:12]


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, memory, kernel, distribution."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "kernel": platform.release(),
        "system": system,
    }


class Record:
    """A results file. Opened again with the same commit, machine, versions and settings it goes on where it stopped.

    Parameters
    ----------
    any_commit
        Which rows stay when nothing but the commit has changed; `kept_from` then names the commit of the oldest.
    """

    def __init__(
        self,
        path: Path,
        versions: dict[str, str],
        settings: dict[str, Any],
        *,
        fresh: bool,
        any_commit: Callable[[Row], bool] = lambda _: False,
    ) -> None:
        self.path = path
        self._head = {
            "format": 1,
            "machine": machine(),
            "versions": versions,
            "commit": commit(),
            "settings": settings,
        }
        self.rows: list[Row] = []
        if path.exists() and not fresh:
            old = json.loads(path.read_text())
            if all(old.get(key) == value for key, value in self._head.items() if key != "commit"):
                same = old["commit"] == self._head["commit"]
                self.rows = [row for row in (Row(**row) for row in old["results"]) if same or any_commit(row)]
                kept = old.get("kept_from") or (None if same else old["commit"])
                if kept and self.rows:
                    self._head["kept_from"] = kept

    def has(self, test: str, peer: str, run: int) -> bool:
        """Whether this cell was measured already."""
        return any((row.test, row.peer, row.run) == (test, peer, run) for row in self.rows)

    def add(self, rows: list[Row]) -> None:
        """Append the rows of one cell and write the file whole."""
        self.rows += rows
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n".join(f"    {json.dumps(asdict(row))}" for row in self.rows)
        head = json.dumps(self._head, indent=2).removesuffix("\n}")
        text = f'{head},\n  "results": [\n{lines}\n  ]\n}}\n'
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)
