"""Public names: what a module means to show is its `__all__`, and the extension module is known in one place."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for path in SOURCE.rglob("*.py")
)
# Who loads it, whom it hands a handle to (only as a type), the simulator's, the scanner's, and `tidegate --version`; nobody
# else.
KNOWS_CORE = {
    "tidegate.cli.app",
    "tidegate.gate.core",
    "tidegate.gate.driver",
    "tidegate.gate.service",
    "tidegate.sim.engine",
    "tidegate.watch.engine",
}


def path_of(module: str) -> Path:
    """Return the file of a module."""
    plain = SOURCE.joinpath(*module.split(".")).with_suffix(".py")
    return plain if plain.exists() else plain.with_suffix("") / "__init__.py"


def defined(tree: ast.Module) -> set[str]:
    """Return the public names that a module defines itself: functions, classes, constants and type aliases."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


def declared(tree: ast.Module) -> list[str]:
    """Return the module's `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


@pytest.mark.parametrize("module", MODULES)
def test_all_is_what_a_module_defines(module: str) -> None:
    tree = ast.parse(path_of(module).read_text())
    names = declared(tree)
    assert defined(tree) <= set(names)
    assert names == sorted(names)
    assert len(names) == len(set(names))
    loaded = importlib.import_module(module)
    for name in names:
        assert hasattr(loaded, name)


@pytest.mark.parametrize("module", sorted(set(MODULES) - KNOWS_CORE))
def test_extension_module_is_known_in_one_place(module: str) -> None:
    for node in ast.walk(ast.parse(path_of(module).read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module != "tidegate._core"
            assert not (node.module == "tidegate" and any(alias.name == "_core" for alias in node.names))
        elif isinstance(node, ast.Import):
            assert all(alias.name != "tidegate._core" for alias in node.names)


def test_stub_shows_what_the_extension_module_shows() -> None:
    core = importlib.import_module("tidegate._core")
    stub = ast.parse((SOURCE / "tidegate" / "_core.pyi").read_text())
    shown = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    shown |= {
        node.target.id for node in stub.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    actual = {name for name in vars(core) if not name.startswith("_") or name == "__version__"}
    assert actual == {name for name in shown if not name.startswith("_") or name == "__version__"}
