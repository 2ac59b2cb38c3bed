"""From what pydantic found in a file to one sentence per mistake, with its line and what to write instead."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidegate.errors import Problem

__all__ = ["KnowsLines", "dotted", "problems_of"]


class KnowsLines(Protocol):
    """Knows the line on which each key of a file begins."""

    def of(self, path: tuple[str | int, ...]) -> int:
        """Return the line of ``path``, else of its nearest ancestor that has one, else 0."""


def problems_of(
    error: ValidationError, data: Mapping[str, Any], model: type[BaseModel], file: Path, lines: KnowsLines
) -> list[Problem]:
    """Return every problem of ``error``, which ``model`` raised for ``data``, the contents of ``file``."""
    details = error.errors(include_url=False)
    return _without_echoes([_problem(file, lines, data, model, detail) for detail in details])


def _problem(
    file: Path, lines: KnowsLines, data: Mapping[str, Any], model: type[BaseModel], detail: ErrorDetails
) -> Problem:
    path = _real_path(data, detail["loc"])
    message, hint = _words(model, path, detail)
    return Problem(file, lines.of(path), dotted(path), message, hint)


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """Drop "X is missing" where a misspelt X stands in the same table: one mistake, one problem."""
    suggested = {
        (problem.where.rpartition(".")[0], problem.hint)
        for problem in problems
        if problem.hint.startswith("did you mean")
    }
    kept = []
    for problem in problems:
        table, _, key = problem.where.rpartition(".")
        if not (problem.message.endswith("is missing") and (table, f'did you mean "{key}"?') in suggested):
            kept.append(problem)
    return kept


def _real_path(data: object, loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Drop what pydantic adds to a path: the tag of a union and ``[key]``."""
    path: list[str | int] = []
    for position, key in enumerate(loc):
        last = position == len(loc) - 1
        if key == "[key]" or (isinstance(data, Mapping) and key not in data and not last):
            continue
        path.append(key)
        if isinstance(data, Mapping):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            data = None
    return tuple(path)


def _words(model: type[BaseModel], path: tuple[str | int, ...], detail: ErrorDetails) -> tuple[str, str]:
    """Return one sentence and one hint for what pydantic found."""
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return f'there is no key "{path[-1]}" here', _suggestion(model, path, detail["loc"])
        case "missing" | "union_tag_not_found" as kind:
            key = path[-1] if kind == "missing" else "kind"
            return f'the key "{key}" is missing', ""
        case "unit" | "value":
            return detail["msg"], str(context.get("hint", ""))
        case "literal_error" | "union_tag_invalid":
            expected = str(context.get("expected") or context.get("expected_tags")).replace("'", '"')
            shown = value.get("kind") if isinstance(value, dict) else value
            return f"{_shown(shown)} is not one of the words that may stand here", _closest(shown, expected)
        case "string_pattern_mismatch":
            hint = _PATTERN_HINTS.get(path[-1], "use a-z, 0-9, dot, dash and underscore")
            return f"{_shown(value)} may not stand here", hint
    bound, message = _BOUNDS.get(detail["type"]), detail["msg"]
    shown = "" if isinstance(value, dict | list) else f" (it is {_shown(value)})"
    hint = f"write {bound.format(next(iter(context.values())))}" if bound else ""
    return (f"{_shown(value)} is out of range" if bound else f"{message[:1].lower()}{message[1:]}{shown}"), hint


_BOUNDS = {
    "greater_than_equal": "{:.12g} or more",
    "greater_than": "more than {:.12g}",
    "less_than_equal": "{:.12g} or less",
    "less_than": "less than {:.12g}",
}

_PATTERN_HINTS: dict[str | int, str] = {
    "public_url": 'write "https://HOST:PORT" without a path',
    "path": 'a path begins with "/"',
    "method": 'a method is in capitals, for example "POST"',
}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _closest(value: object, expected: str) -> str:
    words = re.findall(r'"([^"]*)"', expected) or expected.split(" or ")
    close = difflib.get_close_matches(str(value), words, n=1)
    return f'did you mean "{close[0]}"?' if close else f"write {expected}"


def _suggestion(model: type[BaseModel], path: tuple[str | int, ...], loc: tuple[str | int, ...]) -> str:
    names = _keys_at(model, loc[:-1])
    if not names:
        return ""
    close = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else f"keys that may stand here: {', '.join(sorted(names))}"


def _keys_at(model: object, loc: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the table at ``loc``, walking the annotations of the models."""
    for key in loc:
        model = _step(model, key)
    tables = [model] if _is_table(model) else [m for m in _members(model) if _is_table(m)]
    return [field.alias or name for table in tables for name, field in table.model_fields.items()]


def _step(model: object, key: str | int) -> object:
    """Return the annotation one key further down."""
    for member in _members(model):
        if _is_table(member):
            if isinstance(key, str) and key in member.model_fields:
                return member.model_fields[key].annotation
            if key == _tag(member):
                return member
        elif typing.get_origin(member) in {dict, tuple}:
            return typing.get_args(member)[-1 if typing.get_origin(member) is dict else 0]
    return None


def _members(model: object) -> list[Any]:
    """Return the members of a union or annotated type, else the type itself."""
    if _is_table(model):
        return [model]
    origin = typing.get_origin(model)
    if origin is typing.Annotated:
        return _members(typing.get_args(model)[0])
    if origin in {typing.Union, type(int | str)}:
        return [member for part in typing.get_args(model) for member in _members(part)]
    return [model]


def _is_table(model: object) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(model, type) and typing.get_origin(model) is None and issubclass(model, BaseModel)


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation)[0] if field else None


def dotted(path: tuple[str | int, ...]) -> str:
    """Return ``path`` as problems show it: ``service.web.server[0]``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
