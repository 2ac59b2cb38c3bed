"""The files of tidegate that are no gate's, for ``gate check``: each is known by a table that only it has."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tidegate.config.load import read_text
from tidegate.errors import ConfigError

__all__ = ["reader_of"]


def reader_of(file: Path) -> Callable[[Path], str] | None:
    """Return what reads a file and tells of it in a few words; None: it is a gate's, or nobody's.

    The reader raises :class:`~tidegate.errors.ConfigError` with every problem.
    """
    try:
        text = read_text(file)
    except ConfigError:
        return None
    return next((read for table, read in _KINDS if re.search(rf"^\s*{table}", text, re.MULTILINE)), None)


def _scenario(file: Path) -> str:
    from tidegate.sim.load import load_scenario

    storm = load_scenario(file)
    return f"a scenario, {storm.host_count} hosts: {storm.scenario.title}"


def _run(file: Path) -> str:
    from tidegate.fleet.load import load_plan

    return f"a plan of fleet: {load_plan(file).run.plan}"


def _pace(file: Path) -> str:
    from tidegate.fleet.pace_plan import load_pace_plan

    return f"a plan of paced work: batches of {load_pace_plan(file).pace.batch}"


def _watch(file: Path) -> str:
    from tidegate.cli.watch_check import summary
    from tidegate.watch.live.load import load_watch

    return summary(load_watch(file))


def _inventory(file: Path) -> str:
    from tidegate.fleet.load import load_inventory

    return f"an inventory, {len(load_inventory(file))} hosts"


_KINDS: tuple[tuple[str, Callable[[Path], str]], ...] = (
    (r"\[\s*scenario\s*\]", _scenario),
    (r"\[\s*run\s*\]", _run),
    (r"\[\s*pace\s*\]", _pace),
    (r"\[\s*watch\s*\]", _watch),
    (r"\[\[\s*host\s*\]\]", _inventory),
)
