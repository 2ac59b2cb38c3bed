"""What happens to log records on their way: each way as a pure function from text to text.

Records are copied from terminals, mailed, escaped, relayed and written by another release than the one that a rule's
sample is from. A rule that finds only its pristine sample is of no use, so every positive test is run again under each
transform (``tidegate rules test``). A transform answers ``None`` where it makes no sense. Where each form was seen:
reference/logs.md §0.1.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tidegate.watch.headers import STAMP, Header, header_of

__all__ = ["TRANSFORMS", "Transform", "damaged"]


@dataclass(frozen=True, slots=True)
class Transform:
    """One way in which text is damaged.

    ``apply`` gets the text and what must stay as it is (literals); ``prose`` says whether it happens to the text of
    articles and mails too.
    """

    id: str
    says: str
    apply: Callable[[str, Sequence[str]], str | None]
    prose: bool = False


def damaged(text: str, literals: Sequence[str] = (), *, prose: bool = False) -> Iterator[tuple[Transform, str]]:
    """Yield every transform that makes sense for ``text``, and what it makes of it.

    Parameters
    ----------
    literals
        What the scanner searches for: kept as it is by the transform that changes white space.
    prose
        Whether ``text`` is from an article and no record.
    """
    for transform in TRANSFORMS:
        if prose and not transform.prose:
            continue
        changed = transform.apply(text, literals)
        if changed is not None and changed != text:
            yield transform, changed


def _greppable(text: str) -> bool:
    """Tell whether grep's prefixes can be told from the text: not twice, and not before a line without any mark."""
    first, *rest = text.split("\n")
    return not _NUMBER.match(first) and all(re.match(r"-->|\s|$", line) or header_of(line) for line in rest)


def _numbered(text: str, _: Sequence[str]) -> str | None:
    """Put ``grep -n -A`` numbers before the lines: ``:`` after the line that matched, ``-`` after what follows."""
    if not _greppable(text):
        return None
    lines = text.split("\n")
    return "\n".join(f"{25331 + n}{'-' if n else ':'}{line}" for n, line in enumerate(lines))


def _named(text: str, _: Sequence[str]) -> str | None:
    if not _greppable(text):
        return None
    lines = text.split("\n")
    return "\n".join(f"var/log/some-host/messages.log:{line}" for line in lines)


def _named_and_numbered(text: str, _: Sequence[str]) -> str | None:
    if not _greppable(text):
        return None
    lines = text.split("\n")
    return "\n".join(
        f"messages-12.log-{881 + n}-{line}" if n else f"messages-12.log:881:{line}" for n, line in enumerate(lines)
    )


def _crlf(text: str, _: Sequence[str]) -> str:
    return text.replace("\n", "\r\n") + "\r\n"


def _html(text: str, _: Sequence[str]) -> str | None:
    return html.escape(text, quote=True).replace("&#x27;", "&#39;")


