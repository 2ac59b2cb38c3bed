"""What the models of every kind of TOML file are made of: the frozen table, names, durations, and how to refuse."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from tidegate.units import Duration

__all__ = ["Name", "Role", "Table", "duration", "refuse"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
"""The name of a table of the same kind: ``[server.NAME]``."""


Role = Literal["probe", "open", "renew", "poll", "call", "bulk"]
"""What a call is for; the class follows from the role and the session."""


class Table(BaseModel):
    """One table of a file. It cannot be changed, and it has no key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def duration(text: str) -> Duration:
    """Return the duration that a default is written as."""
    return Duration.parse(text)


def refuse(value: str, sentence: str, hint: str) -> PydanticCustomError:
    """Return the error of a validator: one sentence, and what to write instead."""
    return PydanticCustomError("value", "{text}", {"text": sentence, "hint": hint, "value": value})
