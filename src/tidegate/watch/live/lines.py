"""Text as it grows, cut where records end. Pure: what a file has is given, what may be handed on is returned.

A record may go on in lines that are not written yet, so the last one is held back until the next begins, or until
nothing came for a second, or until its file has ended. A record begins with a line that has a time; in a text without
times with any line that is neither set in nor begins with ``-->``. The scanner's grammar is wider; where this one is
wrong, a record is held back a second, or is cut where nobody writes on within a second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.watch.headers import STAMP

__all__ = ["Cut", "cut", "last_record"]

BATCH = 1 << 20
"""Bytes that are read, and handed on, at a time."""
LINE = 256 << 10
"""Bytes of a line that are read; the scanner looks at 64 KiB around a literal."""
_LINES = 400
"""Lines of a record, as the scanner has it."""
_BEGIN = re.compile(
    rf"(?:<\d{{1,3}}>(?:\d )?)?(?:\d+[:-](?=\d{{4}}-))?\[?(?:{STAMP}"
    r"|(?:panic|crit|alert|error|warning|notice|info|verbose|trivia|debug) [\w-]+\[\w+\] )".encode()
)
_GOES_ON = re.compile(rb"[^\n]{0,120}?\(\d+\)(?:\[\+\]|\+) ")
"""What ESXi marks the second and later lines of a record with."""
_INSIDE = (b"-->", b" ", b"\t")


@dataclass(frozen=True, slots=True)
class Cut:
    """What may be handed on.

    ``data`` are whole lines, ``used`` how many bytes of the text they are (a line feed is added where it is missing,
    and what is left of a long line is passed over). ``inside``: the rest of a long line is to be passed over next.
    ``long`` is where in the text a line begins that is too long.
    """

    data: bytes = b""
    used: int = 0
    inside: bool = False
    long: int | None = None


def cut(text: bytes, *, inside: bool = False, more: bool = False, ended: bool = False, quiet: bool = False) -> Cut:
    """Return what of ``text`` may be handed on.

    Parameters
    ----------
    text
        What follows on what was handed on before; at most :data:`BATCH` bytes.
    inside
        It begins inside a line that is too long.
    more
        There is more text behind it already.
    ended
        Nothing will ever follow.
    quiet
        Nothing came for a second.
    """
    if inside:
        end = text.find(b"\n") + 1
        return Cut(used=end or len(text), inside=not end and not ended)
    long = _long_line(text)
    if long is not None:
        return Cut(text[: long + LINE] + b"\n", long + LINE, inside=True, long=long)
    end = text.rfind(b"\n") + 1
    if ended and not more:
        return Cut(text + b"\n" if end < len(text) else text, len(text))
    if more or not quiet:
        begin = min(last_record(text), end)
        # More than a record can be: it is handed on as it is.
        end = begin if begin or not more else end
    return Cut(text[:end], end)


def _long_line(text: bytes) -> int | None:
    """Return where the first line begins that has more than :data:`LINE` bytes so far."""
    begin = 0
    while len(text) - begin > LINE:
        end = text.rfind(b"\n", begin, begin + LINE + 1)
        if end < 0:
            return begin
        begin = end + 1
    return None


def last_record(text: bytes) -> int:
    """Return where the last record of ``text`` begins; 0 when that is not known."""
    end, other = len(text.removesuffix(b"\n")), 0
    for _ in range(_LINES):
        begin = text.rfind(b"\n", 0, end) + 1
        if _BEGIN.match(text, begin) and not _GOES_ON.match(text, begin):
            return begin
        if not other and not text.startswith(_INSIDE, begin):
            other = begin
        if not begin:
            break
        end = begin - 1
    return other
