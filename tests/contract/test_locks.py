"""The locks name public registries only, and what pip installs is what uv.lock says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {"pypi.org", "files.pythonhosted.org", "github.com"}


@pytest.mark.parametrize("name", ["uv.lock", "Cargo.lock", "fuzz/Cargo.lock"])
def test_lock_names_public_registries_only(name: str) -> None:
    hosts = set(re.findall(r"https?://([^/\"\s]+)", (ROOT / name).read_text()))
    assert hosts <= PUBLIC


@pytest.mark.parametrize("name", ["run", "dev", "bench"])
def test_requirements_are_those_of_the_lock(name: str) -> None:
    locked = {entry["name"]: entry for entry in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", text, re.MULTILINE))
    assert pins
    for package, version in pins.items():
        assert locked[package]["version"] == version, f"run scripts/lock: {package} differs"
    hashes = set(re.findall(r"--hash=(sha256:[0-9a-f]{64})", text))
    files = [file for package in pins for file in [*locked[package].get("wheels", []), locked[package].get("sdist")]]
    assert hashes <= {file["hash"] for file in files if file}


def test_direct_dependencies_are_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pins = (ROOT / "requirements" / "run.txt").read_text()
    for requirement in project["project"]["dependencies"]:
        package = re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]
        assert re.search(rf"^{re.escape(package)}==", pins, re.MULTILINE), f"run scripts/lock: {package} is not locked"
