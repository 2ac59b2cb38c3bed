"""TOML file to checked model; everything that is wrong is found at once.

A gate's file becomes a :class:`~tidegate.config.model.Config`; files of other kinds have models of their own. Each
problem names the file, the line, the key, what is wrong in one sentence, and what to write instead.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tidegate.config.broken import Broken
from tidegate.config.lines import Lines
from tidegate.config.model import Config
from tidegate.config.problems import dotted, problems_of
from tidegate.config.rules import broken_rules
from tidegate.errors import ConfigError, Problem

__all__ = ["SIZE_MAX", "absolute", "load_config", "parse_config", "parse_tables", "read_text"]

Table = TypeVar("Table", bound=BaseModel)

SIZE_MAX = 1 << 20
"""Longest file that is read, in bytes."""


def load_config(file: Path) -> Config:
    """Read a gate's file.

    Raises
    ------
    ConfigError
        With every problem, when the file cannot be read, is not TOML, or does not describe a gate.
    """
    text = read_text(file, missing="`tidegate gate init vasa --server HOST:PORT` writes one")
    return parse_config(text, file)


def parse_config(text: str, file: Path) -> Config:
    """Read ``text`` as if it stood in ``file``: relative paths in it start at the file's folder.

    Raises
    ------
    ConfigError
        With every problem.
    """
    return absolute(parse_tables(text, file, Config, broken_rules), file.parent)


def read_text(file: Path, *, missing: str = "") -> str:
    """Return the text of a TOML file.

    Parameters
    ----------
    file
        The file.
    missing
        The hint for when there is no such file.

    Raises
    ------
    ConfigError
        When it cannot be read, is a pipe, is too long, or is not UTF-8.
    """
    try:
        if file.is_fifo():  # opening one waits for somebody who writes into it: a reload would never end
            raise ConfigError([Problem(file, 0, "", "is a pipe, which is not read")])
        with file.open("rb") as stream:
            data = stream.read(SIZE_MAX + 1)
    except OSError as error:
        hint = "" if file.exists() else missing
        raise ConfigError([Problem(file, 0, "", f"cannot be read: {error.strerror}", hint)]) from None
    if len(data) > SIZE_MAX:
        raise ConfigError([Problem(file, 0, "", "is longer than 1 MiB, so it is not a configuration file")])
    try:
        return data.decode("utf-8-sig")  # some editors put a byte order mark first
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError([Problem(file, line, "", "is not UTF-8 text", "save the file as UTF-8")]) from None


def parse_tables(text: str, file: Path, model: type[Table], rules: Callable[[Table], Iterable[Broken]]) -> Table:
    """Read ``text`` as a ``model``, and look at how its parts fit together.

    Parameters
    ----------
    text, file
        What to read, and the file that problems name.
    model
        What the file's top level is.
    rules
        Yields every rule that a model breaks.

    Raises
    ------
    ConfigError
        With every problem.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax(file, text, str(error))]) from None
    except RecursionError:
        hint = "no key needs more than three brackets inside one another"
        raise ConfigError([Problem(file, 0, "", "nests arrays or tables too deeply", hint)]) from None
    lines = Lines(text)
    try:
        config = model.model_validate(data)
    except ValidationError as error:
        raise ConfigError(problems_of(error, data, model, file, lines)) from None
    if broken := list(rules(config)):
        raise ConfigError(
            [Problem(file, lines.of(rule.path), dotted(rule.path), rule.message, rule.hint) for rule in broken]
        )
    return config


def _syntax(file: Path, text: str, message: str) -> Problem:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", message)
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    words = message[: place.start()] if place else message
    return Problem(
        file, line, "", f"is not TOML: {words[:1].lower()}{words[1:]}", 'texts stand in quotes: key = "value"'
    )


def absolute(model: Table, folder: Path) -> Table:
    """Return ``model`` with every relative path in it made to start at ``folder``."""
    changed: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            changed[name] = folder.absolute() / value
        elif isinstance(value, tuple):
            changed[name] = tuple(folder.absolute() / v if isinstance(v, Path) else v for v in value)
        elif isinstance(value, BaseModel):
            changed[name] = absolute(value, folder)
        elif isinstance(value, dict):
            changed[name] = {k: absolute(v, folder) if isinstance(v, BaseModel) else v for k, v in value.items()}
    return model.model_copy(update=changed)
