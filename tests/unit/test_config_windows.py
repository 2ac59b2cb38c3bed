"""Windows of time: over midnight, over clock changes, never, and two at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config.windows import DAYS, Window, local_zone, overlaps, window_of

BERLIN = ZoneInfo("Europe/Berlin")
YEAR_BEGUN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

minutes = st.integers(0, 24 * 60 - 1)
days = st.sets(st.sampled_from(DAYS), min_size=1)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
times = st.integers(0, 400 * 24 * 60).map(lambda minute: YEAR_BEGUN + minute * 60)


def text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def windows(draw: st.DrawFn, zone: str | None = None) -> Window:
    opens, closes = draw(minutes), draw(minutes)
    if opens == closes:
        closes = (closes + 60) % (24 * 60)
    return window_of("w", sorted(draw(days)), text(opens), text(closes), zone or draw(zones))


def at(*parts: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime(*parts, tzinfo=zone, fold=fold).timestamp()  # type: ignore[arg-type, misc]


def berlin(opens: str, closes: str, *on: str, name: str = "w") -> Window:
    return window_of(name, on or DAYS, opens, closes, "Europe/Berlin")


def test_a_window_is_open_from_its_first_moment_to_before_its_last() -> None:
    window = berlin("01:00", "05:00")
    assert not window.is_open(at(2026, 6, 1, 0, 59, 59))
    assert window.is_open(at(2026, 6, 1, 1))
    assert window.is_open(at(2026, 6, 1, 4, 59, 59))
    assert not window.is_open(at(2026, 6, 1, 5))


def test_over_midnight_it_belongs_to_the_day_on_which_it_opens() -> None:
    window = berlin("22:00", "04:00", "fri")  # 2026-06-05 is a Friday
    assert window.is_open(at(2026, 6, 5, 23))
    assert window.is_open(at(2026, 6, 6, 3, 59))
    assert not window.is_open(at(2026, 6, 5, 3))
    assert not window.is_open(at(2026, 6, 6, 23))
    assert window.closes_at(at(2026, 6, 5, 23)) == at(2026, 6, 6, 4)
    assert window.next_open(at(2026, 6, 6, 5)) == at(2026, 6, 12, 22)


def test_a_whole_day_closes_at_24() -> None:
    window = berlin("00:00", "24:00", "sat", "sun")
    assert window.is_open(at(2026, 6, 6, 0))
    assert window.closes_at(at(2026, 6, 6, 12)) == at(2026, 6, 8, 0)  # Sunday follows without a gap


def test_a_time_that_does_not_exist_is_the_moment_of_the_change() -> None:
    # On 2026-03-29 clocks go from 02:00 to 03:00.
    half = berlin("02:30", "04:00")
    assert half.next_open(at(2026, 3, 29, 0)) == at(2026, 3, 29, 3)
    inside = berlin("02:15", "02:45")
    assert inside.next_open(at(2026, 3, 29, 0)) == at(2026, 3, 30, 2, 15)
    weekly = berlin("02:15", "02:45", "sun")
    assert weekly.next_open(at(2026, 3, 28, 0)) == at(2026, 4, 5, 2, 15)


def test_a_time_that_exists_twice_is_its_first_one() -> None:
    # On 2026-10-25 clocks go from 03:00 back to 02:00.
    window = berlin("02:15", "02:45")
    assert window.is_open(at(2026, 10, 25, 2, 30))
    assert not window.is_open(at(2026, 10, 25, 2, 30, fold=1))
    around = berlin("01:00", "04:00")
    (opening,) = [o for o in around.openings(at(2026, 10, 25, 12), 0) if o[0] == at(2026, 10, 25, 1)]
    assert opening[1] - opening[0] == 4 * 3600


@pytest.mark.parametrize(
    ("on", "opens", "closes", "zone", "says"),
    [
        (("mon",), "01:00", "01:00", "UTC", "never opens: it closes when it opens"),
        ((), "01:00", "02:00", "UTC", "never opens: it has no days"),
        (("mon",), "24:00", "02:00", "UTC", "opens at 24:00"),
        (("mon",), "1:00", "02:00", "UTC", '"1:00" is no time of day'),
        (("mon",), "01:00", "25:00", "UTC", '"25:00" is no time of day'),
        (("mo",), "01:00", "02:00", "UTC", '"mo" is no day'),
        (("mon",), "01:00", "02:00", "Europe/Berlim", 'did you mean "Europe/Berlin"'),
        (("mon",), "01:00", "02:00", "../etc/passwd", "there is no time zone"),
    ],
)
def test_what_is_no_window_is_said(on: tuple[str, ...], opens: str, closes: str, zone: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        window_of("w", on, opens, closes, zone)


def test_overlap_names_both_and_when() -> None:
    both = {"backup": berlin("22:00", "02:00", "sun", name="backup"), "tasks": berlin("01:00", "05:00", name="tasks")}
    (overlap,) = overlaps(both, YEAR_BEGUN)
    assert (overlap.first, overlap.second) == ("backup", "tasks")
    assert overlap.says == "mon 01:00–02:00 Europe/Berlin"


def test_one_may_close_when_the_other_opens() -> None:
    assert not overlaps({"a": berlin("22:00", "01:00", name="a"), "b": berlin("01:00", "05:00", name="b")}, YEAR_BEGUN)


def test_different_zones_overlap_only_while_their_clocks_differ() -> None:
    # Berlin 06:00 is 05:00 UTC in winter and 04:00 in summer.
    berlins = berlin("06:00", "07:00", name="berlin")
    utc = window_of("utc", DAYS, "04:00", "05:00", "UTC")
    (overlap,) = overlaps({"utc": utc, "berlin": berlins}, YEAR_BEGUN)
    assert "2026-03-29 04:00" in overlap.says
    assert not overlaps({"utc": window_of("utc", DAYS, "06:00", "07:00", "UTC"), "berlin": berlins}, YEAR_BEGUN)


@given(windows(), times)
def test_it_opens_when_it_says_that_it_opens_next(window: Window, now: float) -> None:
    opens = window.next_open(now)
    assert opens >= now
    assert window.is_open(opens)
    assert window.is_open(now) == (opens == now)
    closes = window.closes_at(now)
    assert (closes is not None) == window.is_open(now)
    if closes is not None:
        assert closes > now
        assert window.is_open(closes - 1)
        assert not window.is_open(closes) or closes >= now + timedelta(days=20).total_seconds()
    elif opens - 60 >= now:
        assert not window.is_open(opens - 60)


@given(windows())
def test_openings_are_in_order_and_do_not_meet_twice(window: Window) -> None:
    found = list(window.openings(YEAR_BEGUN, 371))
    assert found
    assert all(start < end for start, end in found)
    assert all(first[1] <= second[0] for first, second in pairwise(found))


@given(zones.flatmap(lambda zone: st.tuples(windows(zone), windows(zone))))
def test_a_week_says_the_same_as_a_year(both: tuple[Window, Window]) -> None:
    one, other = both
    said = bool(overlaps({"a": one, "b": other}, YEAR_BEGUN))
    theirs = list(other.openings(YEAR_BEGUN, 371))
    mine = one.openings(YEAR_BEGUN, 371)
    met = any(max(begin, start) < min(end, stop) for begin, end in mine for start, stop in theirs)
    assert said == met


def test_the_zone_of_this_machine_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert local_zone() == ZoneInfo("Asia/Tokyo")
    monkeypatch.setenv("TZ", "Nowhere/Atall")
    assert local_zone() is UTC
