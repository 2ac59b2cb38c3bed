"""Speakers in one batch are as far apart as in batches of their own: the scanner itself is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from needles import needles
from tidegate.watch.live.syslog_gather import Gathered
from tidegate.watch.live.syslog_records import record_of
from tidegate.watch.live.syslog_sheaf import Sheaf
from tidegate.watch.scan import Json

HEAD = b"<166>2026-11-25T12:17:14Z esx1 Hostd: "
# Records that begin, records that go on, and what might do either; all of them of the same host by their own words.
MESSAGES = st.lists(
    st.sampled_from(
        [
            HEAD + b"info hostd[7] Task {",
            HEAD + b"info hostd[7] NEEDLE",
            HEAD + b"--> NEEDLE",
            HEAD + b"--> }",
            HEAD,
            b"--> NEEDLE",
            b"\n--> NEEDLE\n",
            b"  NEEDLE",
            b"NEEDLE",
            b"<14>2026-11-25T12:17:14.610Z info hostd[7] [+] NEEDLE",
            b"<14>Nov 25 12:17:14 esx1 vvold[7]: NEEDLE",
            b"@BlueScreen: NEEDLE",
        ]
    ),
    min_size=1,
    max_size=4,
)


def gathered(host: str, messages: list[bytes], now: int = 0) -> Gathered:
    """Return what a host has said."""
    made = Gathered()
    for message in messages:
        made.add(host, record_of(message), now)
    return made


def hits(data: bytes) -> list[Json]:
    """Return what the scanner finds, without a time that it has from a neighbour."""
    lent = {"time": None, "zone": "none", "time_source": "none"}
    return [hit if hit["time_source"] == "record" else {**hit, **lent} for hit in needles(data)]


@given(st.lists(MESSAGES, min_size=1, max_size=4))
def test_nobody_goes_on_with_what_another_one_has_said(speakers: list[list[bytes]]) -> None:
    sheaf = Sheaf(True, 0)
    apart: list[Json] = []
    for number, messages in enumerate(speakers):
        taken = gathered(f"esx{number}", messages).take(Gathered.QUIET)
        sheaf.add(taken)
        at = sheaf.hosts[-1][0]
        lines = sheaf.data[:at].count(b"\n")
        apart += [{**hit, "offset": at + hit["offset"], "line": lines + hit["line"]} for hit in hits(taken.data)]
        assert sheaf.data[at:] == taken.data
    assert hits(sheaf.data) == apart
    assert [host for _, host in sheaf.hosts] == [f"esx{number}" for number in range(len(speakers))]
    assert sheaf.records == sum(map(len, speakers))


def test_a_sheaf_is_of_one_time_and_of_one_kind_and_not_too_long() -> None:
    sheaf = Sheaf(True, 5)
    second = 10**9
    assert sheaf.takes(gathered("a", [b"x"], second), True)
    assert not sheaf.takes(gathered("a", [b"x"], second), False)
    assert not sheaf.takes(gathered("a", [b"x"], second + 6), True)
    sheaf.add(gathered("a", [b"x" * 60_000] * 4, second).take(2 * second))
    assert sheaf.takes(gathered("a", [b"x"], 5), True)
    assert not sheaf.takes(gathered("a", [b"x" * 60_000], 5), True)
    assert sheaf.first == 5
    sheaf.add(gathered("a", [b"x"], 3).take(2 * second))
    assert sheaf.first == 3
