"""The life of an episode: what opens it, what it is called, when it is told of again, and when it ends."""

from __future__ import annotations

import dataclasses
import json

import pytest

from live_machines import SECOND, START, Kept, hit, log_rule, probe_rule, rule_set
from tidegate.watch.live import machine as machine_module
from tidegate.watch.live.agenda import Agenda
from tidegate.watch.live.episodes import Open, ended
from tidegate.watch.live.groups import groups
from tidegate.watch.live.kept import Run
from tidegate.watch.live.machine_view import view
from tidegate.watch.live.model import Episode, Gap, Hit, key_of
from tidegate.watch.live.moments import Clocks, StreamMoved
from tidegate.watch.live.scopes import Scope

STORM = {"id": "storm", "kind": "count", "of": ["a"], "over": "60s", "more_than": 2}
WORSE = {**STORM, "id": "flood", "more_than": 5, "severity": "critical"}


def storm(count: int, since: float = 0, **more: object) -> list[Hit]:
    return [hit(since + n, place=round(since + n), **more) for n in range(count)]  # type: ignore[arg-type]


def at(seconds: float) -> StreamMoved:
    return StreamMoved("s", time=START + round(seconds * SECOND))


def test_it_is_opened_by_the_record_that_crosses_and_cleared_when_nothing_can_prolong_it() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take(storm(2), 1)
    assert kept.said() == []
    kept.take([hit(2, place=77, record="the third", host="esx1")], 2)
    (opened,) = kept.notices
    episode = opened.episode
    assert (opened.what, opened.key) == ("opened", key_of("lab.pump.stuck", "", (), "s", 77) + "/opened")
    assert (episode.first, episode.at, episode.until) == (START, START + 2 * SECOND, START + 2 * SECOND)
    assert (episode.hosts, episode.hosts_total, episode.evidence) == (("esx1",), 1, ("the third",))
    assert [each.key for each in kept.machine.open_episodes()] == [episode.key]
    kept.take([], 92, at(92))
    assert kept.said() == ["opened"], "until + over + lateness: an event may still come"
    kept.take([], 93, at(92.001))
    assert kept.said() == ["opened", "cleared"]
    assert kept.notices[-1].episode == dataclasses.replace(episode, cleared=START + 93 * SECOND)
    assert kept.notices[-1].key == f"{episode.key}/cleared"


def test_a_late_event_joins_two_of_which_the_second_was_held_back() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take(storm(3), 2)
    kept.take(storm(3, 70), 72)
    assert kept.said() == ["opened"], "it waits for what may still join them"
    kept.take([hit(62), hit(61), hit(60)], 73)
    kept.tick(10_000)
    assert kept.said() == ["opened", "escalated", "cleared"]
    assert kept.notices[-1].episode.until == START + 72 * SECOND


def test_two_storms_are_two_when_nothing_joined_them() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take(storm(3), 2)
    kept.take(storm(3, 70), 72)
    kept.take([], 100, at(93))
    assert kept.said() == ["opened", "cleared", "opened"]
    assert len({notice.episode.key for notice in kept.notices}) == 2
    kept.tick(10_000)
    assert [notice.episode.at for notice in kept.notices if notice.what == "cleared"] == [
        START + 2 * SECOND,
        START + 72 * SECOND,
    ]


def test_it_is_told_of_again_when_it_doubles_or_becomes_worse() -> None:
    kept = Kept(rule_set(log_rule(STORM, WORSE)))
    for one in storm(12):
        kept.take([one], (one.arrival - START) / SECOND)
    told = [(each.what, each.episode.severity, each.episode.window, each.episode.count) for each in kept.notices]
    assert told == [
        ("opened", "warning", "storm", 3),
        ("escalated", "critical", "flood", 6),
        ("escalated", "critical", "flood", 12),
    ]
    assert [each.key.rpartition("/")[2] for each in kept.notices[1:]] == ["1", "2"]
    assert len({each.episode.key for each in kept.notices}) == 1


def test_windows_that_tell_hosts_apart_have_an_episode_for_each() -> None:
    kept = Kept(rule_set(log_rule({**STORM, "by": ["host"]})))
    kept.take([*storm(3, host="esx1"), *storm(3, host="esx2"), *storm(2, host="esx3")], 5)
    assert [notice.episode.scope for notice in kept.notices] == [(("host", "esx1"),), (("host", "esx2"),)]
    assert [notice.episode.hosts for notice in kept.notices] == [("esx1",), ("esx2",)]