def _json(text: str, _: Sequence[str]) -> str | None:
    return re.sub("[&<>]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _coloured(text: str, _: Sequence[str]) -> str:
    return "\n".join(f"\x1b[45m\x1b[33;1m{line}\x1b[0m" for line in text.split("\n"))


def _without_time(text: str, _: Sequence[str]) -> str | None:
    return re.sub(rf"(?m)^{STAMP}[ \t]+", "", text)


def _as_7(text: str, _: Sequence[str]) -> str | None:
    header = header_of(text)
    if header is None or header.style != "8" or header.marked:
        return None
    if header.program.lower() == "vmkernel":
        return f"{header.time} {header.body}"
    return _seven(header) + header.body


def _as_8(text: str, _: Sequence[str]) -> str | None:
    if kernel := re.match(rf"({STAMP}) (?=cpu\d+:)", text):
        return f"{kernel[1]} In(182) vmkernel: {text[kernel.end() :]}"
    header = header_of(text)
    return _eight(header) + header.body if header and header.style == "7" else None


def _seven(header: Header) -> str:
    return f"{header.time} {header.word} {header.program.lower()}{header.bracket} "


def _eight(header: Header, mark: str = "") -> str:
    return f"{header.time} {header.short}({header.priority}){mark} {header.program}{header.bracket}: "


def _plus(text: str, _: Sequence[str]) -> str | None:
    """Write ``--> `` continuations as ESXi 8 does: every line with a header of its own, marked ``[+]``."""
    header = header_of(text)
    lines = text.split("\n")
    if header is None or header.style not in {"7", "8"} or not any(line.startswith("-->") for line in lines[1:]):
        return None
    first, *rest = header.body.split("\n")
    marked = [_eight(header, "[+]") + re.sub(r"^--> ?", "", line) for line in rest]
    return "\n".join([_eight(header) + first, *marked])


def _arrows(text: str, _: Sequence[str]) -> str | None:
    """Write ``[+]`` continuations as older releases do: with ``--> `` and without a header."""
    lines = text.split("\n")
    headers = [header_of(line) for line in lines]
    if not any(header and header.marked for header in headers):
        return None
    return "\n".join(
        f"--> {header.body}" if header and header.marked else line for line, header in zip(lines, headers, strict=True)
    )


def _empty(text: str, _: Sequence[str]) -> str | None:
    """Leave the header's line without a body: vvold 7.x writes the message on the next line."""
    header = header_of(text)
    if header is None or header.style not in {"7", "8"} or header.marked:
        return None
    first, *rest = header.body.split("\n")
    tag, body = header.originator, first[len(header.originator) :].lstrip()
    if not body:
        return None
    head = (
        f"{header.time} {header.word} {header.program.lower()}{header.bracket} {tag or '[Originator@6876 sub=Default]'}"
    )
    return "\n".join([head, f"--> {body}", *(line if line.startswith("-->") else f"--> {line}" for line in rest)])


def _rfc3164(text: str, _: Sequence[str]) -> str | None:
    """Frame it as ESXi sends it: a priority, a time of RFC 3339, a host, the program as tag."""
    header = header_of(text)
    if header is None or header.style not in {"7", "8"} or header.marked:
        return None
    old = f"{header.word} {header.program.lower()}{header.bracket} " if header.style == "7" else ""
    tag = header.program if header.style == "7" else f"{header.program}{header.bracket}"
    return f"<{header.priority}>{header.time} esx-07.example {tag}: {old}{header.body}"


def _rfc5424(text: str, _: Sequence[str]) -> str | None:
    header = header_of(text)
    if header is None or header.style not in {"7", "8", "syslog"} or header.marked:
        return None
    return f"<{header.priority}>1 {header.time} esx-07.example {header.program} {header.pid or '-'} - - {header.body}"


def _octets(text: str, literals: Sequence[str]) -> str | None:
    """Count the octets of the frame, as RFC 6587 does on TCP; another frame follows."""
    frame = _rfc5424(text, literals)
    if frame is None:
        return None
    after = f"<166>1 2025-08-08T12:17:15.000Z esx-07.example Hostd 2098450 - - {_IDLE}"
    return "".join(f"{len(one.encode())} {one}" for one in (frame, after))


def _tabs(text: str, literals: Sequence[str]) -> str | None:
    """Turn tabs into spaces and spaces into tabs, in what is said and not in the header; literals stay."""
    header = header_of(text)
    body = header.body[len(header.originator) :] if header else text
    kept = "|".join(re.escape(literal) for literal in sorted(literals, key=len, reverse=True))
    parts = re.split(f"({kept})", body) if kept else [body]
    swapped = (part if n % 2 else part.translate({9: " ", 32: "\t"}) for n, part in enumerate(parts))
    marks = re.sub(r"(?m)^-->\t", "--> ", "".join(swapped))
    return text[: len(text) - len(body)] + marks


def _interleaved(text: str, _: Sequence[str]) -> str | None:
    """Put a record of the same program and another process between the first line and the rest, and around them."""
    header = header_of(text)
    if header is None or header.style not in {"7", "8"} or header.marked:
        return None
    pid = "2099999" if header.pid else ""
    other = Header(header.style, header.time, header.word, header.program, pid, _IDLE)
    line = (_eight(other) if header.style == "8" else _seven(other)) + _IDLE
    first, *rest = text.split("\n")
    return "\n".join([line, first, line, *rest, line] if rest else [line, first, line])


def _plus_interleaved(text: str, literals: Sequence[str]) -> str | None:
    marked = _plus(text, literals) or (text if "[+]" in text else None)
    return _interleaved(marked, literals) if marked else None


def _other_case(text: str, _: Sequence[str]) -> str | None:
    header = header_of(text)
    if header is None or not header.program:
        return None
    name = header.program.lower() if header.program != header.program.lower() else header.program.capitalize()
    head = text[: len(text) - len(header.body)]
    return head.replace(header.program, name, 1) + header.body


_NUMBER = re.compile(r"\d+[:-](?=\d{4}-\d\d-)")
_IDLE = "[Originator@6876 sub=ThreadPool] Thread enlisted"
"""What the record beside it says."""

TRANSFORMS: tuple[Transform, ...] = (
    Transform("no-time", "the time is lost", _without_time),
    Transform("grep-n", "numbers of grep -n before the lines", _numbered, prose=True),
    Transform("grep-file", "the file's name before the lines", _named, prose=True),
    Transform("grep-file-n", "the file's name and numbers before the lines", _named_and_numbered, prose=True),
    Transform("crlf", "lines end as on Windows", _crlf, prose=True),
    Transform("html", "escaped for HTML", _html, prose=True),
    Transform("json", "escaped for JSON in a page", _json, prose=True),
    Transform("colour", "with the colours of a terminal", _coloured, prose=True),
    Transform("as-7", "the header of release 7 and older", _as_7),
    Transform("as-8", "the header of release 8", _as_8),
    Transform("plus", "continuations marked [+]", _plus),
    Transform("arrows", "continuations marked -->", _arrows),
    Transform("empty-body", "a header without a body, the message on the next line", _empty),
    Transform("rfc3164", "as ESXi sends it over UDP", _rfc3164),
    Transform("rfc5424", "in a frame of RFC 5424", _rfc5424),
    Transform("octets", "in counted frames of RFC 5424", _octets),
    Transform("tabs", "tabs for spaces and spaces for tabs", _tabs, prose=True),
    Transform("interleaved", "a record of another process between the lines", _interleaved),
    Transform("plus-interleaved", "a record of another process between lines marked [+]", _plus_interleaved),
    Transform("case", "the program's name in the other case", _other_case),
)
"""Every transform, in the order in which they are tried."""
