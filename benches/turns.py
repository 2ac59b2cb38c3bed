"""Who is measured when: run 1 of every cell first, then run 2, and so on, with the peers forth and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from benches.record import Record, Row
from benches.trust import tell, tried

__all__ = ["Cell", "measure_all", "turns"]

Cell = tuple[str, str, int]
"""Test, peer, run."""


def turns(runs: int, tests: Sequence[str], peers_of: Callable[[str], Sequence[str]]) -> Iterator[Cell]:
    """Yield cells: all tests once, then all again; the peers of a test, as ``peers_of`` says, forth and back."""
    for run in range(1, runs + 1):
        for number, test in enumerate(tests):
            names = peers_of(test)
            for peer in names if (run + number) % 2 else reversed(names):
                yield test, peer, run


def measure_all(
    record: Record, cells: Iterable[Cell], measure: Callable[[str, str, int], list[Row]], *, width: int
) -> None:
    """Measure every cell that the record does not have yet, and say what came of it.

    Parameters
    ----------
    width
        Columns of a peer's name.

    Raises
    ------
    BenchError
        When a cell could not be trusted three times.
    """
    for test, peer, number in cells:
        if record.has(test, peer, number):
            continue
        cell = f"{test:<8} {peer:<{width}} run {number}"
        rows = tried(cell, partial(measure, test, peer, number))
        record.add(rows)
        figures = (f"{row.metric} {'none' if row.value is None else f'{row.value:g}'}" for row in rows)
        tell(f"{cell}: {'  '.join(figures)}")
