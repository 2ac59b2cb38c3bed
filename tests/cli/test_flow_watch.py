"""What `tidegate flow watch` makes of a report: the line of a second, and what people see.

The command itself is tested on a real interface: storm/test_flow_watch.py.
"""

from __future__ import annotations

import io
import socket
from typing import Any

import pytest
from rich.console import Console

from tidegate.cli.flow_watch_view import line, panel
from tidegate.errors import UsageError
from tidegate.watch.capture.live import Listening, second

_FOUND = {
    "finding": "tuple-collision",
    "severity": "critical",
    "confidence": "high",
    "outcome": "rejected",
    "count": 3,
    "groups": [{"who": "10.0.0.1 -> \x1b[2J10.0.0.2:443", "count": 3, "facts": {}}],
    "frames": [{"file": 0, "frame": 9}],
    "timeline": [[99, 3]],
    "ladder": None,
}
_REPORT = {
    "flows": 31,
    "live": 12,
    "states": {"syn-sent": 2, "syn-received": 1, "established": 9, "closed": 0},
    "handshakes": [[98, 7, 7, 7, 0], [99, 10, 8, 8, 1], [100, 1, 0, 0, 0]],
    "half_open": [[98, 1], [99, 5], [100, 3]],
    "buckets": [{"bucket": "10.0.0.1 -> 10.0.0.2:443", "live": 9, "time_wait": 2, "share": 0.92}],
    "found": [_FOUND],
    "withheld": [{"finding": "half-open", "why": "one direction was not captured"}],
}
_TOLD: dict[str, Any] = {
    "format": 1,
    "interface": "eth0",
    "at": 100_200_000_000,
    "seconds": 2.5,
    "packets": 400,
    "dropped": 0,
    "skipped": {"not-ip": 3, "not-tcp": 4},
    "report": _REPORT,
}


def test_a_second_has_what_came_since_the_one_before_and_no_examples() -> None:
    before = {**_TOLD, "report": {**_REPORT, "handshakes": [[98, 7, 7, 7, 0]]}}
    now = second(_TOLD, before)
    assert now["handshakes"] == {"opened": 11, "answered": 8, "established": 8, "refused": 1}
    assert second(_TOLD)["handshakes"] == {"opened": 18, "answered": 15, "established": 15, "refused": 1}
    assert (now["half_open"], now["live"], now["flows"]) == (3, 12, 31)
    assert "report" not in now
    assert not {"frames", "timeline", "ladder"} & now["found"][0].keys()
    assert (now["found"][0]["outcome"], now["found"][0]["groups"]) == ("rejected", _FOUND["groups"])


def test_points_that_were_put_together_change_no_count() -> None:
    coarse = {**_TOLD, "report": {**_REPORT, "handshakes": [[98, 17, 15, 15, 1], [100, 1, 0, 0, 0]]}}
    assert set(second(coarse, _TOLD)["handshakes"].values()) == {0}


def test_a_line_has_it_all() -> None:
    said = "2.5 s: 18 opened, 15 answered, 15 established, 1 refused; 3 half-open, 12 live of 31 flows; "
    assert line(second(_TOLD)).strip() == f"{said}400 packets, 0 dropped; tuple-collision 3"


def _shown(told: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(panel(second(told), passing=True), markup=False)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_panel_cannot_be_steered_by_names() -> None:
    shown = _shown(_TOLD)
    assert "\x1b" not in shown
    for words in (
        "400 of TCP, 7 others, 0 dropped",
        "3 half-open now",
        "92.0%",
        "tuple-collision (rejected): 3",
        "not told: half-open, one",
    ):
        assert words in shown


def test_the_panel_of_nothing() -> None:
    empty = {
        **_REPORT,
        "flows": 0,
        "live": 0,
        "states": {},
        "handshakes": [],
        "half_open": [],
        "buckets": [],
        "found": [],
    }
    shown = _shown({**_TOLD, "packets": 0, "skipped": {}, "report": empty})
    assert "no finding so far" in shown
    assert "source ports" not in shown


def test_elsewhere_than_on_linux_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_PACKET")
    with pytest.raises(UsageError, match="on Linux only") as caught:
        Listening("lo")
    assert "tcpdump -w" in caught.value.hint
