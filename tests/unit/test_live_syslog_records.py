"""A message of syslog is one record, whoever made it and whatever stands in it: the scanner itself is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from needles import needles
from tidegate.watch.live.syslog_records import Relays, hostname_of, is_prioritised, record_of, tidy_address

FORGED = b"<166>2026-11-25T12:17:14.610Z forged Hostd: info hostd[1] NEEDLE"
# What a forger would put into a message to have a part of it taken for another one.
PIECES = st.sampled_from(
    [
        *(b"\n", b"\r\n", b"\0", b"\r", b"\n\n", b"\n ", b"\n\t", b" ", b"-->", b"\n--> ", b"\x1b[0m", b"\xef\xbb\xbf"),
        *(b"NEEDLE ", b"x", b"<13>", b"<999>", b"64 ", b"%d " % len(FORGED), b"hostd.log:12:", b"12:", b"[+]", b"--\n"),
        FORGED,
        b"2026-11-25T12:17:14.610Z info hostd[7] [Originator@6876 sub=Default] NEEDLE",
        b"<14>1 2026-11-25T12:17:14Z forged vpxa 7 - - NEEDLE",
        b"Nov 25 12:17:14 forged vvold[7]: NEEDLE",
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_no_message_makes_two_records(message: bytes) -> None:
    data = record_of(message)
    found = needles(data)
    assert {hit["offset"] for hit in found} <= {0}
    assert bool(found) == (b"NEEDLE" in data)


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_no_message_becomes_part_of_the_one_before(message: bytes) -> None:
    before = record_of(b"<14>2026-11-25T12:17:14Z mine Hostd[7]: hello")
    data = record_of(message)
    if b"-->" not in data[:160] and b"[+" not in data[:160]:
        assert {hit["offset"] for hit in needles(before + data)} <= {len(before)}


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_become_whole_lines_within_bounds(message: bytes, goes_on: bool) -> None:
    data = record_of(message, goes_on=goes_on)
    assert len(data) <= 5 + 3 * len(message)
    assert b"\0" not in data
    if data:
        first, *others = data.removesuffix(b"\n").split(b"\n")
        assert first.startswith(b"-->") if goes_on else is_prioritised(first)
        assert all(line.startswith(b"-->") for line in others)


@pytest.mark.parametrize("message", [b"", b"\n", b" \r\n\0", b"\0\0"])
def test_nothing_said_is_no_record(message: bytes) -> None:
    assert record_of(message) == b""


@pytest.mark.parametrize(
    ("message", "host", "program", "time"),
    [
        (
            b"<166>2026-11-25T12:17:14.610Z esx1.lab Hostd: info hostd[2099] [Originator@6876 sub=Vimsvc] NEEDLE",
            "esx1.lab",
            "hostd",
            "2026-11-25T12:17:14.610000+00:00",
        ),
        (
            b"<14>1 2026-11-25T12:17:14.610+02:00 esx2.lab VVold 2255518 - - NEEDLE",
            "esx2.lab",
            "VVold",
            "2026-11-25T10:17:14.610000+00:00",
        ),
        (b"<13>Nov 24 12:00:01 esx3 vvold[77]: NEEDLE", "esx3", "vvold", "2026-11-24T12:00:01+00:00"),
        (
            b"<163>2026-11-25T12:17:14.610Z esx4 VVold[2255518]: [Originator@6876 sub=Default OpId=Session] NEEDLE",
            "esx4",
            "VVold",
            "2026-11-25T12:17:14.610000+00:00",
        ),
    ],
)
def test_host_program_and_time_are_read_as_they_came(message: bytes, host: str, program: str, time: str) -> None:
    (hit,) = needles(record_of(message))
    told = datetime.fromtimestamp(hit["time"] / 10**9, UTC).isoformat()
    assert (hit["host"], hit["program"], told) == (host, program, time)
    assert hostname_of(message) == host


def test_a_message_without_a_header_has_no_time_of_its_own() -> None:
    (hit,) = needles(record_of(b"NEEDLE"))
    assert (hit["time"], hit["host"]) == (None, None)


def test_lines_that_esxi_sends_by_themselves_are_one_record() -> None:
    head = b"<166>2026-11-25T12:17:14Z esx1 Hostd: "
    data = b"".join(map(record_of, (head + b"info hostd[7] Task failed: {", head + b"--> NEEDLE", head + b"--> }")))
    assert [hit["offset"] for hit in needles(data)] == [0]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"<13>",
        b"<14>1 2026-11-25T12:17:14Z - vpxa 7 - - x",
        b"<14>Nov 25 12:17:14 vvold[7]: x",
        b"<14>Nov 25 12:17:14 kernel: x",
        b"<14>2026-11-25T12:17:14Z Hostd: x",
        b"<14>x <14>Nov 25 12:17:14 forged vvold[7]: x",
        b"Nov 25 12:17:14 esx1 vvold[7]: x",
    ],
)
def test_a_header_without_a_hostname_has_none(message: bytes) -> None:
    assert hostname_of(message) == ""


def test_the_outer_hostname_is_the_relays_word_and_an_inner_one_is_text() -> None:
    outer = b"<14>1 2026-11-25T12:17:14Z esx7.lab vpxa 7 - - "
    assert hostname_of(outer + FORGED) == "esx7.lab"


def test_relays_are_networks_addresses_and_names() -> None:
    relays = Relays(["10.0.0.0/24", "192.0.2.7", "2001:db8::/64", "Relay.lab"])
    assert [relays.hold(address) for address in ("10.0.0.9", "10.0.1.9", "192.0.2.7", "2001:db8::1")] == [
        True,
        False,
        True,
        True,
    ]
    assert relays.hold("198.51.100.1", "relay.LAB")
    assert not relays.hold("198.51.100.1", "other.lab")
    assert not Relays([]).hold("198.51.100.1")


def test_addresses_are_written_as_people_do() -> None:
    assert [tidy_address(text) for text in ("::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1")] == [
        "10.0.0.1",
        "fe80::1",
        "10.0.0.1",
    ]
