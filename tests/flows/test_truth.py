"""Captures whose truth is known: what is played and recorded here and now, and the copies that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.ours import Report, analysed
from flows.truth import ALL

_KEPT = Path(__file__).parents[1] / "data" / "captures" / "truth"
_TRUTH: dict[str, dict[str, Any]] = json.loads((_KEPT / "expected.json").read_text())


def _told(report: Report) -> dict[str, Any]:
    """Return what a report says, as far as the truth is written down."""
    words = ("states", "conn_state", "completeness", "outcome")
    flows: list[dict[str, Any]] = []
    for flow in report["each"]:
        line = {word: flow[word] for word in words if flow[word] is not None}
        if flows and {**flows[-1], "times": 1} == {**line, "times": 1}:
            flows[-1]["times"] = flows[-1].get("times", 1) + 1
        else:
            flows.append(line)
    return {"found": [found["finding"] for found in report["found"]], "flows": flows}


def test_every_scene_is_kept_and_its_truth_written_down() -> None:
    assert {file.stem for file in _KEPT.glob("*.pcap")} == set(ALL) == set(_TRUTH)


def test_what_is_kept_is_judged_by_its_truth() -> None:
    told = analysed(_KEPT / f"{name}.pcap" for name in _TRUTH)
    assert {Path(name).stem: _told(report) for name, report in told.items()} == _TRUTH


@pytest.mark.peer("ip", "nft", "ss", "sysctl", "tcpdump", "unshare")
def test_what_is_played_now_is_judged_by_its_truth(played: list[Path]) -> None:
    assert {Path(name).stem: _told(report) for name, report in analysed(played).items()} == _TRUTH
