"""What was read and what was not: a reading with a gap is never complete."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.watch.coverage import coverage, iso


def member(path: str = "a.log", **more: Any) -> dict[str, Any]:
    whole = {
        "index": 0,
        "path": path,
        "bytes": 10,
        "lines": 2,
        "first": None,
        "last": None,
        "ended": "whole",
        "why": "",
        "text": True,
    }
    return {**whole, **more}


def result(*members: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"members": list(members), "troubles": [], "cut": {"hits": 0, "keys": 0}, **more}


def test_whole() -> None:
    told = coverage(result(member(first=0, last=5 * 10**9), member("b.log", first=10**9, last=2 * 10**9)), {})
    assert told["complete"]
    assert (told["from"], told["to"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:05.000Z")
    assert (told["members_total"], told["bytes"], told["lines"]) == (2, 20, 4)


@pytest.mark.parametrize(
    "gap",
    [
        result(),
        result(member(bytes=0)),
        result(member(text=False)),
        result(member(ended="truncated", why="the gzip stream stops in the middle")),
        result(member(), troubles=[{"path": "x", "what": "missing-fragment", "detail": "part 1 is missing"}]),
        result(member(), cut={"hits": 3, "keys": 0}),
        result(member("hostd.log"), member("hostd.0.gz"), member("hostd.2.gz")),
    ],
    ids=["nothing", "empty", "no-text", "truncated", "trouble", "cut", "rotation"],
)
def test_a_gap(gap: dict[str, Any]) -> None:
    told = coverage(gap, {})
    assert not told["complete"]


def test_records_in_a_dump_are_text() -> None:
    assert coverage(result(member(text=False), hits=[{}]), {})["missing"] == []


def test_what_is_told_and_is_no_gap() -> None:
    link = {"path": "b.tgz!a/link", "what": "link", "detail": "a link to ../x: its target is read where it lies"}
    told = coverage(result(member(), troubles=[link]), {})
    assert told["complete"]
    assert told["troubles"] == [link]


def test_logs_that_no_member_is() -> None:
    told = coverage(result(member("b.tgz!esx-1/var/run/log/hostd.0.gz")), {"**/hostd*": ["r"], "**/vvold*": ["s", "q"]})
    assert told["not_read"] == [{"log": "**/vvold*", "rules": ["q", "s"]}]
    assert told["complete"], "what nobody gave is no gap in what was given"


def test_many_members_are_counted_and_some_shown() -> None:
    told = coverage(result(*(member(f"{n}.txt") for n in range(600))), {})
    assert (len(told["members"]), told["members_total"]) == (500, 600)


@pytest.mark.parametrize("time", [None, 2**63 - 1, -(2**63)])
def test_times_that_no_calendar_has(time: int | None) -> None:
    text = iso(time)
    assert text is None or text.endswith("Z")
