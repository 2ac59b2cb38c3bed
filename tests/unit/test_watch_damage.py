"""What happens to logs on their way: each transform does what it says, and nothing where that makes no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.damage import TRANSFORMS, damaged
from tidegate.watch.headers import header_of

TIME = "2025-08-08T12:17:14.610Z"
EIGHT = f"{TIME} Er(163) VVold[2255518]: [Originator@6876 sub=Default] setContext <a & b> failed"
SEVEN = f"""{TIME} info vpxd[4085937] [Originator@6876 sub=vmomi.soapStub[77] opID=7a] SOAP failure {{
-->    msg = "not authenticated"
--> }}"""
KERNEL = f"{TIME} cpu3:2097700 opID=5f)World: 12077: maps"
SYSLOG = "Aug  8 12:00:10 lb-1 haproxy[1201]: backend be has no server available!"
IDLE = "[Originator@6876 sub=ThreadPool] Thread enlisted"


def under(name: str, text: str, *literals: str) -> str | None:
    return {transform.id: changed for transform, changed in damaged(text, literals)}.get(name)


@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("no-time", EIGHT, EIGHT.removeprefix(f"{TIME} ")),
        ("no-time", SYSLOG, SYSLOG.removeprefix("Aug  8 12:00:10 ")),
        ("grep-n", "a\n--> b", "25331:a\n25332---> b"),
        ("grep-n", "a\nb", None),
        ("grep-n", f"25331:{EIGHT}", None),
        ("grep-file", "a\n b", "var/log/some-host/messages.log:a\nvar/log/some-host/messages.log: b"),
        ("grep-file-n", "a\n b", "messages-12.log:881:a\nmessages-12.log-882- b"),
        ("crlf", "a\nb", "a\r\nb\r\n"),
        ("html", "<a & 'b'>", "&lt;a &amp; &#39;b&#39;&gt;"),
        ("html", "a", None),
        ("json", "<a & b>", r"\u003ca \u0026 b\u003e"),
        ("colour", "a\nb", "\x1b[45m\x1b[33;1ma\x1b[0m\n\x1b[45m\x1b[33;1mb\x1b[0m"),
        ("as-7", EIGHT, EIGHT.replace("Er(163) VVold[2255518]:", "error vvold[2255518]")),
        ("as-7", SEVEN, None),
        ("as-8", SEVEN, SEVEN.replace("info vpxd[4085937]", "In(166) vpxd[4085937]:")),
        ("as-8", KERNEL, KERNEL.replace(TIME, f"{TIME} In(182) vmkernel:")),
        ("as-7", KERNEL.replace(TIME, f"{TIME} In(182) vmkernel:"), KERNEL),
        ("as-8", SYSLOG, None),
        ("plus", SEVEN, "\n".join([
            f"{TIME} In(166) vpxd[4085937]: [Originator@6876 sub=vmomi.soapStub[77] opID=7a] SOAP failure {{",
            f'{TIME} In(166)[+] vpxd[4085937]:    msg = "not authenticated"',
            f"{TIME} In(166)[+] vpxd[4085937]: }}"])),
        ("plus", EIGHT, None),
        ("arrows", f"{TIME} In(14) a[1]: b\n{TIME} In(14)[+] a[1]: c", f"{TIME} In(14) a[1]: b\n--> c"),
        ("arrows", EIGHT, None),
        ("empty-body", EIGHT,
         f"{TIME} error vvold[2255518] [Originator@6876 sub=Default]\n--> setContext <a & b> failed"),
        ("rfc3164", EIGHT, f"<163>{TIME} esx-07.example {EIGHT.removeprefix(TIME + ' Er(163) ')}"),
        ("rfc3164", SEVEN, f"<166>{TIME} esx-07.example vpxd: {SEVEN.removeprefix(TIME + ' ')}"),
        ("rfc5424", EIGHT,
         f"<163>1 {TIME} esx-07.example VVold 2255518 - - [Originator@6876 sub=Default] setContext <a & b> failed"),
        ("rfc5424", SYSLOG, f"<166>1 {TIME} esx-07.example haproxy 1201 - - backend be has no server available!"),
        ("tabs", "a b\tc", "a\tb c"),
        ("interleaved", SYSLOG, None),
        ("case", EIGHT, EIGHT.replace("VVold", "vvold")),
        ("case", SEVEN, SEVEN.replace("vpxd", "Vpxd", 1)),
        ("case", "no header", None),
    ],
)  # fmt: skip
def test_transform(name: str, text: str, changed: str | None) -> None:
    assert under(name, text) == changed


def test_white_space_changes_around_literals_and_behind_the_header() -> None:
    text = f"{TIME} info vpxd[4] [Originator@6876 sub=a opID=b] one two three four\n-->    five six"
    changed = f"{TIME} info vpxd[4] [Originator@6876 sub=a opID=b]\tone\ttwo three\tfour\n--> \t\t\tfive\tsix"
    assert under("tabs", text, "two three") == changed


def test_octets_are_counted_in_bytes() -> None:
    frames = under("octets", EIGHT.replace("failed", "fäiled"))
    assert frames is not None
    count, _, rest = frames.encode().partition(b" ")
    frame, after = rest[: int(count)], rest[int(count) :]
    assert frame.decode().endswith("fäiled")
    length, _, tail = after.partition(b" ")
    assert len(tail) == int(length)
    assert tail.decode().endswith(IDLE)


def test_another_process_comes_between_the_lines() -> None:
    changed = under("interleaved", SEVEN)
    assert changed is not None
    first, *rest = SEVEN.split("\n")
    other = f"{TIME} info vpxd[2099999] {IDLE}"
    assert changed.split("\n") == [other, first, other, *rest, other]
    marked = under("plus-interleaved", SEVEN)
    assert marked is not None
    assert marked.count("[+]") == 2
    assert marked.count("2099999") == 3


def test_prose_is_not_given_headers() -> None:
    kinds = {transform.id for transform, _ in damaged(EIGHT, prose=True)}
    assert kinds == {transform.id for transform in TRANSFORMS if transform.prose}
    assert "rfc5424" not in kinds


def test_every_transform_has_a_name_of_its_own() -> None:
    assert len({transform.id for transform in TRANSFORMS}) == len(TRANSFORMS) == 20
    assert all(transform.says for transform in TRANSFORMS)


def test_headers() -> None:
    header = header_of(SEVEN)
    assert header is not None
    assert (header.style, header.word, header.program, header.pid) == ("7", "info", "vpxd", "4085937")
    assert header.originator == "[Originator@6876 sub=vmomi.soapStub[77] opID=7a]"
    assert (header.short, header.priority) == ("In", 166)
    assert header_of("Panic Message: @BlueScreen: line 12464 assert") is None


@given(st.text(max_size=200), st.text(min_size=1, max_size=10))
def test_any_text_can_be_damaged(text: str, literal: str) -> None:
    for transform, changed in damaged(text, [literal]):
        assert changed != text
        if transform.id == "tabs":
            assert changed.translate({9: 32}) == text.translate({9: 32})
