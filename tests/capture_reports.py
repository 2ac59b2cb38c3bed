"""Reports of diagnoses over captures as tests need them: a tuple collision, and source ports that run out."""

from __future__ import annotations

import math
from typing import Any

from diagnoses import finding

__all__ = ["START", "captured", "collision", "exhausted", "ladder", "night"]

START = 1_795_572_840
PATHS = ["up.pcapng", "down.pcapng"]


def ladder() -> dict[str, Any]:
    """Return a SYN on an occupied tuple: challenged, reset, sent again, established, and idle for an hour."""

    def row(frame: int, ms: float, from_left: bool, flags: str, at: tuple[int, int], **more: Any) -> dict[str, Any]:
        return {
            "file": 0 if from_left else 1, "frame": frame, "at": START * 10**9 + int(ms * 1e6), "from_left": from_left,
            "flags": flags, "seq": at[0], "ack": at[1], "length": 0, "note": None,
        } | more  # fmt: skip

    return {
        "left": "10.0.0.1:40001",
        "right": "[2001:db8:40:2::1a2b:3c4d:5e6f]:8443 (vlan 117)",
        "before": "established, idle for 71.2 s",
        "rows": [
            row(8, 0, True, "SYN", (0, 0), note="on a live tuple"),
            row(5, 0.021, False, "ACK", (1, 101), note="challenge"),
            row(9, 0.034, True, "RST", (101, 0), note="occupant killed"),
            row(10, 9.804, True, "SYN", (0, 0), note="retry"),
            row(6, 9.820, False, "SYN|ACK", (0, 1)),
            row(11, 9.831, True, "ACK", (1, 1), note="established"),
            row(12, 10.2, True, "PSH|ACK", (1, 1), length=517),
            row(7, 3_610_020, False, "FIN|ACK", (1, 518)),
        ],
    }


def collision(**changes: Any) -> dict[str, Any]:
    """Return the finding of that collision."""
    return finding(
        rule="capture.tcp.tuple-collision", title="New connections take ports that old ones still hold",
        article="425869", severity="critical", explains="A SYN came on a 4-tuple that the server still holds.",
        says="3 connections began on a tuple whose old flow was still there; the longest had been idle for 71.2 s.",
        outcome="challenge, reset, retry succeeded", frames=[8, 9, 10, 11], file=PATHS[0], files=PATHS,
        facts={"occupant_state": "established", "occupant_idle_s": 71.2, "reuse_gap_ms": 2.25, "collisions": 3,
               "share_percent": 12.5, "outcomes": {"superseded": 1, "challenge, reset, retry succeeded": 2},
               "retry_shape_s": [1, 1, 2, 4], "one_sided": False, "syn_per_s": 1812.44, "ceiling": None},
        groups=[{"who": f"10.0.0.{n} → 10.0.0.9:443", "count": 3 - n, "facts": {"idle_s": 71.2 / n, "reuse_gap_ms": n}}
                for n in (1, 2)],
        ladder=ladder(), timeline=[[START + n, n % 4] for n in range(9)], hits=3, evidence=[], version_verdict=None,
        signatures=[], windows=[], scope={"hosts": [], "providers": [], "vcenters": []},
    ) | changes  # fmt: skip


def exhausted() -> dict[str, Any]:
    """Return a capture of ten minutes in which one bucket fills up."""
    curve = [int(400 + 380 * math.sin(n / 40)) for n in range(600)]
    return {
        "format": 1,
        "files": [
            {
                "path": path, "format": "pcapng", "packets": 450_000, "records": 450_210, "flows": 40_000,
                "skipped": {"not-ip": 200, "cut-short": 10}, "states": {"established": 900}, "outcomes": {},
                "from": START * 10**9, "to": (START + 600) * 10**9, "ended": ended,
            }
            for path, ended in zip(PATHS, ("whole", "truncated"), strict=True)
        ],
        "from": START * 10**9, "to": (START + 600) * 10**9,
        "packets": 900_000, "flows": 80_000, "live": 27_800,
        "states": {"established": 900, "syn-sent": 3100, "time-wait": 23_800},
        "conn_states": {"S0": 3100, "SF": 71_800, "S1": 900, "REJ": 3900, "RSTO": 290, "OTH": 10, "SH": 0},
        "notes": {},
        "handshakes": [[START + n, many, many - many // 9, many - many // 7, many // 20]
                       for n, many in enumerate(curve)],
        "half_open": [[START + n, many // 3] for n, many in enumerate(curve)],
        "buckets": [
            {"bucket": "10.1.4.1 → 10.1.9.9:443", "live": 3100, "time_wait": 24_700, "ports_seen": 28_100,
             "range": 28_232, "share": 0.985},
            {"bucket": "10.1.4.2 → 10.1.9.9:443", "live": 100, "time_wait": 21_500, "ports_seen": 21_900,
             "range": [32768, 60999], "share": 0.765},
            {"bucket": "10.1.4.3 → 10.1.9.9:443", "live": 100, "time_wait": 0, "ports_seen": 900, "range": None,
             "share": 0.0035},
        ],
        "found": [{"finding": "tuple-collision"}],
        "withheld": [{"finding": each, "why": "Only one direction was captured."}
                     for each in ("half-open", "idle-timeout")],
        "evicted": 12, "refused": 0, "bytes_per_flow": 140,
    }  # fmt: skip


def captured(paths: list[str], **changes: Any) -> dict[str, Any]:
    """Return a small capture without findings."""
    file = exhausted()["files"][0]
    quiet = {
        "found": [],
        "withheld": [],
        "buckets": [],
        "handshakes": [[START, 1, 1, 1, 0]],
        "half_open": [],
        "flows": 1,
    }
    return exhausted() | quiet | {"flows": 1, "files": [file | {"path": path} for path in paths]} | changes


def night() -> dict[str, Any]:
    """Return the whole report: a finding, its capture, and a folder with two more of which one holds nothing."""
    return {
        "format": 1,
        "verdict": "incident",
        "findings": [collision()],
        "captures": [captured(["quiet.pcap"]), exhausted(), captured(["empty.pcap"], flows=0, handshakes=[])],
        "coverage": {"members": [], "from": None, "to": None, "complete": True},
    }
