"""A clock that is wrong moves nothing but itself, and a stream that is dead holds nothing up."""

from __future__ import annotations

from tidegate.watch.live.machine import Machine
from tidegate.watch.live.model import Hit
from tidegate.watch.live.moments import Clock, Clocks, StreamMoved, Watermark
from tidegate.watch.rule import RuleSet

SECOND = 10**9
IDLE = 60 * SECOND
NOW = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND


def hit(time: int | None, *, live: bool = True, host: str = "esx1", arrival: int = NOW) -> Hit:
    return Hit("r.a", "a", time, arrival, "files.a", "s", 0, live, {"host": host})


def test_a_time_that_cannot_be_is_replaced_by_the_arrival() -> None:
    clocks = Clocks()
    assert clocks.time_of(hit(NOW + DAY)) == (NOW, 0, False)
    assert clocks.time_of(hit(NOW - DAY)) == (NOW, 0, False)
    assert clocks.time_of(hit(NOW + 300 * SECOND)) == (NOW + 300 * SECOND, 0, True)
    assert clocks.time_of(hit(NOW - DAY, live=False)) == (NOW - DAY, 0, True), "an old file is old"
    assert clocks.time_of(hit(NOW + DAY, live=False)) == (NOW, 0, False)


def test_a_record_without_a_time_is_of_its_arrival_only_where_it_was_sent_then() -> None:
    clocks = Clocks()
    assert clocks.time_of(hit(None)) == (NOW, 0, False)
    assert clocks.time_of(hit(None, live=False)) == (None, 0, False)


def test_an_offset_is_the_median_and_known_from_twenty_records_on() -> None:
    clocks = Clocks()
    late = [clocks.time_of(hit(NOW - 90 * SECOND)) for _ in range(20)]
    assert [offset for _, offset, _ in late] == [0] * 19 + [90 * SECOND]
    assert clocks.time_of(hit(NOW))[1] == 90 * SECOND, "one record that differs does not change it"
    assert [(host, clock.records) for host, clock in clocks.off()] == [("esx1", 21)]
    again = Clocks()
    again.restore({host: row for (_, host), row in clocks.rows().items() if row})
    assert again.time_of(hit(NOW)) == clocks.time_of(hit(NOW))


def test_a_clock_within_a_minute_is_not_told() -> None:
    clock = Clock()
    for seconds in [60, -60] * 20:
        clock.heard(seconds)
    assert clock.offset == 0
    assert len(clock.differences) == 21


def test_the_watermark_is_that_of_the_slowest_stream_that_is_not_idle() -> None:
    watermark = Watermark()
    assert watermark.at(NOW) == NOW - IDLE
    watermark.moved(StreamMoved("a", time=NOW - 5), NOW)
    watermark.moved(StreamMoved("b", time=NOW - 9), NOW)
    assert watermark.at(NOW) == NOW - 9
    watermark.moved(StreamMoved("b", idle=True), NOW)
    assert watermark.at(NOW) == NOW - 5
    assert watermark.at(NOW + IDLE) == NOW - 5
    assert watermark.next_idle() == NOW + IDLE + 1
    assert watermark.at(NOW + IDLE + 1) == NOW + 1, "nothing was heard for a minute"
    assert watermark.next_idle() == NOW + IDLE + 1
    assert watermark.pass_to(NOW + IDLE + 1) == NOW + 1
    assert (watermark.next_idle(), watermark.rows()) == (None, {("stream", "a"): None, ("stream", "b"): None})


def test_what_is_yet_to_be_read_holds_the_watermark() -> None:
    watermark = Watermark()
    watermark.moved(StreamMoved("a", time=NOW), NOW)
    watermark.moved(StreamMoved("b"), NOW)
    assert watermark.at(NOW) == 0
    watermark.moved(StreamMoved("b", time=NOW - 7), NOW)
    assert watermark.at(NOW) == NOW - 7


def test_a_time_to_come_moves_nothing_and_a_live_stream_without_times_follows() -> None:
    watermark = Watermark()
    watermark.moved(StreamMoved("a", time=NOW - 1), NOW)
    watermark.moved(StreamMoved("a", time=NOW + 1), NOW)
    assert watermark.at(NOW) == NOW - 1
    watermark.moved(StreamMoved("b", live=True), NOW)
    assert watermark.at(NOW) == NOW - IDLE
    assert watermark.behind() == NOW - 1, "what is live is read as it comes"
    watermark.moved(StreamMoved("a", idle=True), NOW)
    assert watermark.behind() is None


def test_streams_are_rows_of_the_machine() -> None:
    machine = Machine(RuleSet({}, {}))
    change = machine.take([hit(NOW - 1)], NOW, streams=[StreamMoved("s", time=NOW - 1)])
    assert change.rows[("stream", "s")] == {"time": NOW - 1, "heard": NOW, "live": False}
    again = Machine(RuleSet({}, {}), rows=[(kind, key, row) for (kind, key), row in change.rows.items() if row])
    assert again.view(NOW) == machine.view(NOW)
    assert again.next_tick(NOW) == NOW + IDLE + 1
