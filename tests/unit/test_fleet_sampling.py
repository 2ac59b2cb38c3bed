"""One sample of a probe on a virtual clock: a number, or a sentence, whatever the probe does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from loops import played
from tidegate.errors import HostUnreachable, UsageError
from tidegate.fleet.sampling import sampled


class Says:
    """A probe that gives what a function gives."""

    name = "g"

    def __init__(self, value: Callable[[], Any], takes_s: float = 0.0) -> None:
        self._value, self._takes_s = value, takes_s

    async def sample(self) -> float:
        await asyncio.sleep(self._takes_s)
        return self._value()  # type: ignore[no-any-return]


def raises(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("value", "gives"),
    [
        (lambda: 0, 0.0),
        (lambda: -1.5, -1.5),
        (lambda: float("nan"), "what it read is no value: nan"),
        (lambda: "many", "what it read is odd: ValueError: could not convert string to float: 'many'"),
        (raises(HostUnreachable("no answer")), "no answer"),
        (raises(UsageError("not so")), "not so"),
        (raises(KeyError("why")), "what it read is odd: KeyError: 'why'"),
        (raises(RecursionError("deep")), "what it read is odd: RecursionError: deep"),
    ],
)
def test_a_number_or_a_sentence(value: Callable[[], Any], gives: float | str) -> None:
    assert played(sampled(Says(value))) == gives


def test_a_probe_that_hangs_is_left() -> None:
    assert played(sampled(Says(lambda: 1.0, takes_s=34.9))) == 1.0
    assert played(sampled(Says(lambda: 1.0, takes_s=1e6))) == "nothing within 35 s"