def test_text_of_an_article_opens_nothing() -> None:
    kept = Kept(rule_set(log_rule(STORM), log_rule(name="lab.pump.gone")))
    kept.take([dataclasses.replace(one, quoted=True) for one in storm(50)], 50)
    kept.take(storm(50, signature="p"), 50)
    kept.take(storm(50, rule="lab.pump.gone", signature="p", host="esx1"), 50)
    assert (kept.said(), kept.machine.view(START)["windows_total"]) == ([], 0)


def test_a_rule_without_windows_is_met_by_one_record_even_without_a_time() -> None:
    kept = Kept(rule_set(log_rule(supports=["b"])))
    kept.take([hit(1, "b", host="esx1")], 1)
    assert kept.said() == [], "what merely supports is no incident"
    kept.take([dataclasses.replace(hit(1, host="esx1"), time=None, arrival=START + 9 * SECOND)], 9)
    kept.take(storm(100, host="esx1"), 100)
    assert kept.said() == ["opened"], "every one counts, so twice as many is no news"
    assert kept.notices[0].episode.at == START + 9 * SECOND
    assert kept.notices[0].episode.window == "any"


def test_a_record_without_a_time_is_in_no_window_unless_it_came_as_it_was_sent() -> None:
    for live, said in ((False, []), (True, ["opened"])):
        kept = Kept(rule_set(log_rule(STORM)))
        kept.take([dataclasses.replace(one, time=None) for one in storm(3, live=live)], 3)
        assert kept.said() == said
        assert kept.machine.view(START)["timeless"] == (0 if live else 3)


def test_a_probe_holds_its_episode_open_over_two_that_failed() -> None:
    rule = probe_rule()
    kept = Kept(rule_set(rule), every={rule.id: 200 * SECOND})
    for seconds in (0, 600):
        kept.take([hit(seconds, "probe", rule=rule.id, scope="lb: vs-1", live=True)], seconds)
    assert kept.said() == ["opened"]
    kept.tick(600 + 600 + 30 + 61)
    assert kept.said() == ["opened", "cleared"]


def test_what_a_probe_found_stays_open_while_it_fails() -> None:
    rule, probe = probe_rule(), StreamMoved("probe.lb", idle=True)
    kept = Kept(rule_set(rule))

    def answers(seconds: float, *, bad: bool) -> None:
        found = hit(seconds, "probe", rule=rule.id, scope="lb: vs-1", live=True, stream="probe.lb")
        kept.take([found] if bad else [], seconds, probe)

    answers(0, bad=True)
    for seconds in (60, 600, 1200):
        gap = Gap("probe.lb", "probe_failed", "it does not answer", START, START + seconds * SECOND)
        kept.take([], seconds, probe, gaps=[gap])
        kept.tick(seconds + 590)
        kept.again()
    assert kept.said() == ["opened"], "quiet with a gap is not quiet"
    answers(1800, bad=True)
    assert kept.said() == ["opened"], "it went on"
    kept.take([], 1860, probe, gaps=[Gap("probe.lb", "probe_failed", "again", START, START)])
    answers(3000, bad=False)
    kept.tick(3000 + 60 + 30)
    assert kept.said() == ["opened"]
    kept.tick(3000 + 60 + 31)
    assert kept.said() == ["opened", "cleared"]
    assert kept.rows == {}


def test_what_a_probe_found_is_over_when_nobody_asks_it_any_more() -> None:
    rule, probe = probe_rule(), StreamMoved("probe.lb", idle=True)
    kept = Kept(rule_set(rule), probes={"probe.lb"})
    kept.take([hit(0, "probe", rule=rule.id, scope="lb: vs-1", live=True, stream="probe.lb")], 0, probe)
    kept.take([], 60, probe, gaps=[Gap("probe.lb", "probe_failed", "it was taken away", START, START)])
    kept.again()
    kept.tick(1000)
    assert kept.said() == ["opened"]
    kept.options["probes"] = set()
    kept.again()
    kept.tick(1001)
    assert kept.said() == ["opened", "cleared"]
    assert kept.rows == {}


def test_a_host_whose_clock_is_slow_is_late_for_others_but_not_for_itself() -> None:
    kept = Kept(rule_set(log_rule({**STORM, "by": ["host"]})))
    for seconds in range(0, 600, 10):
        slow = hit(seconds - 1200, arrival=seconds, live=True, host="slow")
        other = hit(seconds, "b", arrival=seconds, live=True, host="right")
        kept.take([slow, other], seconds, at(seconds))
    assert kept.said() == ["opened", "escalated"]
    kept.tick(700)
    assert kept.said() == ["opened", "escalated", "cleared"]


