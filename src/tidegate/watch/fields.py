"""What the parts of a rule are made of: identifiers, regexes, durations, dates, addresses, version texts.

Each checks itself in one sentence, and says what it is in the JSON Schema.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StrictBool, StrictInt, StringConstraints, WithJsonSchema

from tidegate.config.fields import refuse
from tidegate.units import Duration
from tidegate.versions import Range, Version

__all__ = ["article", "date", "identifier", "span", "url", "versions"]

_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_ID = rf"^{_NAME}(?:\.{_NAME})*$"


def identifier(value: str) -> str:
    """Check the id of a rule: words of small letters, digits and dashes, with dots between them."""
    if not re.fullmatch(_ID, value) or len(value) > 100:
        hint = "use words of a-z, 0-9 and dash with dots between them: vmware.vcenter.nfc-not-authenticated"
        raise refuse(value, f'"{value}" is not an id', hint)
    return value


def _name(value: str) -> str:
    if not re.fullmatch(_NAME, value) or len(value) > 60:
        raise refuse(value, f'"{value}" may not stand here', "use a-z, 0-9 and dash")
    return value


def span(value: Duration) -> Duration:
    """Check how long a window or a pause is: more than nothing, at most a day."""
    if not 0 < value.count <= Duration.parse("24h").count:
        raise refuse(str(value), f"{value} is out of range", "write more than 0s and at most 24h")
    return value


def article(value: object) -> object:
    """Take the number of an article as a number or as a text of digits."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[1-9]\d{2,9}", text):
        raise refuse(str(value), f'"{value}" is not the number of an article', "write its digits: 440879")
    return text


def date(value: str) -> str:
    """Check a day, ``2026-11-25``."""
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        raise refuse(value, f'"{value}" is not a day', "write it as 2026-11-25") from None
    return value


def url(value: str) -> str:
    """Check an address on the web."""
    if not re.fullmatch(r"https?://[^\s/]+\.[^\s/]+(?:/\S*)?", value):
        raise refuse(value, f'"{value}" is not an address on the web', "write https://HOST/PATH")
    return value


def versions(value: str) -> str:
    """Check conditions on versions: one exactly (``4.1.2.1``), ``>=8.0 <9.0``, or a line of them (``8.x``)."""
    try:
        Range(value).parts()
    except ValueError as error:
        raise refuse(value, str(error), 'write for example "4.1.2.1", "7.0U3", "8.x" or ">=8.0 <9.0"') from None
    return value


def _version(value: str) -> str:
    try:
        Version.parse(value)
    except ValueError as error:
        raise refuse(value, str(error), 'write for example "4.1.2.3", "7.0U3" or "8.0 Update 3h"') from None
    return value


def _branch(value: str) -> str:
    if not re.fullmatch(r"\d{1,4}(?:\.\d{1,4}){0,4}", value):
        raise refuse(value, f'"{value}" is not a branch', 'write the numbers that its versions begin with: "4.1"')
    return value


def _text(value: str) -> str:
    if not value.strip():
        raise refuse(value, "an empty text says nothing", "leave the key out, or write a sentence")
    return value


def _needle(value: str) -> str:
    if not 4 <= len(value.encode()) <= 1024 or re.search(r"[\n\r\0]", value):
        hint = "choose 10 bytes or more of one line, the rarest that every record of it holds"
        raise refuse(value, "a literal has 4 to 1024 bytes, and no end of a line", hint)
    return value


def _whole(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise refuse(str(value), f"{value} is a number, and a text stands here", f'put it in quotes: "{value}"')
    return value


Id = Annotated[str, AfterValidator(identifier), WithJsonSchema({"type": "string", "pattern": _ID, "maxLength": 100})]
Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$", "maxLength": 60})
]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Text = Annotated[
    str, BeforeValidator(_whole), AfterValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})
]
Needle = Annotated[
    str, BeforeValidator(_whole), AfterValidator(_needle), WithJsonSchema({"type": "string", "minLength": 4})
]
Regex = Annotated[str, AfterValidator(_text), WithJsonSchema({"type": "string", "format": "regex", "minLength": 1})]
Article = Annotated[
    str, BeforeValidator(article), WithJsonSchema({"type": ["integer", "string"], "pattern": r"^[1-9]\d{2,9}$"})
]
Date = Annotated[str, AfterValidator(date), WithJsonSchema({"type": "string", "format": "date"})]
Url = Annotated[str, AfterValidator(url), WithJsonSchema({"type": "string", "format": "uri"})]
_DURATION = {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*(ns|us|ms|s|m|h|d)\s*)+$"}
Span = Annotated[Duration, AfterValidator(span), WithJsonSchema(_DURATION)]
Versions = Annotated[str, BeforeValidator(_whole), AfterValidator(versions), WithJsonSchema({"type": "string"})]
OneVersion = Annotated[str, BeforeValidator(_whole), AfterValidator(_version), WithJsonSchema({"type": "string"})]
Branch = Annotated[str, BeforeValidator(_whole), AfterValidator(_branch), WithJsonSchema({"type": "string"})]
Flag = StrictBool
Count = StrictInt
