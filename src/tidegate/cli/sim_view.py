"""What the commands of a rehearsal share: its seed, a bar on a terminal while it plays, and the table at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidegate.errors import UsageError
from tidegate.sim.compare import Tell
from tidegate.sim.scenario import Scenario

__all__ = ["figures_table", "progress_on", "seeded"]


@contextmanager
def progress_on(console: Console) -> Iterator[Tell]:
    """Give what is told the progress; it shows on a terminal only, and is gone at the end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda name, share: progress.update(task, description=f"playing {name}", completed=share)


def seeded(scenario: Scenario, seed: int | None) -> Scenario:
    """Return the storm with another seed where one is given.

    Raises
    ------
    UsageError
        When that is no seed.
    """
    if seed is None:
        return scenario
    if not 0 <= seed < 2**62:
        raise UsageError(f"--seed {seed} is out of range", hint=f"choose 0 to {2**62 - 1}")
    return scenario.played_with(seed=seed)


def figures_table(scenario: dict[str, Any], runs: dict[str, dict[str, Any]]) -> Table:
    """Return one row per policy."""
    floors = {run["floor_s"] for run in runs.values()}
    least = f"Least possible time {floors.pop():.1f} s. " if len(floors) == 1 and None not in floors else ""
    knee = f"Most work at {scenario['best_in_flight']} calls in flight"
    table = Table(
        title=f"{scenario['title']}: {scenario['hosts']} hosts",
        caption=f"{least}{knee}; seed {scenario['seed']}; simulated.",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
        pad_edge=False,
    )
    table.add_column("policy", no_wrap=True)
    # Broken where they are, so that the table fits on 80 columns.
    for heading in ("hosts\nin", "last\nin (s)", "half\nin (s)", "timed\nout", "turned\naway", "refused\nbroken"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("wasted\nwork", "in\nflight"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, run in runs.items():
        failed = run["failed_attempts"]
        table.add_row(
            name,
            str(run["connected"]),
            "never" if run["last_connected_s"] is None else f"{run['last_connected_s']:.1f}",
            "never" if run["t50_s"] is None else f"{run['t50_s']:.1f}",
            str(failed["timeout"]),
            str(failed["turned_away"]),
            str(failed["refused"] + failed["broken"]),
            f"{(run['wasted_work'] or 0) * 100:.1f} %",
            str(run["max_in_flight"]),
        )
    return table
