"""Ordinary connections: nothing is found in them, and a capture that has every packet twice says the same of them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from flows.crowd import CONNECTIONS
from flows.ours import Report, analysed

pytestmark = pytest.mark.peer("ip", "nft", "ss", "sysctl", "tcpdump", "unshare")


def _said(report: Report) -> list[tuple[str, list[str], str, int]]:
    """Return what is said of each connection, but for its frames."""
    return sorted(
        (flow["initiator"], flow["states"], flow["conn_state"], flow["completeness"]) for flow in report["each"]
    )


def _twice(capture: bytes) -> bytes:
    """Return a capture with each record twice, as a mirror port that copies both directions of a link makes it."""
    parts, at = [capture[:24]], 24
    while at < len(capture):
        end = at + 16 + struct.unpack_from("<I", capture, at + 8)[0]
        parts += [capture[at:end]] * 2
        at = end
    return b"".join(parts)


def test_nothing_is_found_in_a_crowd(crowd: Path) -> None:
    (report,) = analysed([crowd]).values()
    assert len(report["each"]) == report["flows"] == CONNECTIONS
    assert report["found"] == report["withheld"] == []
    assert set(report["conn_states"]) == {"S1", "S2", "S3", "SF", "RSTO", "RSTR"}


def test_every_packet_twice_is_the_same_crowd(crowd: Path, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored.pcap"
    mirrored.write_bytes(_twice(crowd.read_bytes()))
    once, twice = analysed([crowd, mirrored]).values()
    assert _said(once) == _said(twice)
    assert twice["found"] == []
