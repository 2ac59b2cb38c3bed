"""Play every scene at once, record it, and cut the recording into a small capture per scene.

``python -m flows.truth FOLDER`` (from tests, as root under ``unshare --net --mount``) writes them into a folder.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.scenes_beginnings import BEGINNINGS
from flows.scenes_collisions import COLLISIONS
from flows.scenes_endings import ENDINGS
from flows.stage import Scene, Stage
from flows.world import World, setting

__all__ = ["ALL", "perform"]

ALL: dict[str, Scene] = {**COLLISIONS, **BEGINNINGS, **ENDINGS}

_HEAD = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MICROS = 0xA1B2C3D4


def _records(capture: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield time (ns), record head and packet of each record that tcpdump wrote."""
    magic, *_ = _HEAD.unpack_from(capture)
    assert magic == _MICROS, "tcpdump writes microseconds on a little-endian machine"
    at = _HEAD.size
    while at < len(capture):
        seconds, micros, kept, _ = _RECORD.unpack_from(capture, at)
        body = at + _RECORD.size
        yield (seconds * 1_000_000 + micros) * 1000, capture[at:body], capture[body : body + kept]
        at = body + kept


def _tcp_ports(packet: bytes) -> set[int]:
    """Return the ports of a packet, or of the one that an ICMP message quotes."""
    header = 54 if packet[12:14] == b"\x86\xdd" else 34
    if header == 34 and packet[23] == 1:
        header += 28
    return set(struct.unpack_from("!HH", packet, header))


def _cut(whole: bytes, stage: Stage, slow: int) -> bytes:
    """Take what belongs to a stage, from where its capture begins, its clock slowed."""
    parts, first = [whole[: _HEAD.size]], None
    for at, head, packet in _records(whole):
        if stage.target[1] not in _tcp_ports(packet) or at < stage.began:
            continue
        first = first or at
        micros = (first + (at - first) * slow) // 1000
        parts += [struct.pack("<II", *divmod(micros, 1_000_000)), head[8:], packet]
    return b"".join(parts)


def perform(folder: Path) -> None:
    """Play all scenes and write their captures, `NAME.pcap` each."""
    world = World()
    # As if three more routers stood before the server: only then is a RST of the firewall a strange one.
    setting("server", net__ipv4__ip_default_ttl=61, net__ipv4__tcp_synack_retries=1, net__ipv4__tcp_syncookies=0)
    stages = {name: Stage(world, number, scene.family) for number, (name, scene) in enumerate(ALL.items(), 1)}
    whole = folder / "whole.pcap"
    try:
        with world.recorded(whole), ThreadPoolExecutor(len(stages)) as actors:
            acts = {name: actors.submit(ALL[name].play, stage) for name, stage in stages.items()}
            for name, act in acts.items():
                error = act.exception()
                if error:
                    error.add_note(f"in the scene {name}")
                    raise error
    finally:
        for stage in stages.values():
            stage.leave()
    for name, stage in stages.items():
        (folder / f"{name}.pcap").write_bytes(_cut(whole.read_bytes(), stage, ALL[name].slow))
    whole.unlink()


if __name__ == "__main__":
    perform(Path(sys.argv[1]))
