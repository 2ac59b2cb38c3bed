"""What a follower says is said once, with the next batch or with an empty one."""

from __future__ import annotations

from tidegate.watch.live.identity import Identity, Position
from tidegate.watch.live.saying import Saying

PLACE = Position("/logs/a.log", 2, Identity.of(1, 2, b"text"), 1_000, 24, 5)


def test_nothing_to_say() -> None:
    saying = Saying("files.a", "/logs/a.log", "s")
    first = saying.rest(PLACE, 7, idle=True)
    assert first is not None
    assert (first.base, first.idle, first.position) == (1_024, True, PLACE.as_json())
    assert saying.rest(PLACE, 8, idle=True) is None
    assert Saying("files.a", "/logs/a.log", "").rest(None, 7, idle=True) is None


def test_a_gap_goes_with_the_next_batch() -> None:
    saying = Saying("files.a", "/logs/\x1ba.log", "s")
    saying.gap("truncated", "it is shorter", 9, 4)
    batch = saying.empty(PLACE, 7, idle=False)
    assert [(gap.detail, gap.since, gap.until) for gap in batch.gaps] == [("/logs/\\x1ba.log: it is shorter", 9, 9)]
    assert saying.empty(PLACE, 7, idle=False).gaps == ()


def test_trouble_is_said_when_it_begins_and_when_it_is_over() -> None:
    saying = Saying("files.a", "/logs/a.log", "")
    for now in (1, 2, 3):
        saying.in_trouble("it is missing", now)
    batch = saying.rest(None, 3, idle=True)
    assert batch is not None
    assert (len(batch.gaps), batch.stream, batch.position) == (1, "/logs/a.log", {})
    saying.in_trouble("it is no regular file", 4)
    assert tuple(saying.trouble or ()) == ("it is no regular file", 1)
    saying.out_of_trouble(6)
    saying.out_of_trouble(7)
    assert not saying.trouble
    batch = saying.rest(None, 8, idle=True)
    assert batch is not None
    assert [(gap.since, gap.until) for gap in batch.gaps] == [(4, 4), (1, 6)]
