"""One map from errors to exit codes, and problems that say where they are."""

from pathlib import Path

import pytest

from tidegate import errors
from tidegate.errors import ConfigError, Exit, Problem, TidegateError, exit_code


def tree(kind: type[TidegateError] = TidegateError) -> list[type[TidegateError]]:
    """Return every error under ``kind`` that the tree of errors.py shows."""
    own = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return own + [deeper for child in own for deeper in tree(child)]


def test_every_error_of_the_tree_has_an_exit_code_of_its_own_choice() -> None:
    assert tree()
    for kind in tree():
        error = kind([]) if kind is ConfigError else kind("a sentence")
        assert exit_code(error) in {Exit.USAGE, Exit.STOPPED, Exit.UNREACHABLE}, kind


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.GateError("x"), 2),
        (errors.GateUnreachable("x"), 4),
        (errors.ServerUnreachable("x"), 4),
        (errors.LabError("x"), 4),
        (errors.FleetError("x"), 2),
        (errors.Stopped("x"), 3),
        (errors.HostUnreachable("x"), 4),
        (errors.WatchUnreachable("x"), 4),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_slugs_are_stable_and_different() -> None:
    fleet = {"fleet", "stopped", "host-unreachable"}
    slugs = [kind.slug for kind in tree()]
    assert len(slugs) == len(set(slugs))
    assert set(slugs) == {
        *("usage", "config", "gate", "gate-unreachable", "server-unreachable", "lab", "turned-away"),
        *fleet,
        "watch-unreachable",
    }


def test_a_problem_says_where_it_is() -> None:
    problem = Problem(Path("gate.toml"), 7, "service.vasa.mode", "is wrong")
    assert str(problem) == "gate.toml:7: service.vasa.mode: is wrong"
    assert str(Problem(Path("gate.toml"), 0, "", "is wrong")) == "gate.toml: is wrong"


def test_problems_come_in_the_order_of_their_lines() -> None:
    first, second = (Problem(Path("a"), line, "", "x") for line in (2, 1))
    assert ConfigError([first, second]).problems == (second, first)
