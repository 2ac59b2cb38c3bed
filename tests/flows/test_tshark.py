"""Wireshark's completeness of connections beside tidegate's: SYN, SYN-ACK, ACK, data, FIN and RST of each of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from flows.divergences import Comparison, Where, known
from flows.ours import kept
from flows.replays import CAPTURES, Replay

_FIELDS = ("frame.number", "tcp.stream", "tcp.completeness")


def _theirs(folder: Path) -> dict[Where, int]:
    """Return what tshark knows of each stream at its end, by its first frame. It needs two passes for that (`-2`)."""
    replay, whole = Replay(CAPTURES), folder / "whole.pcap"
    replay.write(whole)
    command = ["tshark", "-2", "-n", "-r", str(whole), "-T", "fields", *(f"-e{field}" for field in _FIELDS)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=50).stdout.splitlines()
    begins: dict[str, Where] = {}
    complete: dict[Where, int] = {}
    for number, stream, seen in (line.split("\t") for line in lines):
        packet = replay.packets[int(number) - 1]
        if stream:
            complete[begins.setdefault(stream, (packet.capture, str(packet.frame)))] = int(seen)
    return complete


@pytest.mark.peer("editcap", "tshark")
def test_tshark_sees_the_same_of_every_connection(tmp_path: Path) -> None:
    ours = {
        (capture, str(flow["first"]["frame"])): flow["completeness"]
        for capture, report in kept().items()
        for flow in report["each"]
    }
    comparison = Comparison(ours, _theirs(tmp_path))
    print("tshark agrees on", comparison.agreement())
    assert comparison.differences() == known("tshark")
