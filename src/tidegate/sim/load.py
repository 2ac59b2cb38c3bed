"""Scenario file to :class:`~tidegate.sim.scenario.Scenario`; everything that is wrong is found at once."""

from __future__ import annotations

from pathlib import Path

from tidegate.config.load import parse_tables, read_text
from tidegate.sim.rules import broken_rules
from tidegate.sim.scenario import Scenario

__all__ = ["load_scenario", "parse_scenario"]


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
