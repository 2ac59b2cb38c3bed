"""All captures as one, so that one run of another program judges all of them.

Every TCP packet of each capture is there, with addresses that no other capture has, read without any code of
tidegate. Which host is which stays known (`Replay.names`), and the order of frames is kept.
"""

from __future__ import annotations

import ipaddress
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flows.world import checksum

__all__ = ["CAPTURES", "Packet", "Replay"]

_HERE = Path(__file__).resolve().parents[1]
_FOLDERS = (
    _HERE / "data" / "captures" / "truth",
    _HERE / "data" / "captures" / "zeek-tcp",
    _HERE.parent / "crates" / "tidegate-scan" / "tests" / "data" / "captures",
)
CAPTURES: tuple[Path, ...] = tuple(
    sorted(file for folder in _FOLDERS for file in folder.iterdir() if file.suffix in {".pcap", ".pcapng"})
)
_TCP = socket.IPPROTO_TCP
# Bytes before the IP header, by link type: Ethernet, raw IP (two numbers), raw IPv4.
_LINKS = {1: 14, 12: 0, 101: 0, 228: 0}
# IPv6 headers that may stand before TCP: hop by hop, routing, destination options. (No capture has IPv6 fragments.)
_EXTENSIONS = {0, 43, 60}


@dataclass(frozen=True)
class Packet:
    """One TCP packet, or a fragment of one: its capture, its frame there, its bytes from the IP header on."""

    capture: str
    frame: int
    ip: bytes


@dataclass
class Replay:
    """Packets of many captures."""

    files: Iterable[Path]
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    """New address -> capture and address there."""
    _new: dict[tuple[str, str], str] = field(default_factory=dict)

    @cached_property
    def packets(self) -> list[Packet]:
        """All packets in order, with new addresses."""
        return [packet for number, file in enumerate(self.files, 1) for packet in self._of(file, number)]

    def write(self, target: Path) -> None:
        """Write them as one pcap of raw IP."""
        parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101)]
        for second, packet in enumerate(self.packets):
            parts += [struct.pack("<IIII", second, 0, len(packet.ip), len(packet.ip)), packet.ip]
        target.write_bytes(b"".join(parts))

    def _of(self, file: Path, number: int) -> Iterator[Packet]:
        for frame, ip in enumerate(_frames(file), 1):
            renamed = self._renamed(ip, file.name, number)
            if renamed:
                yield Packet(file.name, frame, renamed)

    def _renamed(self, ip: bytes, capture: str, number: int) -> bytes | None:
        """Return the packet with new addresses, as long as its header says; None if it is no whole TCP."""
        if len(ip) >= 40 and ip[0] >> 4 == 4 and ip[9] == _TCP:
            length, header = struct.unpack_from("!H", ip, 2)[0], 4 * (ip[0] & 15)
            head = bytearray(ip[:header])
            head[8], head[10:12] = 64, b"\0\0"
            head[12:20] = self._give(ip[12:16], capture, number) + self._give(ip[16:20], capture, number)
            head[10:12] = struct.pack("!H", checksum(bytes(head)))
            return bytes(head) + ip[header:length].ljust(length - header, b"\0")
        if len(ip) >= 60 and ip[0] >> 4 == 6 and _carries_tcp(ip):
            length = 40 + struct.unpack_from("!H", ip, 4)[0]
            head = bytearray(ip[:40])
            head[7] = 64
            head[8:40] = self._give(ip[8:24], capture, number) + self._give(ip[24:40], capture, number)
            return bytes(head) + ip[40:length].ljust(length - 40, b"\0")
        return None

    def _give(self, address: bytes, capture: str, number: int) -> bytes:
        old = str(ipaddress.ip_address(address))
        if (capture, old) not in self._new:
            host = 1 + sum(name == capture for name, _ in self._new)
            new = f"10.{number}.{host >> 8}.{host & 255}" if len(address) == 4 else f"fd00:{number:x}::{host:x}"
            self._new[capture, old] = new
            self.names[new] = (capture, old)
        return ipaddress.ip_address(self._new[capture, old]).packed


def _carries_tcp(ip: bytes) -> bool:
    kind, at = ip[6], 40
    while kind in _EXTENSIONS and at + 8 <= len(ip):
        kind, at = ip[at], at + 8 + 8 * ip[at + 1]
    return kind == _TCP


def _frames(file: Path) -> Iterator[bytes]:
    """Yield what each record holds from its IP header on; nothing for what is no IP."""
    data = file.read_bytes()
    if file.suffix == ".pcapng":
        command = [shutil.which("editcap") or "editcap", "-F", "pcap", str(file), "-"]
        data = subprocess.run(command, check=True, capture_output=True).stdout
    order = "<" if data[:4] in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"} else ">"
    (link,) = struct.unpack_from(f"{order}I", data, 20)
    at = 24
    while at + 16 <= len(data):
        (kept,) = struct.unpack_from(f"{order}I", data, at + 8)
        yield data[at + 16 + _LINKS[link] : at + 16 + kept]
        at += 16 + kept
