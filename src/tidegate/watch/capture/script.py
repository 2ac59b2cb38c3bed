"""Packets written as lines, played into a capture: how rules about captures are tested.

One line is one packet: how long after the line before it, who sends it, its flags, and what else is to be said::

    0s     client S   seq 1000
    200us  server SA  seq 7000 ack 1001
    200us  client A   seq 1001 ack 7001
    1ms    client PA  seq 1001 ack 7001 data 160301

Flags are letters of ``FSRPA``, or ``-``. Then come pairs in any order: ``seq``, ``ack``, ``win``, ``ttl``, ``id``, and
``len`` (bytes of zeros) or ``data`` (in hexadecimal). What is not said is 0, but for ``win`` (64240), ``ttl`` (64) and
``id`` (the number of the packet). Played several times, each time is another client's: its port is one higher, or the
last numbers of its address.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tidegate.units import Duration

__all__ = ["PACKETS_MAX", "ScriptLine", "as_capture", "read_script"]

PACKETS_MAX = 200_000
"""The most packets that a script may come to, all its times together."""

_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
_NUMBERS = {"seq": 2**32 - 1, "ack": 2**32 - 1, "win": 65_535, "ttl": 255, "id": 65_535, "len": 1_400}
_CLIENT, _SERVER, _SERVER_PORT = 0x0A000001, 0x0A800001, 443
"""10.0.0.1 and 10.128.0.1."""
_BEGIN_NS = 1_772_600_000 * 10**9
"""When scripts are played: 2026-03-04, near 05:00 in UTC."""
_FILE = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65_535, 101)
"""Head of a pcap with times in nanoseconds and packets of IP."""


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One packet: nanoseconds after the beginning, who sends it, the byte of its flags, its numbers and its data."""

    at: int
    from_client: bool
    flags: int
    numbers: dict[str, int] = field(default_factory=dict)
    data: bytes = b""


def read_script(text: str) -> list[ScriptLine]:
    """Return the packets of a script.

    Raises
    ------
    ValueError
        With one sentence that names the line.
    """
    lines, at = [], 0
    for number, words in enumerate((line.split() for line in text.splitlines()), start=1):
        if not words:
            continue
        try:
            line = _line(words, at)
        except ValueError as error:
            raise ValueError(f"line {number} of the packets: {error}") from None
        at = line.at
        lines.append(line)
    return lines


def _line(words: list[str], before: int) -> ScriptLine:
    if len(words) < 3 or len(words) % 2 == 0:
        raise ValueError("a packet is AFTER, client or server, FLAGS, and pairs like: seq 1000")
    after, sender, letters, *rest = words
    if sender not in ("client", "server"):
        raise ValueError(f'"{sender}" sends it, and there are client and server')
    if letters != "-" and not set(letters) <= set(_FLAGS):
        raise ValueError(f'"{letters}" are no flags: use letters of FSRPA, or -')
    numbers, data = {}, b""
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        if name == "data":
            data = bytes.fromhex(value)
        elif name not in _NUMBERS:
            raise ValueError(f'there is no "{name}": use one of {", ".join([*_NUMBERS, "data"])}')
        elif not value.isdecimal() or int(value) > _NUMBERS[name]:
            raise ValueError(f"{name} {value} is out of range: 0 to {_NUMBERS[name]}")
        else:
            numbers[name] = int(value)
    flags = 0 if letters == "-" else sum(_FLAGS[letter] for letter in set(letters))
    data = data or bytes(numbers.pop("len", 0))
    return ScriptLine(before + Duration.parse(after).count, sender == "client", flags, numbers, data)


def as_capture(
    lines: Iterable[ScriptLine],
    *,
    times: int = 1,
    every: int = 0,
    port: int = 40_001,
    by: Literal["port", "host"] = "port",
) -> bytes:
    """Return a pcap of the packets.

    Parameters
    ----------
    times
        How often they are played, one time after another begins ``every`` nanoseconds later.
    port
        The client's, the first time.
    by
        What each time has of its own: a port, or an address.
    """
    lines = list(lines)
    plays = (_play(lines, index, index * every, port, by) for index in range(times))
    packets = heapq.merge(*plays, key=lambda packet: packet[0])
    return _FILE + b"".join(_record(number, *packet) for number, packet in enumerate(packets, start=1))


def _play(
    lines: list[ScriptLine], index: int, later: int, port: int, by: str
) -> Iterator[tuple[int, int, int, ScriptLine]]:
    client, port = (_CLIENT + index, port) if by == "host" else (_CLIENT, port + index)
    return ((line.at + later, client, port, line) for line in lines)


def _record(number: int, at: int, client: int, port: int, line: ScriptLine) -> bytes:
    ends = ((client, port), (_SERVER, _SERVER_PORT))
    (source, source_port), (target, target_port) = ends if line.from_client else ends[::-1]
    said = line.numbers.get
    ports = (source_port, target_port)
    numbers = (said("seq", 0), said("ack", 0), 5 << 4, line.flags, said("win", 64_240), 0, 0)
    tcp = struct.pack(">HHIIBBHHH", *ports, *numbers)
    whole = 20 + len(tcp) + len(line.data)
    ip = struct.pack(
        ">BBHHHBBHII", 0x45, 0, whole, said("id", number & 0xFFFF), 0, said("ttl", 64), 6, 0, source, target
    )
    seconds, nanoseconds = divmod(_BEGIN_NS + at, 10**9)
    return struct.pack("<IIII", seconds, nanoseconds, whole, whole) + ip + tcp + line.data