def test_hosts_whose_clocks_differ_meet_in_a_window_once_that_is_known() -> None:
    hosts = {"id": "hosts", "kind": "distinct", "of": ["a"], "field": "host", "at_least": 2, "over": "60s"}
    kept = Kept(rule_set(log_rule(hosts)))
    kept.take([hit(n * 100 - 600, arrival=n * 100, live=True, host="slow") for n in range(20)], 2000)
    assert kept.machine.view(START)["clocks"] == [{"host": "slow", "offset_s": 600, "records": 20}]
    kept.take([hit(2400, arrival=3000, live=True, host="slow"), hit(3000, live=True, host="right")], 3000)
    assert kept.said() == ["opened"]


def test_a_clock_a_day_ahead_neither_fires_nor_blinds() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take([hit(86_400, arrival=0, live=True, host="mad")], 0)
    kept.take(storm(1, 1), 1)
    assert kept.said() == []
    kept.take(storm(3, 100), 102)
    assert kept.said() == ["opened"]
    assert kept.machine.view(START + 102 * SECOND)["skewed"] == 1


def test_a_log_that_is_still_being_read_keeps_its_storms_whole() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take([], 5000, StreamMoved("old"), StreamMoved("s"))
    kept.take(storm(3, 4000), 5000, at(5000), StreamMoved("old"))
    kept.take([], 5050, StreamMoved("s", idle=True), StreamMoved("old"))
    assert kept.said() == [], "an earlier one may still be found"
    kept.again()
    kept.take([*storm(3, 3900, stream="old"), *storm(2, 4050, stream="old")], 5051)
    assert kept.said() == ["opened", "cleared", "opened"]
    kept.take([], 5052, StreamMoved("old", idle=True))
    assert kept.said() == ["opened", "cleared", "opened", "cleared"]
    ends = [(notice.episode.until - START) // SECOND for notice in kept.notices if notice.what == "cleared"]
    assert ends == [3902, 4051]


def test_what_comes_live_waits_for_no_log() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take([], 5000, StreamMoved("old"))
    kept.take(storm(3, 5000, live=True, stream="net"), 5003, StreamMoved("old"))
    assert kept.said() == ["opened"]


def test_a_reload_goes_on_and_ends_what_is_gone() -> None:
    kept = Kept(rule_set(log_rule(STORM), log_rule(STORM, name="lab.pump.gone")))
    kept.take([*storm(3), *storm(3, rule="lab.pump.gone")], 3)
    assert kept.said() == ["opened", "opened"]
    kept.again(rule_set(log_rule({**STORM, "says": "Other words."})))
    kept.tick(4)
    assert [(each.what, each.episode.rule) for each in kept.notices[2:]] == [("cleared", "lab.pump.gone")]
    assert {"lab.pump.gone" in key for _, key in kept.rows} == {False}
    kept.take(storm(1, 4), 4)
    assert len(kept.machine.open_episodes()) == 1
    kept.again(rule_set(log_rule({**STORM, "id": "other"})))
    kept.tick(5)
    assert (kept.notices[-1].what, kept.notices[-1].episode.window) == ("cleared", "storm")
    assert kept.machine.view(START + 5 * SECOND)["windows_total"] == 0, "another window begins anew"


def test_an_episode_without_room_counts_once_and_is_one_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_OPEN", 1)
    kept = Kept(rule_set(log_rule({**STORM, "by": ["host"]})))
    gaps = []
    for seconds in range(40):
        gaps += kept.take([hit(seconds, host=host) for host in ("a", "b", "c")], seconds).gaps
    assert kept.said().count("opened") == 1
    assert kept.machine.view(START)["refused"] == 2
    assert {gap.since for gap in gaps} == {START + 2 * SECOND}
    assert gaps[-1].count == 2


def test_the_bounds_are_kept_and_what_was_given_up_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_SCOPES", 10)
    monkeypatch.setattr(machine_module, "_OPEN", 2)
    kept = Kept(rule_set(log_rule({**STORM, "by": ["host"]})))
    change = kept.take([one for n in range(5) for one in storm(3, host=f"storm{n}")], 3)
    assert [(gap.kind, gap.count) for gap in change.gaps] == [("queue_full", 3)]
    kept.take([hit(5, host=f"esx{n:03}") for n in range(50)], 5)
    shown = kept.machine.view(START + 5 * SECOND)
    assert (shown["refused"], shown["forgotten"], shown["windows_total"]) == (3, 45, 10)
    assert len([key for kind, key in kept.rows if kind == "window"]) == 10
    assert len(kept.machine.open_episodes()) == 2, "what is open is not forgotten"
    monkeypatch.setattr(machine_module, "_EVENTS", 8)
    kept.tick(6)
    assert len([key for kind, key in kept.rows if kind == "window"]) <= 4


def test_hosts_and_evidence_are_bounded() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    kept.take([hit(n / 100, host=f"esx{n:04}", record=f"{n} " + "x" * 5000) for n in range(3000)], 30)
    episode = kept.notices[0].episode
    assert (len(episode.hosts), episode.hosts_total) == (200, 2000)
    assert [len(record) for record in episode.evidence] == [2000] * 3


def test_a_view_has_the_fullest_windows_first() -> None:
    silent = {"id": "silent", "kind": "absence", "after": "c", "of": ["b"], "over": "600s"}
    kept = Kept(rule_set(log_rule({**STORM, "by": ["host"]}, silent)))
    kept.take([*storm(1, host="esx1"), *storm(2, host="esx2"), hit(0, "c")], 300, at(300))
    kept.take([*storm(1, 300, host="esx1"), *storm(2, 299, host="esx2")], 300, at(300))
    shown = kept.machine.view(START + 300 * SECOND)
    assert [(each["window"], each["scope"], each["count"], each["limit"]) for each in shown["windows"]] == [
        ("storm", {"host": "esx2"}, 2, 3),
        ("silent", {}, 300, 600),
        ("storm", {"host": "esx1"}, 1, 3),
    ]
    assert view([], 0, [], Clocks())["windows"] == []


def test_the_next_tick_is_when_something_ends_by_itself() -> None:
    kept = Kept(rule_set(log_rule(STORM)))
    assert kept.machine.next_tick(START) is None
    kept.take(storm(3), 2, StreamMoved("s", idle=True))
    due = kept.machine.next_tick(START)
    assert due == START + (2 + 60 + 30 + 60) * SECOND + 1
    assert kept.machine.next_tick(due + 5) == due + 5
    kept.tick((due - 1 - START) / SECOND)
    assert kept.said() == ["opened"]
    kept.machine.tick(due)
    assert kept.machine.open_episodes() == []


def test_an_episode_without_its_rule_still_has_a_last_word() -> None:
    (group,) = groups(log_rule(STORM), 0)
    one = Open(group, (), 0, Run(1, 2, 3, 4))
    one.named([])
    said = ended(group.rule, (), one.to_json(), 9)
    assert said == one.clear(9)
    scope = Scope(group, ())
    assert (scope.due(), scope.key) == (None, '["lab.pump.stuck",[],[]]')


def test_an_agenda_keeps_the_earliest_time_of_a_name() -> None:
    agenda = Agenda()
    for name, time in (("a", 5), ("b", 3), ("a", 2), ("a", 9)):
        agenda.put(name, time)
    assert (agenda.first(), agenda.pop(1)) == (2, None)
    assert [agenda.pop(9), agenda.pop(9), agenda.pop(9)] == ["a", "b", None]


def test_a_view_of_all_that_may_be_open_can_be_answered() -> None:
    one = Episode("k" * 32, "lab.pump.stuck", "storm", (("host", "esx"),), "critical", 1, 2, 3, 9)
    full = dataclasses.replace(one, hosts=("esx.example",) * 200, hosts_total=2000, evidence=("x" * 2000,) * 3)
    shown = view((), 0, [full] * 10_000, Clocks())
    assert len(json.dumps(shown)) < 8 << 20
    assert len(shown["episodes"]) == 10_000
    assert shown["episodes"][0]["evidence"]
    assert shown["episodes"][-1]["hosts_total"] == 2000


def test_late_records_that_open_two_episodes_name_only_the_first() -> None:
    flood = {**STORM, "id": "flood", "of": ["a", "b"], "over": "40s", "more_than": 4, "severity": "critical"}
    kept = Kept(rule_set(log_rule({**STORM, "over": "20s", "more_than": 1}, flood)), lateness=5 * SECOND)
    kept.take([hit(seconds, "b", place=seconds) for seconds in (590, 592, 594)], 600, at(600))
    kept.take([hit(560, place=1), hit(560, place=2)], 600)
    assert kept.said() == ["opened", "cleared", "opened"]
    keys = [notice.key for notice in kept.notices]
    assert len(set(keys)) == 3, "a receiver that knows the key would not hear of the flood"
