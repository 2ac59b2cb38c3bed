"""Dependencies between the crates point one way (DESIGN, rules 1 and 6), read from `cargo metadata`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# crate -> the crates of ours that it may depend on, and no others
ALLOWED = {
    "tidegate-core": set(),
    "tidegate-proxy": {"tidegate-core"},
    "tidegate-sim": {"tidegate-core"},
    "tidegate-lab": {"tidegate-sim"},
    "tidegate-scan": {"tidegate-core"},
    "tidegate-py": {"tidegate-core", "tidegate-proxy", "tidegate-scan", "tidegate-sim"},
}
# outside crate -> the crates of ours that may name it
WRAPPERS = {
    "pyo3": {"tidegate-py"},
    "tokio": {"tidegate-proxy", "tidegate-lab"},
    "rustls": {"tidegate-proxy", "tidegate-lab"},
    "tokio-rustls": {"tidegate-proxy", "tidegate-lab"},
    "socket2": {"tidegate-proxy", "tidegate-lab"},
    "memmap2": {"tidegate-scan"},
    "nix": {"tidegate-scan"},
    "zip": {"tidegate-scan"},
    "tar": {"tidegate-scan"},
    "flate2": {"tidegate-scan"},
}
SAFE = ["tidegate-core", "tidegate-sim", "tidegate-lab"]


@pytest.fixture(scope="module")
def crates() -> dict[str, dict[str, Any]]:
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {package["name"]: package for package in json.loads(answer.stdout)["packages"]}


def named(package: dict[str, Any], *, dev: bool) -> set[str]:
    """Return the names of the crates that a package depends on, tests included or not."""
    return {entry["name"] for entry in package["dependencies"] if dev or entry["kind"] != "dev"}


def test_every_crate_has_its_place(crates: dict[str, dict[str, Any]]) -> None:
    assert set(crates) == set(ALLOWED)


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_crate_depends_only_downwards(crates: dict[str, dict[str, Any]], name: str) -> None:
    ours = {other for other in named(crates[name], dev=False) if other.startswith("tidegate")}
    assert ours <= ALLOWED[name]


@pytest.mark.parametrize("outside", sorted(WRAPPERS))
def test_outside_crate_is_used_in_its_place_only(crates: dict[str, dict[str, Any]], outside: str) -> None:
    users = {name for name, package in crates.items() if outside in named(package, dev=True)}
    assert users <= WRAPPERS[outside]


@pytest.mark.parametrize("name", SAFE)
def test_crate_forbids_unsafe(crates: dict[str, dict[str, Any]], name: str) -> None:
    roots = [Path(target["src_path"]) for target in crates[name]["targets"] if {"lib", "bin"} & set(target["kind"])]
    assert roots
    for root in roots:
        assert "#![forbid(unsafe_code)]" in root.read_text(), f"{root.relative_to(ROOT)} does not forbid unsafe code"


@pytest.mark.parametrize("name", ["tidegate-core", "tidegate-sim"])
def test_deciding_crate_never_loops_over_a_hash(crates: dict[str, dict[str, Any]], name: str) -> None:
    folder = Path(crates[name]["manifest_path"]).parent
    assert "#![warn(clippy::iter_over_hash_type)]" in (folder / "src" / "lib.rs").read_text()
    assert (folder / "clippy.toml").read_text() == (ROOT / "crates" / "tidegate-core" / "clippy.toml").read_text()
