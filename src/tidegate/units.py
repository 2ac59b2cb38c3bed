"""Durations and sizes as people write them: ``"30s"``, ``"1h30m"``, ``"200ms"``, ``"64MiB"``.

Both are whole numbers inside (nanoseconds, bytes), know how to print themselves, and refuse a bare number: a number
without a unit is the classic way to configure a timeout of 30 milliseconds that was meant as 30 seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["ByteSize", "Duration"]

_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-zµ]+)\s*")


def _parse(text: str, units: dict[str, int], kind: str, example: str) -> int:
    """Add up ``text``'s parts, each a number with one of ``units``; raise ``ValueError`` with one sentence."""
    total, rest = Decimal(0), text.strip()
    if not rest:
        raise ValueError(f"an empty text is not a {kind}; write for example {example}")
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise ValueError(f'"{text}" is not a {kind}; write for example {example}')
        number, unit = part.groups()
        if unit not in units:
            raise ValueError(f'"{unit}" is not a unit of a {kind}; use one of {", ".join(units)}')
        total += Decimal(number) * units[unit]
        rest = rest[part.end() :]
    if total != total.to_integral_value():
        raise ValueError(f'"{text}" is finer than the smallest unit of a {kind}')
    if total >= 2**63:
        raise ValueError(f'"{text}" is longer than any {kind} that can be kept')
    return int(total)


@dataclass(frozen=True, slots=True, order=True)
class _Quantity:
    """What :class:`Duration` and :class:`ByteSize` share: a whole number with units, read from text only."""

    count: int

    UNITS: ClassVar[dict[str, int]]
    KIND: ClassVar[str]
    EXAMPLE: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one or more parts, each a number with a unit.

        Raises
        ------
        ValueError
            With one sentence, when ``text`` has no unit, an unknown unit, or does not fit.
        """
        return cls(_parse(text, cls.UNITS, cls.KIND, cls.EXAMPLE))

    @classmethod
    def _validate(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise PydanticCustomError(
                "unit", "a {kind} is text with a unit", {"kind": cls.KIND, "hint": f"write for example {cls.EXAMPLE}"}
            )
        if isinstance(value, int | float) or re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            context = {"value": str(value).strip(), "kind": cls.KIND, "hint": cls._hint(str(value).strip())}
            raise PydanticCustomError("unit", "{value} has no unit, so it is not a {kind}", context)
        try:
            return cls.parse(value)
        except ValueError as error:
            raise PydanticCustomError("unit", "{text}", {"text": str(error)}) from None

    @classmethod
    def _hint(cls, number: str) -> str:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Tell pydantic to read this type with :meth:`parse` and to write it with ``str``."""
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    def __str__(self) -> str:
        if self.count == 0:
            return f"0{self._smallest()}"
        rest, text = self.count, ""
        for unit, size in self._written():
            whole, rest = divmod(rest, size)
            text += f"{whole}{unit}" if whole else ""
        return text

    @classmethod
    def _written(cls) -> list[tuple[str, int]]:
        """Return the units to print with, largest first."""
        return sorted(cls.UNITS.items(), key=lambda item: -item[1])

    @classmethod
    def _smallest(cls) -> str:
        return cls._written()[-1][0]


@dataclass(frozen=True, slots=True, order=True)
class Duration(_Quantity):
    """A length of time, never negative; ``count`` is in nanoseconds.

    >>> str(Duration.parse("90s"))
    '1m30s'
    """

    UNITS: ClassVar[dict[str, int]] = {
        "ns": 1,
        "us": 10**3,
        "ms": 10**6,
        "s": 10**9,
        "m": 60 * 10**9,
        "h": 3600 * 10**9,
        "d": 86400 * 10**9,
    }
    KIND: ClassVar[str] = "duration"
    EXAMPLE: ClassVar[str] = '"30s", "200ms" or "1h30m"'

    @classmethod
    def _hint(cls, number: str) -> str:
        return f'write "{number}s" for seconds or "{number}ms" for milliseconds'

    @classmethod
    def from_seconds(cls, seconds: float) -> Self:
        """Return ``seconds`` (≥ 0), rounded to a nanosecond."""
        return cls(round(seconds * 1e9))

    @property
    def nanoseconds(self) -> int:
        """The length in nanoseconds."""
        return self.count

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.count / 1e9

    def divided(self, by: float) -> Self:
        """Return this length divided by ``by`` (> 0), at least a nanosecond unless it is zero already."""
        return type(self)(max(1, round(self.count / by)) if self.count else 0)


@dataclass(frozen=True, slots=True, order=True)
class ByteSize(_Quantity):
    """An amount of memory; ``count`` is in bytes.

    >>> ByteSize.parse("16KiB").bytes
    16384
    """

    UNITS: ClassVar[dict[str, int]] = {
        "B": 1,
        "kB": 10**3,
        "KiB": 2**10,
        "MB": 10**6,
        "MiB": 2**20,
        "GB": 10**9,
        "GiB": 2**30,
    }
    KIND: ClassVar[str] = "size"
    EXAMPLE: ClassVar[str] = '"64MiB" or "16KiB"'

    @classmethod
    def _hint(cls, number: str) -> str:
        return f'write "{number}MiB" for mebibytes or "{number}B" for bytes'

    @classmethod
    def _written(cls) -> list[tuple[str, int]]:
        return [(unit, cls.UNITS[unit]) for unit in ("GiB", "MiB", "KiB", "B")]

    @property
    def bytes(self) -> int:
        """The amount in bytes."""
        return self.count
