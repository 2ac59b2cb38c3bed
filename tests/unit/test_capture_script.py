"""Packets written as lines: what they say, the capture that they make, and what is refused in one sentence."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.capture.script import as_capture, read_script

HANDSHAKE = """\
0s     client S   seq 1000
200us  server SA  seq 7000 ack 1001

1ms    client PA  seq 1001 ack 7001 data 160301 ttl 9 win 7 id 5
"""


def records(capture: bytes) -> list[tuple[int, bytes]]:
    """Return the records of a pcap with times in nanoseconds: when, and the packet."""
    found, at = [], 24
    while at < len(capture):
        seconds, nanoseconds, kept, whole = struct.unpack_from("<IIII", capture, at)
        assert kept == whole
        found.append((seconds * 10**9 + nanoseconds, capture[at + 16 : at + 16 + kept]))
        at += 16 + kept
    return found


def test_lines_are_packets() -> None:
    first, second, third = read_script(HANDSHAKE)
    assert (first.at, first.from_client, first.flags, first.numbers) == (0, True, 2, {"seq": 1000})
    assert (second.at, second.from_client, second.flags) == (200_000, False, 0x12)
    assert (third.at, third.flags, third.data) == (1_200_000, 0x18, b"\x16\x03\x01")


def test_a_capture_of_them() -> None:
    capture = as_capture(read_script(HANDSHAKE))
    assert capture[:4] == b"\x4d\x3c\xb2\xa1"
    packets = records(capture)
    assert [at - packets[0][0] for at, _ in packets] == [0, 200_000, 1_200_000]
    last = packets[-1][1]
    assert (last[0], last[8], last[9]) == (0x45, 9, 6)
    assert struct.unpack_from(">H", last, 4) == (5,)
    assert struct.unpack_from(">HHII", last, 20) == (40_001, 443, 1001, 7001)
    assert (last[33], struct.unpack_from(">H", last, 34), last[40:]) == (0x18, (7,), b"\x16\x03\x01")


@pytest.mark.parametrize(("by", "ports", "clients"), [("port", [9, 10], [1, 1]), ("host", [9, 9], [1, 2])])
def test_each_time_is_another_client(by: str, ports: list[int], clients: list[int]) -> None:
    lines = read_script("0s client S\n3s client A")
    packets = records(as_capture(lines, times=2, every=10**9, port=9, by=by))  # type: ignore[arg-type]
    assert [at - packets[0][0] for at, _ in packets] == [0, 10**9, 3 * 10**9, 4 * 10**9]
    assert [struct.unpack_from(">H", packet, 20)[0] for _, packet in packets] == ports * 2
    assert [packet[15] for _, packet in packets] == clients * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0s client", "a packet is AFTER"),
        ("0s client S seq", "a packet is AFTER"),
        ("0s client S\n0s me S", 'line 2 of the packets: "me" sends it'),
        ("0s client SYN", '"SYN" are no flags'),
        ("5 client S", "is not a duration"),
        ("0s client S age 3", 'there is no "age"'),
        ("0s client S seq -1", "seq -1 is out of range"),
        ("0s client S seq 4294967296", "out of range: 0 to 4294967295"),
        ("0s client S len 1401", "out of range: 0 to 1400"),
        ("0s client S data xy", "line 1 of the packets: non-hexadecimal"),
    ],
)
def test_what_is_no_packet(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"line \d of the packets") as caught:
        read_script(text)
    assert words in str(caught.value)


@given(st.text(alphabet="0123456789smu client\nrvSAFRP-eqkdaxlw", max_size=80))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        lines = read_script(text)
    except ValueError as error:
        lines, said = [], str(error)
    else:
        said = "read"
    assert said == "read" or "of the packets:" in said
    assert len(records(as_capture(lines))) == len(lines)
