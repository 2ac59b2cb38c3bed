"""Just enough of VMware's and syslog's record headers to write a test's text anew (reference/logs.md §0.1).

Logs themselves are read by the compiled scanner, whose grammar is far wider.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Header", "header_of"]

STAMP = (
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d:\d\d)"
)
"""A time as records begin with it."""

_SHORT = {
    "panic": ("Em", 0), "alert": ("Al", 1), "crit": ("Cr", 2), "error": ("Er", 3), "warning": ("Wa", 4),
    "notice": ("No", 5), "info": ("In", 6), "verbose": ("Db", 7), "trivia": ("Db", 7), "debug": ("Db", 7),
}  # fmt: skip
_WORD = {
    "Em": "panic",
    "Al": "alert",
    "Cr": "crit",
    "Er": "error",
    "Wa": "warning",
    "No": "notice",
    "In": "info",
    "Db": "verbose",
}
_GREP = r"(?:\d+[:-](?=\d{4}-))?"
_EIGHT = re.compile(
    rf"{_GREP}(?P<time>{STAMP}) (?P<severity>Em|Al|Cr|Er|Wa|No|In|Db)\(\d+\)(?P<mark>\[\+\]|\+)?"
    r" (?P<program>[\w.-]+)(?:\[(?P<pid>\w+)\])?: +"
)
_SEVEN = re.compile(
    rf"{_GREP}(?:(?P<time>{STAMP}) )?(?P<severity>panic|crit|alert|error|warning|notice|info|verbose|trivia|debug)"
    r" (?P<program>[\w-]+)\[(?P<pid>\w+)\] "
)
_SYSLOG = re.compile(rf"(?P<time>{STAMP}) (?P<host>[\w.-]+) (?P<program>[\w./-]+)(?:\[(?P<pid>\d+)\])?: ")
_LOST = "2025-08-08T12:17:14.610Z"
"""The time of a record that has lost its own."""
_LOCAL4 = 20 << 3


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a record, and its body: everything after it, the other lines too.

    ``style`` is the release that writes such headers, or ``syslog``; ``word`` is the severity as release 7 writes it.
    """

    style: Literal["7", "8", "syslog"]
    time: str
    word: str
    program: str
    pid: str
    body: str
    marked: bool = False

    @property
    def originator(self) -> str:
        """The structured data at the beginning of the body; its values may hold brackets."""
        found = re.match(r"\[\w+@\d+ (?:[^\[\]]|\[[^\]]*\])*\]", self.body)
        return found[0] if found else ""

    @property
    def bracket(self) -> str:
        """The process id as headers have it."""
        return f"[{self.pid}]" if self.pid else ""

    @property
    def short(self) -> str:
        """The severity as release 8 writes it."""
        return _SHORT[self.word][0]

    @property
    def priority(self) -> int:
        """The syslog priority, of facility local4."""
        return _LOCAL4 + _SHORT[self.word][1]


def header_of(text: str) -> Header | None:
    """Return the header at the beginning of ``text``, or ``None`` when none of these forms is there."""
    if found := _EIGHT.match(text):
        word = _WORD[found["severity"]]
        return Header(
            "8", found["time"], word, found["program"], found["pid"] or "", text[found.end() :], bool(found["mark"])
        )
    if found := _SEVEN.match(text):
        time = found["time"] or _LOST
        return Header("7", time, found["severity"], found["program"], found["pid"], text[found.end() :])
    if found := _SYSLOG.match(text):
        time = found["time"] if found["time"][0].isdigit() else _LOST
        return Header(
            "syslog", time, "info", found["program"].rpartition("/")[2], found["pid"] or "", text[found.end() :]
        )
    return None
