"""Records wait until they are over, never longer than they may; losses are counted together and all of them said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.watch.live.syslog_gather import Gathered
from tidegate.watch.live.syslog_losses import Losses

FULL, PATIENCE, QUIET = Gathered.FULL, Gathered.PATIENCE, Gathered.QUIET
HEAD = b"<166>2026-11-25T12:17:14Z esx1 Hostd: "
STEPS = st.lists(
    st.tuples(
        st.integers(0, PATIENCE),
        st.sampled_from(["a", "b"]),
        st.sampled_from([HEAD + b"new\n", HEAD + b"--> more\n", HEAD + b"x" * 5000 + b"\n"]),
    ),
    max_size=40,
)


def test_records_are_ready_when_their_speaker_is_silent() -> None:
    gathered = Gathered()
    gathered.add("a", b"one\n", 0)
    gathered.add("a", b"two\n", QUIET // 2)
    assert not gathered.ready(QUIET)
    assert gathered.ready(QUIET // 2 + QUIET)
    taken = gathered.take(QUIET // 2 + QUIET)
    assert (taken.data, taken.hosts, taken.records) == (b"one\ntwo\n", ((0, "a"),), 2)
    assert (gathered.cost, gathered.ready(10 * PATIENCE)) == (0, False)


def test_a_speaker_that_is_never_silent_is_heard_but_for_the_record_that_may_go_on() -> None:
    gathered = Gathered()
    for step, record in enumerate([HEAD + b"one\n", HEAD + b"two {\n", HEAD + b"--> }\n"]):
        gathered.add("a", record, PATIENCE - 2 + step)
    assert not gathered.ready(PATIENCE)
    gathered.add("a", HEAD + b"--> more\n", 2 * PATIENCE)
    assert gathered.take(2 * PATIENCE).data == HEAD + b"one\n"
    assert gathered.take(3 * PATIENCE).data == HEAD + b"two {\n" + HEAD + b"--> }\n" + HEAD + b"--> more\n"


def test_a_record_that_never_ends_is_handed_over_all_the_same() -> None:
    gathered = Gathered()
    for step in range(FULL // 1000):
        gathered.add("a", HEAD + b"--> " + b"x" * 1000 + b"\n", step)
    assert gathered.ready(FULL // 1000)
    assert gathered.take(FULL // 1000).records == FULL // 1000


def test_hosts_are_marked_where_they_change() -> None:
    gathered = Gathered()
    for host in "aabba":
        gathered.add(host, b"1234\n", 0)
    assert gathered.take(QUIET).hosts == ((0, "a"), (10, "b"), (20, "a"))


@given(STEPS)
def test_nothing_is_lost_doubled_or_reordered_and_every_byte_is_given_back(
    steps: list[tuple[int, str, bytes]],
) -> None:
    gathered, now = Gathered(), 0
    said: list[tuple[str, bytes]] = []
    heard: list[tuple[str, bytes]] = []
    cost = 0

    def take() -> None:
        nonlocal cost
        taken = gathered.take(now)
        cost -= taken.cost
        edges = [at for at, _ in taken.hosts] + [len(taken.data)]
        for (begin, host), end in zip(taken.hosts, edges[1:], strict=True):
            heard.extend((host, line) for line in taken.data[begin:end].splitlines(keepends=True))

    for wait, host, record in steps:
        now += wait
        said.append((host, record))
        added = gathered.add(host, record, now)
        assert added == len(record) + Gathered.OVERHEAD
        cost += added
        if gathered.ready(now):
            take()
        assert gathered.cost == cost < FULL + 50 * (5000 + Gathered.OVERHEAD)
    now += QUIET
    if gathered.ready(now):
        take()
    assert heard == said
    assert gathered.cost == cost == 0


def test_losses_of_a_kind_are_one_gap_a_second_that_names_some_peers() -> None:
    losses = Losses("syslog.a")
    for peer in range(7):
        losses.add("queue_full", "too many", 2, (100 + peer, 200 + peer), f"10.0.0.{peer}")
    assert (bool(losses), losses.take(101)) == (True, ())
    (gap,) = losses.take(100 + 10**9)
    assert (gap.source, gap.kind, gap.since, gap.until, gap.count) == ("syslog.a", "queue_full", 100, 206, 14)
    assert gap.detail == "too many (10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4 and 2 others)"
    assert (bool(losses), losses.counts) == (False, {"queue_full": 14})


def test_refused_peers_are_counted_but_not_as_records() -> None:
    losses = Losses("syslog.a")
    losses.add("unreadable", "refused", 1, (0, 0), "10.0.0.1")
    (gap,) = losses.take(10**9)
    assert (gap.detail, gap.count, losses.counts) == ("refused (10.0.0.1)", None, {"unreadable": 1})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1, 9), st.integers(0, 10**9))))
def test_every_loss_is_said_once(adds: list[tuple[str, str, int, int]]) -> None:
    losses, now, said = Losses("s"), 0, 0
    for kind, why, count, wait in adds:
        now += wait
        losses.add(kind, why, count, (now, now))
        said += sum(gap.count or 0 for gap in losses.take(now))
    said += sum(gap.count or 0 for gap in losses.take(now + 10**9))
    assert said == sum(count for _, _, count, _ in adds) == sum(losses.counts.values())
    assert not losses


def test_a_clock_that_is_set_back_holds_no_gap_up() -> None:
    losses = Losses("s")
    losses.add("truncated", "why", 1, (10**12, 10**12))
    assert len(losses.take(5)) == 1
