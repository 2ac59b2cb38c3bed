"""Scenario file to :class:`~tidegate.sim.scenario.Scenario`; everything that is wrong is found at once."""

from __future__ import annotations

import re
from pathlib import Path

from tidegate.config.load import parse_tables, read_text
from tidegate.errors import ConfigError
from tidegate.sim.rules import broken_rules
from tidegate.sim.scenario import Scenario

__all__ = ["is_scenario", "load_scenario", "parse_scenario"]

_HEADER = re.compile(r"^\s*\[\s*scenario\s*\]", re.MULTILINE)


def load_scenario(file: Path) -> Scenario:
    """Read one scenario.

    Raises
    ------
    ConfigError
        With every problem, when the file cannot be read, is not TOML, or does not describe a storm.
    """
    return parse_scenario(read_text(file, missing="the folder examples/ has some"), file)


def parse_scenario(text: str, file: Path) -> Scenario:
    """Read ``text`` as if it stood in ``file``.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return parse_tables(text, file, Scenario, broken_rules)


def is_scenario(file: Path) -> bool:
    """Return whether ``file`` means to be a scenario, right or wrong: only a scenario has the table ``[scenario]``."""
    try:
        return _HEADER.search(read_text(file)) is not None
    except ConfigError:
        return False
