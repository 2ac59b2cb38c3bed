"""The files themselves: each says what it is first, is short, and names nothing of the machine it grew on."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# DESIGN, rule 8: most files are under 200 lines; none is so long that it cannot be read in one sitting.
LONGEST = 500
LOCKS = {"Cargo.lock", "uv.lock", "fuzz/Cargo.lock"}
# Paths of one machine, and words of a file that is not finished.
BANNED = re.compile(r"(?<![\w.$}])/(?:tmp|work|root|home)/\w|\b(?:TODO|FIXME|XXX)\b")
# They speak of the banned words, or quote a vendor whose sample hides a name behind three letters.
EXEMPT = {
    "tests/contract/test_tree.py",
    "src/tidegate/watch/rules/vasa.provider.setcontext-storm.yaml",
    "docs/runbooks/rules/vasa.provider.setcontext-storm.md",
    "crates/tidegate-scan/tests/articles.rs",
}


def tracked() -> list[str]:
    """Return the paths of all files under version control (and new ones that are not ignored), sorted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def of(*suffixes: str) -> list[str]:
    """Return the tracked files with one of these suffixes."""
    return [name for name in tracked() if Path(name).suffix in suffixes]


@pytest.mark.parametrize("name", of(".rs"))
def test_rust_file_says_what_it_is(name: str) -> None:
    assert (ROOT / name).read_text().lstrip().startswith("//!"), "the first line is not a //! doc comment"


@pytest.mark.parametrize("name", of(".py", ".pyi"))
def test_python_file_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / name).read_text())), "no module docstring"


@pytest.mark.parametrize("name", [n for n in tracked() if n.startswith("scripts/") and "." not in n] + [".ci/run"])
def test_script_is_strict_and_says_what_it_is(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1].startswith("# ")
    assert "set -euo pipefail" in lines


@pytest.mark.parametrize("name", of(".rs", ".py"))
def test_file_is_short(name: str) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", sorted(set(tracked()) - LOCKS - EXEMPT))
def test_file_names_no_machine_and_is_finished(name: str) -> None:
    try:
        text = (ROOT / name).read_text()
    except UnicodeDecodeError:
        return  # a seed of the fuzzer or a capture: bytes, not words
    found = [line.strip() for line in text.splitlines() if BANNED.search(line)]
    assert not found
