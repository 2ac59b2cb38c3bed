"""nf_conntrack beside tidegate: the states of every connection of all captures, and each difference with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from flows.alone import alone
from flows.crowd import CONNECTIONS
from flows.divergences import Comparison, Where, known
from flows.ours import Report, analysed, kept
from flows.replays import CAPTURES

_PEERS = ("conntrack", "editcap", "ip", "nft", "sysctl", "unshare")
Judged = dict[Where, list[list[str]]]
"""The states of each connection, for each time that it was new."""

# Our states in conntrack's words. A SYN-ACK without a SYN, and what makes no flow, it does not follow at all.
_WORDS = {
    "syn-sent": "SYN_SENT",
    "simultaneous": "SYN_SENT2",
    "syn-received": "SYN_RECV",
    "established": "ESTABLISHED",
    "mid-stream": "ESTABLISHED",
    "fin-wait": "FIN_WAIT",
    "close-wait": "CLOSE_WAIT",
    "last-ack": "LAST_ACK",
    "time-wait": "TIME_WAIT",
    "closed": "CLOSE",
}


def _in_their_words(states: list[str]) -> list[str]:
    said: list[str] = []
    for word in (_WORDS[state] for state in states if state in _WORDS):
        said += [] if said[-1:] == [word] else [word]
    return said


def _ours(reports: dict[str, Report]) -> Judged:
    judged: Judged = {}
    for capture, report in reports.items():
        for flow in report["each"]:
            states = _in_their_words(flow["states"])
            if states:
                judged.setdefault((capture, _ends(flow["initiator"], flow["responder"])), []).append(states)
    return judged


def _ends(one: str, other: str) -> str:
    return " ".join(sorted((one, other)))


def _theirs(captures: Iterable[Path], folder: Path) -> Judged:
    """Send the captures through a router, and return what it says."""
    told = folder / "judged.json"
    alone("flows.router", str(told), *map(str, captures))
    return {(capture, _ends(one, other)): lives for capture, one, other, lives in json.loads(told.read_text())}


@pytest.mark.peer(*_PEERS)
def test_conntrack_says_the_same_of_what_is_kept(tmp_path: Path) -> None:
    comparison = Comparison(_ours(kept()), _theirs(CAPTURES, tmp_path))
    print("nf_conntrack agrees on", comparison.agreement())
    assert comparison.differences() == known("conntrack")


@pytest.mark.peer(*_PEERS, "ss", "tcpdump")
def test_conntrack_says_the_same_of_what_is_played_now(played: list[Path], tmp_path: Path) -> None:
    comparison = Comparison(_ours(analysed(played)), _theirs(played, tmp_path))
    names = {file.name for file in played}
    expected = {where: both for where, both in known("conntrack").items() if where[0] in names}
    assert comparison.differences() == expected


@pytest.mark.peer(*_PEERS, "ss", "tcpdump")
def test_conntrack_says_the_same_of_a_crowd(crowd: Path, tmp_path: Path) -> None:
    ours = _ours(analysed([crowd]))
    assert len(ours) == CONNECTIONS
    assert ours == _theirs([crowd], tmp_path)
