"""One map from errors to exit codes, and problems that say where they are."""

from pathlib import Path

import pytest

from tidegate import errors
from tidegate.errors import ConfigError, Exit, Problem, TidegateError, exit_code


def test_every_error_of_the_tree_has_an_exit_code_of_its_own_choice() -> None:
    leaves = [kind for kind in TidegateError.__subclasses__() if not kind.__subclasses__()]
    assert leaves
    for kind in leaves:
        error = kind([]) if kind is ConfigError else kind("a sentence")
        assert exit_code(error) in {Exit.USAGE, Exit.UNREACHABLE}, kind


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.GateError("x"), 2),
        (errors.GateUnreachable("x"), 4),
        (errors.ServerUnreachable("x"), 4),
        (errors.LabError("x"), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_slugs_are_stable_and_different() -> None:
    slugs = {kind.slug for kind in TidegateError.__subclasses__()}
    assert slugs == {"usage", "config", "gate", "gate-unreachable", "server-unreachable", "lab", "turned-away"}


def test_a_problem_says_where_it_is() -> None:
    problem = Problem(Path("gate.toml"), 7, "service.vasa.mode", "is wrong")
    assert str(problem) == "gate.toml:7: service.vasa.mode: is wrong"
    assert str(Problem(Path("gate.toml"), 0, "", "is wrong")) == "gate.toml: is wrong"


def test_problems_come_in_the_order_of_their_lines() -> None:
    first, second = (Problem(Path("a"), line, "", "x") for line in (2, 1))
    assert ConfigError([first, second]).problems == (second, first)
