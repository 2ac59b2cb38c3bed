"""Any text gives a reading or one sentence, and what is read is never lost: made-up lines, cut and mixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.make_ports import dumps
from tidegate.watch.ports import KINDS, as_json, kind_of, read_dump
from tidegate.watch.ports.text import address_of, endpoint_of, lines_of, number_of
from tidegate.watch.ports.tuples import Connection, Found, reading_of

IDS = [kind.id for kind in KINDS]
PIECES = sorted({line for text in dumps().values() for line in text.splitlines()[:30]})
WORDS = [
    "ESTAB",
    "LISTEN",
    "tcp",
    "|",
    "open_conns",
    "ip_addr",
    "::",
    "cx_active",
    "0",
    "-1",
    "99999999999999999999999",
    "*:*",
]
WORDS += [
    "10.0.0.1:80",
    "[::]:0",
    ":::",
    "0100007F:20FB",
    "01",
    "(tmm:",
    "0)",
    "01010201:2:",
    "held 5 messages",
    ",",
    "\t",
    "\r",
    "\x1b[",
]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "2001:db8::1"]
PORTS = [22, 443, 8443, 32_768, 40_000, 40_001, 60_999]

texts = st.one_of(
    st.text(max_size=400),
    st.lists(
        st.one_of(st.sampled_from(PIECES), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)), max_size=30
    ).map("\n".join),
)


@pytest.mark.parametrize("kind", IDS)
@given(text=texts, at=st.integers(0, 400), inserted=st.text(max_size=3))
def test_any_text(kind: str, text: str, at: int, inserted: str) -> None:
    text = text[:at] + inserted + text[at:]
    kind_of(text)
    try:
        reading = read_dump(kind, text)
    except ValueError as error:
        message = str(error)
        assert message.startswith("no ")
        assert "\n" not in message
        return
    assert reading.read == sum(bucket.counted for bucket in reading.buckets) + sum(reading.left_out.values())
    assert as_json(reading)["kind"] == kind


connections = st.builds(
    Connection,
    st.sampled_from(ADDRESSES),
    st.sampled_from(PORTS),
    st.sampled_from(ADDRESSES),
    st.sampled_from(PORTS),
    st.sampled_from(["ESTAB", "TIME-WAIT", "SYN-SENT", "UNSTATED"]),
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.integers(0, 10**9)),
)


@given(
    found=st.lists(connections, max_size=60),
    listening=st.sets(st.tuples(st.sampled_from(["*", *ADDRESSES]), st.sampled_from(PORTS))),
)
def test_connections_are_conserved(found: list[Connection], listening: set[tuple[str, int]]) -> None:
    reading = reading_of("ss", Found(connections=found, listening=listening))
    assert reading.read == len(found)
    assert reading.read == sum(bucket.connections for bucket in reading.buckets) + sum(reading.left_out.values())
    for bucket in reading.buckets:
        assert sum(bucket.by_state.values()) == bucket.connections
        assert bucket.idle is None or 0 <= bucket.idle <= bucket.connections
        assert bucket.ended_by_half is None or 0 <= bucket.ended_by_half <= bucket.connections
    assert sum(reading.sides.values()) == sum(bucket.connections for bucket in reading.buckets)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[2001:DB8:0:0::1]:80", ("2001:db8::1", 80)),
        ("2001:db8::1:80", ("2001:db8::1", 80)),
        ("[::ffff:10.0.0.1]:80", ("10.0.0.1", 80)),
        ("::ffff:10.0.0.1:80", ("10.0.0.1", 80)),
        ("[fe80::1]%eth0:80", ("fe80::1", 80)),
        ("*:80", ("*", 80)),
        (":::80", ("*", 80)),
        ("0.0.0.0:*", ("*", None)),
        ("10.0.0.1:65536", None),
        ("10.0.0.1:http", None),
        ("10.0.0.1", None),
        ("10.0.0.256:80", None),
        ("10.0.0.1:²", None),
        (":80", None),
    ],
)
def test_endpoints(text: str, end: tuple[str, int | None] | None) -> None:
    assert endpoint_of(text) == end


def test_words() -> None:
    assert [number_of(text) for text in ("7", " 7 ", "-7", "7.5", "\u0667", "9" * 20, "")] == [
        7,
        7,
        None,
        None,
        None,
        None,
        None,
    ]
    assert address_of("::ffff:0.0.0.0") == "*"
    assert list(lines_of("\ufeffa\x1b[31mb\x1b[0m \r\n\r\n \x00c\r")) == ["ab", " c"]
    assert [len(line) for line in lines_of("x" * 100_000)] == [8192]
