"""Model to TOML: what the lab hands to ``tidegate gate run``, and what ``--keep`` leaves to look at.

Only keys that differ from their defaults are written. :func:`sped_up` divides every duration, for worlds that run
faster than the clock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from tidegate.config.model import Config
from tidegate.units import ByteSize, Duration

__all__ = ["sped_up", "to_toml"]

Table = TypeVar("Table", bound=BaseModel)


def to_toml(config: Config) -> str:
    """Return a file that :func:`~tidegate.config.load.load_config` reads back as ``config``."""
    return "\n".join(_table((), config)).strip() + "\n"


def sped_up(table: Table, speed: float) -> Table:
    """Return ``table`` with every duration in it divided by ``speed`` (> 0), defaults included."""
    changed: dict[str, object] = {}
    for name in type(table).model_fields:
        value = getattr(table, name)
        if isinstance(value, Duration):
            changed[name] = value.divided(speed)
        elif isinstance(value, BaseModel):
            changed[name] = sped_up(value, speed)
        elif isinstance(value, dict):
            changed[name] = {k: sped_up(v, speed) if isinstance(v, BaseModel) else v for k, v in value.items()}
    return table.model_copy(update=changed)


def _table(at: tuple[str, ...], table: BaseModel) -> list[str]:
    lines, below = [], []
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        if value is None or (not field.is_required() and value == field.default):
            continue
        if isinstance(value, BaseModel):
            below += _table((*at, name), value)
        elif isinstance(value, dict):
            for key, member in value.items():
                below += _table((*at, name, key), member)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for member in value:
                inner = _table((*at, name), member)
                below += ["", f"[[{_header((*at, name))}]]", *inner[2:]]
        else:
            lines.append(f"{_key(field.alias or name)} = {_value(value)}")
    header = ["", f"[{_header(at)}]"] if at and (lines or not below) else []
    return [*header, *lines, *below]


def _header(at: tuple[str, ...]) -> str:
    return ".".join(_key(key) for key in at)


def _key(key: str) -> str:
    return key if key.replace("-", "a").replace("_", "a").isalnum() and key.isascii() else json.dumps(key)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_value(part) for part in value)}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str | Path | Duration | ByteSize):
        return json.dumps(str(value), ensure_ascii=False)
    raise TypeError(f"no TOML for {type(value).__name__}")
